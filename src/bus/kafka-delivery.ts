import { setTimeout as pause } from "node:timers/promises";
import type { Consumer, EachBatchPayload, KafkaMessage, Producer } from "kafkajs";
import type { Topic } from "../domain/messages.js";
import { type Log, reasonOf } from "../log.js";
import type { Buried, Handler } from "./bus.js";
import { buriedOf, deadLetterOf, messageOf } from "./kafka-records.js";

/** How often a consumer says that it is alive. */
export const HEARTBEAT_MS = 500;
const RETRY_MS_MAX = 5_000;
/** Records that are handed to handlers side by side; those of one key come one after the other. */
const AT_ONCE_MAX = 100;
/** A handler that says nothing for so long hangs: then the beats end, and the group gives its partitions to another member. */
const HANG_MS = 60_000;

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
  /** Keeps what nobody can read, beside the dead letters. */
  readonly buried: (record: Buried) => Promise<void>;
  /** Aborted when the member is to leave. */
  readonly closing: AbortSignal;
}

/** Hands records to the handler, those of one key in their order. The offset moves on only behind handlers that resolved. */
export async function deliverBatch(delivery: Delivery, payload: EachBatchPayload): Promise<void> {
  const { batch, resolveOffset, isRunning, isStale } = payload;
  let handled: string | undefined;
  try {
    for (let from = 0; from < batch.messages.length && isRunning() && !isStale(); from += AT_ONCE_MAX) {
      const records = batch.messages.slice(from, from + AT_ONCE_MAX);
      const slice = new Slice(delivery, payload, records);
      try {
        await slice.deliver();
      } finally {
        const last = records[slice.doneInFront - 1];
        handled = last?.offset ?? handled;
      }
      if (handled !== undefined) resolveOffset(handled);
      if (slice.doneInFront < records.length) break;
    }
  } finally {
    if (handled !== undefined) {
      const offset = String(BigInt(handled) + 1n);
      await delivery.consumer.commitOffsets([{ topic: batch.topic, partition: batch.partition, offset }]);
    }
  }
}

/** Records that are worked on side by side. */
class Slice {
  private readonly done = new Set<KafkaMessage>();
  private readonly ending = new AbortController();
  private movedAt = performance.now();

  constructor(
    private readonly delivery: Delivery,
    private readonly payload: EachBatchPayload,
    private readonly records: readonly KafkaMessage[],
  ) {}

  /** How many records from the first on are done with, without a gap: the offset may move behind these. */
  get doneInFront(): number {
    const gap = this.records.findIndex((record) => !this.done.has(record));
    return gap < 0 ? this.records.length : gap;
  }

  /** Resolves when every record is done with or this member has to leave it to another. */
  async deliver(): Promise<void> {
    const keys = Map.groupBy(this.records, ({ key }) => key?.toString("latin1") ?? "");
    const finished = new AbortController();
    const work = Promise.all([...keys.values()].map((records) => this.inOrder(records))).finally(() =>
      finished.abort(),
    );
    try {
      await this.beatUntil(finished.signal);
    } finally {
      // A beat that throws says that the group is being formed anew: what is being tried is ended, the rest is left.
      this.ending.abort();
      await work;
    }
  }

  /** Without beats the group would take this member for dead and give its partitions away. */
  private async beatUntil(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (performance.now() - this.movedAt < HANG_MS) await this.payload.heartbeat();
      await pause(HEARTBEAT_MS, undefined, { signal }).catch(() => undefined); // the loop looks at why
    }
  }

  private async inOrder(records: readonly KafkaMessage[]): Promise<void> {
    for (const record of records) {
      if (!(await this.one(record))) return;
      this.done.add(record);
    }
  }

  /** Whether the record is done with; it is tried until it is, or this member has to leave it to another. */
  private async one(record: KafkaMessage): Promise<boolean> {
    const { log, topic, handler } = this.delivery;
    for (let tries = 0; this.isWanted(); tries += 1) {
      try {
        const message = messageOf(topic, record);
        if ("unreadable" in message) await this.bury(record, message.unreadable);
        else await handler(message);
        this.movedAt = performance.now();
        return true;
      } catch (error) {
        this.movedAt = performance.now();
        const { partition } = this.payload.batch;
        log.warn("message comes again", { topic, partition, offset: record.offset, reason: reasonOf(error) });
        await this.wait(backOffMs(tries));
      }
    }
    return false;
  }

  private isWanted(): boolean {
    const { isRunning, isStale } = this.payload;
    return isRunning() && !isStale() && !this.delivery.closing.aborted && !this.ending.signal.aborted;
  }

  private async wait(ms: number): Promise<void> {
    const signal = AbortSignal.any([this.delivery.closing, this.ending.signal]);
    await pause(ms, undefined, { signal }).catch(() => undefined); // whoever waits looks at why by itself
  }

  /** Into the table first: it takes any number of bytes twice, the topic takes them once more for each try. */
  private async bury(record: KafkaMessage, reason: string): Promise<void> {
    const { producer, log, groupId, deadLetterTopic, buried } = this.delivery;
    const { topic, partition } = this.payload.batch;
    const origin = { topic, partition, group: groupId, reason };
    await buried(buriedOf(record, origin));
    await producer.send({ topic: deadLetterTopic, acks: -1, messages: [deadLetterOf(record, origin)] });
    log.error("an unreadable message went to the dead letters", { topic, partition, offset: record.offset, reason });
  }
}
