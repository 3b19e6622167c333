import type { Admin } from "kafkajs";
import { topics } from "../domain/messages.js";
import { AssayError } from "../errors.js";
import type { Log } from "../log.js";
import { busUnavailable, type KafkaSettings, kafkaClient } from "./kafka-client.js";

/** Messages that no consumer could read. */
export const DEAD_LETTERS = "assay.dead-letters";

/** How topics are made. */
export interface TopicShape {
  /** How many dispatchers can hear at once; keys stay in order only while it stays as it is. */
  readonly partitions: number;
  /** Brokers that keep each message. */
  readonly replication: number;
}

/** One topic after `createTopics`. */
export interface TopicState {
  readonly name: string;
  readonly partitions: number;
  /** False where it was there before; then nothing of it was changed. */
  readonly created: boolean;
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** Makes the topics that are missing. Nothing else does: a broker's own defaults would decide over order and loss. */
export async function createTopics(settings: KafkaSettings, shape: TopicShape, log: Log): Promise<TopicState[]> {
  const admin = kafkaClient(settings, log).admin();
  try {
    await admin.connect();
    const missing = await missingTopics(admin, settings.prefix);
    await admin.createTopics({
      waitForLeaders: true,
      topics: missing.map((name) => ({
        topic: name,
        numPartitions: shape.partitions,
        replicationFactor: shape.replication,
        configEntries: configOf(name, settings, shape),
      })),
    });
    const metadata = await admin.fetchTopicMetadata({ topics: topicNames(settings.prefix) });
    return metadata.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.length,
      created: missing.includes(name),
    }));
  } catch (error) {
    throw busUnavailable(settings, error);
  } finally {
    await admin.disconnect();
  }
}

function configOf(
  name: string,
  { prefix }: KafkaSettings,
  { replication }: TopicShape,
): { name: string; value: string }[] {
  const days = name === `${prefix}${DEAD_LETTERS}` ? 30 : 7;
  return [
    { name: "cleanup.policy", value: "delete" },
    { name: "retention.ms", value: String(days * DAY_MS) },
    // With three copies one broker may be away and still no acknowledged message is lost with the next.
    { name: "min.insync.replicas", value: String(Math.max(1, replication - 1)) },
  ];
}

/** Throws unless every topic is there. */
export async function requireTopics(admin: Admin, settings: KafkaSettings): Promise<void> {
  const missing = await missingTopics(admin, settings.prefix);
  if (missing.length > 0) {
    throw new AssayError(
      "SETUP_FAILED",
      `wanted the topics ${topicNames(settings.prefix).join(", ")}, but ${missing.join(", ")} are missing; "assay topics" makes them`,
    );
  }
}

async function missingTopics(admin: Admin, prefix: string): Promise<string[]> {
  const there = new Set(await admin.listTopics());
  return topicNames(prefix).filter((name) => !there.has(name));
}

function topicNames(prefix: string): string[] {
  return [...Object.values(topics), DEAD_LETTERS].map((topic) => `${prefix}${topic}`);
}
