import { type Admin, type Kafka, Partitioners, type Producer } from "kafkajs";
import { newId } from "../domain/digest.js";
import type { Message, Topic } from "../domain/messages.js";
import { AssayError } from "../errors.js";
import { type Log, reasonOf } from "../log.js";
import type { Buried, Bus, Handler, Subscription } from "./bus.js";
import { busUnavailable, type KafkaSettings, kafkaClient } from "./kafka-client.js";
import { KafkaMember } from "./kafka-member.js";
import { recordOf } from "./kafka-records.js";
import { DEAD_LETTERS, requireTopics } from "./kafka-topics.js";

/** Settings of the bus on Kafka. */
export interface KafkaBusOptions extends KafkaSettings {
  readonly log: Log;
  /** Keeps a record that nobody can read, beside the dead letters; its offset moves on once this resolves. */
  readonly buried?: (record: Buried) => Promise<void>;
}

/** The bus of a service in several processes. A named group that is new begins with the oldest message that is kept. */
export class KafkaBus implements Bus {
  private readonly kafka: Kafka;
  private readonly admin: Admin;
  private readonly producer: Producer;
  private readonly members = new Set<Subscription>();
  private open = false;

  constructor(private readonly options: KafkaBusOptions) {
    this.kafka = kafkaClient(options, options.log);
    this.admin = this.kafka.admin();
    this.producer = this.kafka.producer({
      allowAutoTopicCreation: false,
      createPartitioner: Partitioners.DefaultPartitioner,
      maxInFlightRequests: 1, // with two, a retry of the first could come behind the second
    });
  }

  async start(): Promise<void> {
    try {
      await this.admin.connect();
      await requireTopics(this.admin, this.options);
      await this.producer.connect();
      this.open = true;
    } catch (error) {
      await this.disconnect();
      throw busUnavailable(this.options, error);
    }
  }

  async publish(messages: readonly Message[]): Promise<void> {
    this.assertOpen();
    const byTopic = Map.groupBy(messages, (message) => this.nameOf(message.topic));
    const topicMessages = [...byTopic].map(([topic, group]) => ({ topic, messages: group.map(recordOf) }));
    try {
      await this.producer.sendBatch({ acks: -1, timeout: 10_000, topicMessages });
    } catch (error) {
      throw busUnavailable(this.options, error);
    }
  }

  async subscribe(topic: Topic, group: string | null, handler: Handler): Promise<Subscription> {
    this.assertOpen();
    try {
      return group === null
        ? await this.subscribeAlone(topic, handler)
        : await this.join(topic, this.groupId(topic, group), { handler });
    } catch (error) {
      throw busUnavailable(this.options, error);
    }
  }

  async lag(topic: Topic, group: string): Promise<number> {
    const name = this.nameOf(topic);
    const [ends, [position]] = await Promise.all([
      this.admin.fetchTopicOffsets(name),
      this.admin.fetchOffsets({ groupId: this.groupId(topic, group), topics: [name] }),
    ]);
    const committed = new Map(position?.partitions.map(({ partition, offset }) => [partition, Number(offset)]));
    return ends.reduce((sum, { partition, low, high }) => {
      // -1 where the group has never committed: then it has all that is kept before it.
      const next = Math.max(committed.get(partition) ?? -1, Number(low));
      return sum + Math.max(0, Number(high) - next);
    }, 0);
  }

  async close(): Promise<void> {
    this.open = false;
    await Promise.all([...this.members].map((member) => member.close()));
    await this.disconnect();
  }

  /** The ends of the partitions are read before the group is joined, so that no message falls in between. */
  private async subscribeAlone(topic: Topic, handler: Handler): Promise<Subscription> {
    const ends = await this.admin.fetchTopicOffsets(this.nameOf(topic));
    const from = ends.map(({ partition, high }) => ({ partition, offset: high }));
    const groupId = this.groupId(topic, `alone-${newId()}`);
    const member = await this.join(topic, groupId, { handler, from });
    const close = async (): Promise<void> => {
      this.members.delete(subscription);
      await member.close();
      await this.admin.deleteGroups([groupId]).catch((error: unknown) => {
        // The brokers forget it by themselves after some days.
        this.options.log.warn("a group was left behind", { groupId, reason: reasonOf(error) });
      });
    };
    const subscription = { close };
    this.members.delete(member);
    this.members.add(subscription);
    return subscription;
  }

  private async join(
    topic: Topic,
    groupId: string,
    how: { handler: Handler; from?: readonly { partition: number; offset: string }[] },
  ): Promise<Subscription> {
    const member = await KafkaMember.join({
      kafka: this.kafka,
      producer: this.producer,
      log: this.options.log,
      topic,
      topicName: this.nameOf(topic),
      groupId,
      deadLetterTopic: `${this.options.prefix}${DEAD_LETTERS}`,
      buried: this.options.buried ?? (() => Promise.resolve()),
      ...how,
    });
    this.members.add(member);
    return member;
  }

  private nameOf(topic: Topic): string {
    return `${this.options.prefix}${topic}`;
  }

  /** One group for each topic: members of a group that hear different topics would be given each other's partitions. */
  private groupId(topic: Topic, group: string): string {
    return `${this.nameOf(topic)}.${group}`;
  }

  private async disconnect(): Promise<void> {
    await Promise.allSettled([this.producer.disconnect(), this.admin.disconnect()]);
  }

  private assertOpen(): void {
    if (!this.open) throw new AssayError("INTERNAL", "wanted a started bus, but it is not started or is closed");
  }
}
