import type { Bus } from "../bus/bus.js";
import { Wake } from "../bus/wake.js";
import { type Log, reasonOf } from "../log.js";
import type { WorkDatabase } from "../store/database.js";
import { markPublished, takeMessages } from "../store/outbox.js";

/** What the relay works with. */
export interface RelayOptions {
  readonly database: WorkDatabase;
  readonly bus: Bus;
  readonly log: Log;
  /** How long it waits when nobody wakes it. Default 1000 ms. */
  readonly pollMs?: number;
  /** Messages of one transaction. Default 200. */
  readonly batchSize?: number;
}

/**
 * Publishes what transactions wrote into the outbox. A crash between the bus and the commit publishes a message twice,
 * never not at all. Any number of relays may run.
 */
export class Relay {
  private readonly wakeUp = new Wake();
  private stopped = false;
  private loop: Promise<void> = Promise.resolve();
  private lookedMs = performance.now();

  constructor(private readonly options: RelayOptions) {}

  /** When it last looked into the outbox and could publish what it found, by `performance.now`. */
  get lastLookMs(): number {
    return this.lookedMs;
  }

  /** Begins to publish. */
  start(): void {
    this.loop = this.run();
  }

  /** Says that there is something to publish. */
  wake(): void {
    this.wakeUp.ring();
  }

  /** Ends after the batch in hand. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.wakeUp.ring();
    await this.loop;
  }

  /** Publishes one batch and gives its size. */
  publishBatch(): Promise<number> {
    const { database, bus, batchSize = 200 } = this.options;
    return database.transaction(async (tx) => {
      const messages = await takeMessages(tx, batchSize);
      if (messages.length === 0) return 0;
      await bus.publish(messages);
      await markPublished(tx, messages);
      return messages.length;
    });
  }

  private async run(): Promise<void> {
    const { log, pollMs = 1000 } = this.options;
    while (!this.stopped) {
      try {
        const published = await this.publishBatch();
        this.lookedMs = performance.now();
        if (published === 0) await this.wakeUp.wait(pollMs);
      } catch (error) {
        log.error("messages could not be published", { reason: reasonOf(error) });
        await this.wakeUp.wait(pollMs);
      }
    }
  }
}
