import type { Consumer } from "kafkajs";
import { type KafkaSettings, kafkaClient } from "../../src/bus/kafka-client.js";
import { newId } from "../../src/domain/digest.js";
import { topics } from "../../src/domain/messages.js";
import { eventually } from "../support/eventually.js";
import { quietLog } from "../support/store.js";
import type { Observation } from "./observations.js";

const CONSUMER = "dispatcher";
const HEARD_MS = 120_000;

type Offsets = ReadonlyMap<number, number>;

/**
 * Reads the bells for dispatchers as they lie on the topic; those behind the dispatchers' offset were given to one of them.
 * `atRest` waits until that is all of them.
 */
export async function readBus(settings: KafkaSettings, atRest: boolean): Promise<Observation[]> {
  const kafka = kafkaClient(settings, quietLog);
  const topic = `${settings.prefix}${topics.runsQueued}`;
  const admin = kafka.admin();
  try {
    // Within, so that a client which did not get in is let go of too: it would go on for as long as the process.
    await admin.connect();
    const ends = await admin.fetchTopicOffsets(topic);
    const high = new Map(ends.map(({ partition, high }) => [partition, Number(high)]));
    const heard = async (): Promise<Offsets> => {
      const [found] = await admin.fetchOffsets({ groupId: `${topic}.${CONSUMER}`, topics: [topic] });
      return new Map(found?.partitions.map(({ partition, offset }) => [partition, Number(offset)]));
    };
    const reached = (offsets: Offsets): boolean =>
      [...high].every(([partition, end]) => end === 0 || (offsets.get(partition) ?? 0) >= end);
    const offsets = atRest
      ? await eventually(
          "dispatchers to have heard every bell",
          async () => {
            const now = await heard();
            return reached(now) && now;
          },
          HEARD_MS,
        )
      : await heard();
    const total = ends.reduce((sum, { high: end, low }) => sum + Number(end) - Number(low), 0);
    return await recordsOf(kafka.consumer({ groupId: `${topic}.checker-${newId()}` }), { topic, total, offsets });
  } finally {
    await admin.disconnect();
  }
}

async function recordsOf(
  consumer: Consumer,
  { topic, total, offsets }: { topic: string; total: number; offsets: Offsets },
): Promise<Observation[]> {
  const seen: Observation[] = [];
  let read = 0;
  try {
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      eachMessage: ({ partition, message }) => {
        read += 1;
        const eventId = String(message.headers?.["ce_id"] ?? "");
        seen.push({ kind: "PUBLISHED", eventId });
        if (Number(message.offset) < (offsets.get(partition) ?? 0)) {
          seen.push({ kind: "DELIVERED", eventId, consumer: CONSUMER });
        }
        return Promise.resolve();
      },
    });
    await eventually("every record to be read", () => read >= total);
  } finally {
    await consumer.disconnect();
  }
  return seen;
}
