import { setTimeout as pause } from "node:timers/promises";
import type { Consumer, EachBatchPayload, KafkaMessage, Producer } from "kafkajs";
import type { Topic } from "../domain/messages.js";
import { type Log, reasonOf } from "../log.js";
import type { Handler } from "./bus.js";
import { deadLetterOf, messageOf } from "./kafka-records.js";

/** How often a consumer says that it is alive. */
export const HEARTBEAT_MS = 500;
const RETRY_MS_MAX = 5_000;

/** The pause before try number `tries`, from 100 ms doubling up to five seconds. */
export const backOffMs = (tries: number): number => Math.min(100 * 2 ** tries, RETRY_MS_MAX);

/** What a delivery needs beside the records. */
export interface Delivery {
  readonly consumer: Consumer;
  /** Takes the dead letters. */
  readonly producer: Producer;
  readonly log: Log;
  readonly topic: Topic;
  readonly groupId: string;
  readonly deadLetterTopic: string;
  readonly handler: Handler;
  /** Aborted when the member is to leave. */
  readonly closing: AbortSignal;
}

/** Hands records to the handler in their order. The offset moves on only behind those whose handler has resolved. */
export async function deliverBatch(delivery: Delivery, payload: EachBatchPayload): Promise<void> {
  const { batch, resolveOffset, heartbeat, isRunning, isStale } = payload;
  let handled: string | undefined;
  try {
    for (const record of batch.messages) {
      if (!isRunning() || isStale() || !(await deliver(delivery, record, payload))) break;
      resolveOffset(record.offset);
      handled = record.offset;
      await heartbeat();
    }
  } finally {
    if (handled !== undefined) {
      const offset = String(BigInt(handled) + 1n);
      await delivery.consumer.commitOffsets([{ topic: batch.topic, partition: batch.partition, offset }]);
    }
  }
}

/** Whether the record is done with; it is tried until it is, or this member has to leave it to another. */
async function deliver(delivery: Delivery, record: KafkaMessage, payload: EachBatchPayload): Promise<boolean> {
  const { log, topic, handler, closing } = delivery;
  const { batch, heartbeat, isRunning } = payload;
  for (let tries = 0; isRunning() && !closing.aborted; tries += 1) {
    try {
      const message = messageOf(topic, record);
      if ("unreadable" in message) await bury(delivery, record, { batch, reason: message.unreadable });
      else await handler(message);
      return true;
    } catch (error) {
      const { partition } = batch;
      log.warn("message comes again", { topic, partition, offset: record.offset, reason: reasonOf(error) });
      await waitBeating(backOffMs(tries), heartbeat, closing);
    }
  }
  return false;
}

/** Without beats the group would take this member for dead and give its partitions away. */
async function waitBeating(ms: number, heartbeat: () => Promise<void>, closing: AbortSignal): Promise<void> {
  for (let left = ms; left > 0 && !closing.aborted; left -= HEARTBEAT_MS) {
    await pause(Math.min(left, HEARTBEAT_MS), undefined, { signal: closing }).catch(() => undefined);
    await heartbeat();
  }
}

async function bury(
  { producer, log, groupId, deadLetterTopic }: Delivery,
  record: KafkaMessage,
  { batch: { topic, partition }, reason }: { batch: EachBatchPayload["batch"]; reason: string },
): Promise<void> {
  const letter = deadLetterOf(record, { topic, partition, group: groupId, reason });
  await producer.send({ topic: deadLetterTopic, acks: -1, messages: [letter] });
  log.error("an unreadable message went to the dead letters", { topic, partition, reason });
}
