import { setTimeout as pause } from "node:timers/promises";
import type { Consumer, Kafka, Producer } from "kafkajs";
import type { Topic } from "../domain/messages.js";
import { AssayError } from "../errors.js";
import { type Log, reasonOf } from "../log.js";
import type { Buried, Handler, Subscription } from "./bus.js";
import { backOffMs, deliverBatch, HEARTBEAT_MS, type Setbacks } from "./kafka-delivery.js";

/** What a member of a consumer group works with. */
export interface KafkaMemberOptions {
  readonly kafka: Kafka;
  /** Takes the dead letters. */
  readonly producer: Producer;
  readonly log: Log;
  readonly topic: Topic;
  /** The topic's name at the brokers. */
  readonly topicName: string;
  readonly groupId: string;
  readonly deadLetterTopic: string;
  readonly handler: Handler;
  /** Keeps what nobody can read, beside the dead letters. */
  readonly buried: (record: Buried) => Promise<void>;
  /** Where a new group begins: each partition's offset; the oldest message where it is left out. */
  readonly from?: readonly { readonly partition: number; readonly offset: string }[] | undefined;
}

const SESSION_MS = 10_000; // a member that died is missed after this
const JOIN_TRIES = 6; // some ten seconds

/** One consumer. When the library gives it up, it is made anew, for as long as the member is wanted. */
export class KafkaMember implements Subscription {
  private readonly closing = new AbortController();
  private consumer: Consumer | undefined;
  private loop: Promise<void> = Promise.resolve();

  private constructor(private readonly options: KafkaMemberOptions) {}

  /** Resolves once the member has its share of the partitions. */
  static async join(options: KafkaMemberOptions): Promise<KafkaMember> {
    const member = new KafkaMember(options);
    const crashed = await member.openPatiently();
    for (const { partition, offset } of options.from ?? []) {
      member.consumer?.seek({ topic: options.topicName, partition, offset });
    }
    member.loop = member.supervise(crashed);
    return member;
  }

  async close(): Promise<void> {
    this.closing.abort();
    await this.consumer?.disconnect(); // waits for the handler and leaves the group
    await this.loop;
  }

  /** A broker that has just started takes seconds to load its groups, and refuses to let anybody join meanwhile. */
  private async openPatiently(): Promise<{ readonly crash: Promise<string> }> {
    for (let tries = 0; ; tries += 1) {
      try {
        return await this.open();
      } catch (error) {
        if (tries === JOIN_TRIES) throw error;
        await pause(backOffMs(tries));
      }
    }
  }

  /** Joins the group; the promise inside resolves with the reason when the consumer has crashed. */
  private async open(): Promise<{ readonly crash: Promise<string> }> {
    const { kafka, groupId, topicName, from } = this.options;
    const consumer = kafka.consumer({
      groupId,
      allowAutoTopicCreation: false,
      // The defaults of 5 s would make every join and every leave take that long.
      maxWaitTimeInMs: 250,
      heartbeatInterval: HEARTBEAT_MS,
      sessionTimeout: SESSION_MS,
      rebalanceTimeout: SESSION_MS,
      // We make it anew ourselves: a restart that the library has scheduled would outlive a close.
      metadataMaxAge: 30_000, // so soon are added partitions seen
      // Few tries: a consumer that is made anew asks for its offsets again, one that goes on may stand behind the end of a
      // topic that was deleted and made anew meanwhile.
      retry: { retries: 3, initialRetryTime: 100, maxRetryTime: 1_000, restartOnFailure: () => Promise.resolve(false) },
    });
    this.consumer = consumer;
    const setbacks: Setbacks = new Map();
    consumer.on(consumer.events.GROUP_JOIN, () => setbacks.clear());
    let failed: string | undefined;
    const crash = new Promise<string>((resolve) => {
      consumer.on(consumer.events.CRASH, ({ payload }) => {
        failed = reasonOf(payload.error);
        resolve(failed);
      });
    });
    try {
      await consumer.connect();
      await consumer.subscribe({ topics: [topicName], fromBeginning: from === undefined });
      await this.run(consumer, setbacks);
      if (failed !== undefined) throw new AssayError("BUS_UNAVAILABLE", `${groupId} could not be joined: ${failed}`);
    } catch (error) {
      await consumer.disconnect().catch(() => undefined); // what went wrong first is what counts
      throw error;
    }
    return { crash };
  }

  private run(consumer: Consumer, setbacks: Setbacks): Promise<void> {
    return consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: 4,
      eachBatch: (batch) => deliverBatch({ ...this.options, consumer, setbacks, closing: this.closing.signal }, batch),
    });
  }

  private async supervise(current: { readonly crash: Promise<string> }): Promise<void> {
    const { log, groupId } = this.options;
    const { signal } = this.closing;
    const closed = new Promise<undefined>((resolve) => signal.addEventListener("abort", () => resolve(undefined)));
    let { crash } = current;
    for (let tries = 0; !signal.aborted; ) {
      const reason = await Promise.race([crash, closed]);
      if (reason === undefined) return;
      log.warn("a consumer is made anew", { groupId, reason });
      await this.consumer?.disconnect().catch(() => undefined); // it is given up in any case
      await pause(backOffMs(tries), undefined, { signal }).catch(() => undefined);
      tries += 1;
      if (signal.aborted) return;
      try {
        ({ crash } = await this.open());
        tries = 0;
        if (signal.aborted) await this.consumer?.disconnect();
      } catch (error) {
        crash = Promise.resolve(reasonOf(error));
      }
    }
  }
}
