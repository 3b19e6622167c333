import { setTimeout as pause } from "node:timers/promises";
import type { Bus } from "../bus/bus.js";
import { Wake } from "../bus/wake.js";
import type { Message } from "../domain/messages.js";
import { AssayError } from "../errors.js";
import { type Log, reasonOf } from "../log.js";
import type { WorkDatabase } from "../store/database.js";
import { markPublished, takeMessages, waitingMessages } from "../store/outbox.js";

const BATCH = 500;

/** What the relay works with. */
export interface RelayOptions {
  readonly database: WorkDatabase;
  readonly bus: Bus;
  readonly log: Log;
  /** How long it waits when nobody wakes it. Default 1000 ms. */
  readonly pollMs?: number;
  /** Messages of one transaction. Default 500. */
  readonly batchSize?: number;
  /** How long the bus may take for a batch before its transaction is given up. Default 5000 ms. */
  readonly publishMs?: number;
  /** A message that waits for longer is an alarm in the log. Default 30,000 ms. */
  readonly alarmMs?: number;
  /** How often it is looked for such messages. Default 5000 ms. */
  readonly alarmPollMs?: number;
}

/** A publication that was given up and may still go through is waited for so long, so that it cannot overtake a later one. */
const STRAGGLER_MS = 60_000;

/**
 * Publishes what transactions wrote into the outbox. A crash between the bus and the commit publishes a message twice,
 * never not at all. Any number of relays may run.
 */
export class Relay {
  private readonly wakeUp = new Wake();
  private readonly stopping = new AbortController();
  private straggler: Promise<void> | undefined;
  private loops: Promise<unknown> = Promise.resolve();
  private late = false;
  private lookedMs = performance.now();

  constructor(private readonly options: RelayOptions) {}

  /** When it last looked into the outbox and could publish what it found, by `performance.now`. */
  get lastLookMs(): number {
    return this.lookedMs;
  }

  /** Begins to publish. */
  start(): void {
    this.loops = Promise.all([this.run(), this.watch()]);
  }

  /** Says that there is something to publish. */
  wake(): void {
    this.wakeUp.ring();
  }

  /** Ends after the batch in hand. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.wakeUp.ring();
    await this.loops;
  }

  /** Publishes one batch and gives its size. Throws when the bus refuses it or does not take it in time. */
  async publishBatch(): Promise<number> {
    const { database, batchSize = BATCH } = this.options;
    await this.stragglerSettled();
    return database.transaction(async (tx) => {
      const messages = await takeMessages(tx, batchSize);
      if (messages.length === 0) return 0;
      await this.publishInTime(messages);
      await markPublished(tx, messages);
      return messages.length;
    });
  }

  /** A bus that hangs must not hold the transaction, its locks and its connection with it. */
  private async publishInTime(messages: readonly Message[]): Promise<void> {
    const { bus, publishMs = 5_000 } = this.options;
    const publishing = bus.publish(messages);
    const inTime = new AbortController();
    const late = pause(publishMs, undefined, { signal: inTime.signal }).then(() => {
      this.straggler = this.settled(publishing, messages);
      throw new AssayError(
        "BUS_UNAVAILABLE",
        `wanted the bus to take ${messages.length} messages within ${publishMs} ms, but it has not answered`,
      );
    });
    try {
      await Promise.race([publishing, late]);
    } finally {
      inTime.abort();
      late.catch(() => undefined); // ended by the line above
    }
  }

  /** Notes the messages of a given up publication after all, if it went through. Never rejects. */
  private async settled(publishing: Promise<void>, messages: readonly Message[]): Promise<void> {
    try {
      await publishing;
      await this.options.database.transaction((tx) => markPublished(tx, messages));
    } catch (error) {
      // They are still in the outbox.
      this.options.log.warn("a late publication failed", { reason: reasonOf(error) });
    }
  }

  private async stragglerSettled(): Promise<void> {
    if (this.straggler === undefined) return;
    await Promise.race([this.straggler, this.wait(STRAGGLER_MS)]);
    this.straggler = undefined;
  }

  private async run(): Promise<void> {
    const { log, pollMs = 1_000, batchSize = BATCH } = this.options;
    while (!this.stopping.signal.aborted) {
      try {
        const published = await this.publishBatch();
        this.lookedMs = performance.now();
        if (published < batchSize) await this.wakeUp.wait(pollMs);
      } catch (error) {
        log.error("messages could not be published", { reason: reasonOf(error) });
        await this.wait(pollMs);
      }
    }
  }

  private async watch(): Promise<void> {
    const { log, alarmPollMs = 5_000 } = this.options;
    while (!this.stopping.signal.aborted) {
      try {
        await this.alarm();
      } catch (error) {
        log.warn("the outbox could not be looked at", { reason: reasonOf(error) });
      }
      await this.wait(alarmPollMs);
    }
  }

  private async alarm(): Promise<void> {
    const { database, log, alarmMs = 30_000 } = this.options;
    const { waiting, oldestSeconds } = await database.transaction(waitingMessages);
    const late = oldestSeconds * 1000 > alarmMs;
    if (late) log.error("messages wait to be published", { waiting, oldestSeconds: Math.round(oldestSeconds) });
    else if (this.late) log.info("no message waits for long any more", { waiting });
    this.late = late;
  }

  private async wait(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.stopping.signal }).catch(() => undefined); // the loops look at why
  }
}
