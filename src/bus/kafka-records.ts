import { isUtf8 } from "node:buffer";
import type { IHeaders, KafkaMessage, Message as KafkaRecord } from "kafkajs";
import type { Message, Topic } from "../domain/messages.js";
import { AssayError } from "../errors.js";
import { EventsWritten, RunsCancelling, RunsQueued } from "../gen/assay/events/v1/messages.js";
import { reasonOf } from "../log.js";
import type { Buried } from "./bus.js";

type Payload = Message["payload"];

interface Codec {
  encode(payload: Payload): Uint8Array;
  decode(bytes: Uint8Array): Payload;
}

/** What each type is on the wire. A type keeps its number for ever; a message that means something else gets a new one. */
const codecs: ReadonlyMap<string, Codec> = new Map<string, Codec>([
  [
    "assay.events.v1.RunsQueued",
    {
      encode: ({ experimentId }) => RunsQueued.encode({ experimentId }).finish(),
      decode: (bytes) => ({ experimentId: RunsQueued.decode(bytes).experimentId }),
    },
  ],
  [
    "assay.events.v1.RunsCancelling",
    {
      encode: ({ experimentId }) => RunsCancelling.encode({ experimentId }).finish(),
      decode: (bytes) => ({ experimentId: RunsCancelling.decode(bytes).experimentId }),
    },
  ],
  [
    "assay.events.v1.EventsWritten",
    {
      encode: (payload) =>
        EventsWritten.encode({
          experimentId: payload.experimentId,
          fromSequence: sequence(payload, "fromSequence"),
          toSequence: sequence(payload, "toSequence"),
        }).finish(),
      decode: (bytes) => {
        const { experimentId, fromSequence, toSequence } = EventsWritten.decode(bytes);
        return { experimentId, fromSequence: Number(fromSequence), toSequence: Number(toSequence) };
      },
    },
  ],
]);

function sequence(payload: Payload, field: string): bigint {
  const value = payload[field];
  if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt(value);
  throw new AssayError("INTERNAL", `${field}: wanted an integer, but got ${JSON.stringify(value)}`);
}

/** The message as Kafka carries it: protobuf, with the headers of a CloudEvent in its binary form. */
export function recordOf({ eventId, key, type, tenantId, payload, traceparent }: Message): KafkaRecord {
  const codec = codecs.get(type);
  if (codec === undefined) {
    throw new AssayError("INTERNAL", `wanted one of ${[...codecs.keys()].join(", ")} for the bus, but got ${type}`);
  }
  return {
    key,
    value: Buffer.from(codec.encode(payload)),
    headers: {
      ce_specversion: "1.0",
      ce_id: eventId,
      ce_type: type,
      ce_source: "assay",
      tenant: tenantId,
      ...(traceparent === null ? {} : { traceparent }),
      "content-type": "application/protobuf",
    },
  };
}

/** A record that is no message of ours, and why. */
export interface Unreadable {
  readonly unreadable: string;
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The message of a record. Anything may lie in a topic, so nothing of it is taken unseen. */
export function messageOf(topic: Topic, { key, value, headers = {} }: KafkaMessage): Message | Unreadable {
  const [eventId, type, tenantId] = [header(headers, "ce_id"), header(headers, "ce_type"), header(headers, "tenant")];
  if (!uuid.test(eventId)) return { unreadable: `ce_id: wanted a UUID, but got ${show(eventId)}` };
  if (!uuid.test(tenantId)) return { unreadable: `tenant: wanted a UUID, but got ${show(tenantId)}` };
  const codec = codecs.get(type);
  if (codec === undefined) return { unreadable: `ce_type: wanted a known type, but got ${show(type)}` };
  if (key === null || !isUtf8(key)) return { unreadable: "key: wanted tenant:experiment, but got no text" };
  if (value === null) return { unreadable: "value: wanted a message, but got none" };
  let payload: Payload;
  try {
    payload = codec.decode(value);
  } catch (error) {
    return { unreadable: `value: wanted a ${type}, but got ${value.length} other bytes (${reasonOf(error)})` };
  }
  if (payload.experimentId === "") return { unreadable: `value: wanted a ${type} with an experiment, but got none` };
  return {
    eventId,
    topic,
    key: key.toString(),
    type,
    tenantId,
    payload,
    traceparent: header(headers, "traceparent") || null,
  };
}

function header(headers: IHeaders, name: string): string {
  const value = headers[name];
  return value === undefined || Array.isArray(value) ? "" : value.toString();
}

function show(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}

/** Bytes of a dead letter's value that are kept; brokers refuse records over a megabyte unless told otherwise. */
const KEPT_BYTES_MAX = 512 * 1024;
const KEPT_HEADER_BYTES_MAX = 4 * 1024;

/** Where an unreadable record was found. */
export interface DeadLetterOrigin {
  readonly topic: string;
  readonly partition: number;
  readonly group: string;
  readonly reason: string;
}

/** An unreadable record as operators get to see it. */
export function buriedOf({ value, offset }: KafkaMessage, origin: DeadLetterOrigin): Buried {
  const { topic, partition, group: consumer, reason } = origin;
  const raw = value?.subarray(0, KEPT_BYTES_MAX) ?? null;
  return { topic, partition, offset, consumer, reason, raw, bytes: value?.length ?? 0 };
}

/** An unreadable record as it goes to the dead letters: its raw bytes, with the reason and where it lay in the headers. */
export function deadLetterOf(
  { key, value, headers = {}, offset }: KafkaMessage,
  origin: DeadLetterOrigin,
): KafkaRecord {
  const kept = Object.entries(headers).filter(
    ([name, bytes]) => name.length + (bytes?.length ?? 0) <= KEPT_HEADER_BYTES_MAX,
  );
  return {
    key: key === null || key.length > KEPT_HEADER_BYTES_MAX ? null : key,
    value: value === null ? null : value.subarray(0, KEPT_BYTES_MAX),
    headers: {
      ...Object.fromEntries(kept.slice(0, 32)),
      dead_reason: origin.reason,
      dead_topic: origin.topic,
      dead_partition: String(origin.partition),
      dead_offset: offset,
      dead_group: origin.group,
      dead_bytes: String(value?.length ?? 0),
    },
  };
}
