// Writes every event of the experiments that a key may see into a file, each once and in order. See README.md.
import { type EachMessagePayload, type IHeaders, Kafka, logLevel } from "kafkajs";
import { AssayApi, PAGE } from "./api.ts";
import { EventsWritten } from "./gen/assay/events/v1/messages.ts";
import { Journal } from "./journal.ts";

const TYPE = "assay.events.v1.EventsWritten";

const settings = {
  brokers: wanted("ASSAY_KAFKA_BROKERS").split(","),
  prefix: process.env["ASSAY_KAFKA_PREFIX"] ?? "",
  group: process.env["EVENTS_GROUP"] ?? "events-example-typescript",
  file: process.env["EVENTS_FILE"] ?? "events.jsonl",
};
const api = new AssayApi(wanted("ASSAY_URL"), wanted("ASSAY_API_KEY"));
const journal = Journal.open(settings.file);

function wanted(name: string): string {
  const value = process.env[name];
  if (value !== undefined && value !== "") return value;
  process.stderr.write(`${name}: wanted a value, but got none (README.md tells what it is)\n`);
  process.exit(78);
}

function header(headers: IHeaders | undefined, name: string): string {
  return headers?.[name]?.toString() ?? "";
}

/** A record is only a bell. What counts is what the API says, after the last sequence that is in the file. */
async function heard({ message, heartbeat }: EachMessagePayload): Promise<void> {
  const bellId = header(message.headers, "ce_id");
  // Other types may come to this topic later; a consumer passes over what it does not know.
  if (header(message.headers, "ce_type") !== TYPE || message.value === null) return;
  if (journal.knows(bellId)) return; // delivered again
  const { experimentId } = EventsWritten.decode(message.value);
  for (;;) {
    const events = await api.eventsAfter(experimentId, journal.lastSequence(experimentId));
    if (events === null || events.length === 0) return; // not for this key's eyes, or read after an earlier bell
    const isLastPage = events.length < PAGE;
    journal.append(experimentId, events, isLastPage ? bellId : null);
    if (isLastPage) return;
    await heartbeat();
  }
}

const kafka = new Kafka({ clientId: "events-example", brokers: settings.brokers, logLevel: logLevel.ERROR });
const consumer = kafka.consumer({
  groupId: `${settings.prefix}${settings.group}`,
  allowAutoTopicCreation: false,
  sessionTimeout: 6_000,
  heartbeatInterval: 1_000,
  maxWaitTimeInMs: 500,
});
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void consumer.disconnect().then(() => process.exit(0)));
}
await consumer.connect();
await consumer.subscribe({ topics: [`${settings.prefix}assay.events`], fromBeginning: true });
// kafkajs commits an offset after `eachMessage` has resolved, so a bell whose events were not written is heard again.
await consumer.run({ eachMessage: heard, autoCommitThreshold: 1 });
process.stderr.write("listening\n");
