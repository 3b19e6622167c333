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

/** What a member keeps in mind of a partition whose next message failed. */
interface Setback {
  /** The message that failed. */
  readonly offset: string;
  /** How often it had failed before. */
  readonly tries: number;
  /** Messages behind it that were handled; they come again with it and are passed over. */
  readonly done: ReadonlySet<string>;
}

/** By partition; to be cleared whenever partitions are dealt anew, because then offsets may stand for other messages. */
export type Setbacks = Map<number, Setback>;

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
  readonly setbacks: Setbacks;
}

/**
 * Hands records to the handler, those of one key in their order. The offset moves on only behind handlers that resolved. A message
 * that failed comes again after a pause of its partition: the library fetches nothing while it waits for a batch, so waiting here
 * would hold up every other partition of the broker.
 */
export async function deliverBatch(delivery: Delivery, payload: EachBatchPayload): Promise<void> {
  const { batch, resolveOffset, isRunning, isStale } = payload;
  const { setbacks } = delivery;
  const earlier = setbacks.get(batch.partition)?.done ?? new Set<string>();
  let handled: string | undefined;
  try {
    for (let from = 0; from < batch.messages.length && isRunning() && !isStale(); from += AT_ONCE_MAX) {
      const records = batch.messages.slice(from, from + AT_ONCE_MAX);
      const slice = new Slice(delivery, payload, { records, earlier });
      try {
        await slice.deliver();
      } finally {
        const last = records[slice.doneInFront - 1];
        handled = last?.offset ?? handled;
      }
      if (handled !== undefined) resolveOffset(handled);
      const failed = records[slice.doneInFront];
      if (failed === undefined) {
        setbacks.delete(batch.partition);
      } else {
        holdBack(delivery, payload, { offset: failed.offset, done: new Set([...earlier, ...slice.done]) });
        break;
      }
    }
  } finally {
    if (handled !== undefined) {
      const offset = String(BigInt(handled) + 1n);
      await delivery.consumer.commitOffsets([{ topic: batch.topic, partition: batch.partition, offset }]);
    }
  }
}

/** Pauses the partition until its failed message is tried again. */
function holdBack(
  { setbacks, closing }: Delivery,
  { batch, pause: pausePartition }: EachBatchPayload,
  { offset, done }: Pick<Setback, "offset" | "done">,
): void {
  if (closing.aborted) return;
  const before = setbacks.get(batch.partition);
  const tries = before?.offset === offset ? before.tries + 1 : 0;
  setbacks.set(batch.partition, { offset, tries, done });
  const resume = pausePartition();
  setTimeout(resume, backOffMs(tries)).unref();
}

/** Records that are worked on side by side. */
class Slice {
  /** Offsets of records that are done with. */
  readonly done = new Set<string>();
  private readonly records: readonly KafkaMessage[];
  private readonly ending = new AbortController();
  private movedAt = performance.now();

  constructor(
    private readonly delivery: Delivery,
    private readonly payload: EachBatchPayload,
    { records, earlier }: { readonly records: readonly KafkaMessage[]; readonly earlier: ReadonlySet<string> },
  ) {
    this.records = records;
    for (const { offset } of records) if (earlier.has(offset)) this.done.add(offset);
  }

  /** How many records from the first on are done with, without a gap: the offset may move behind these. */
  get doneInFront(): number {
    const gap = this.records.findIndex(({ offset }) => !this.done.has(offset));
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
      if (this.done.has(record.offset)) continue;
      if (!(await this.one(record))) return;
      this.done.add(record.offset);
    }
  }

  /** Whether the record is done with; if not, it comes again, here or to another member, and before later ones of its key. */
  private async one(record: KafkaMessage): Promise<boolean> {
    if (!this.isWanted()) return false;
    const { log, topic, handler } = this.delivery;
    try {
      const message = messageOf(topic, record);
      if ("unreadable" in message) await this.bury(record, message.unreadable);
      else await handler(message);
      return true;
    } catch (error) {
      const { partition } = this.payload.batch;
      log.warn("message comes again", { topic, partition, offset: record.offset, reason: reasonOf(error) });
      return false;
    } finally {
      this.movedAt = performance.now();
    }
  }

  private isWanted(): boolean {
    const { isRunning, isStale } = this.payload;
    return isRunning() && !isStale() && !this.delivery.closing.aborted && !this.ending.signal.aborted;
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
