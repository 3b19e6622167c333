import type { ExperimentEvent } from "../../domain/experiment.js";
import { isTerminal } from "../../domain/run.js";
import { AssayError } from "../../errors.js";
import type { Log } from "../../log.js";
import { reasonOf } from "../../log.js";
import { eventsAfter } from "../../store/events.js";
import type { Reads } from "../reads.js";
import type { Bell } from "./bell.js";

/** Whose events are followed, and from where. */
export interface Followed {
  readonly experimentId: string;
  /** Only events of this run. */
  readonly runId?: string;
  /** The last sequence that the follower has; 0 for none. */
  readonly afterSequence: number;
}

const LOOK_EVERY_MS = 1_000;
const BATCH = 200;

/**
 * Follows events: replays what the table holds after a sequence, then goes on with what is written. The table is the only
 * source and its sequence is the order of commits, so nothing is missed and nothing comes twice; the bell only says when to
 * look, and without one the table is looked at every second.
 */
export class EventWatch {
  readonly #bell: Bell;
  readonly #log: Log;
  #closed = false;

  constructor(bell: Bell, log: Log) {
    this.#bell = bell;
    this.#log = log;
  }

  /** Ends every follower. */
  close(): void {
    this.#closed = true;
    this.#bell.ringAll();
  }

  /** Ends when the run or experiment has ended and all its events were given. */
  async *follow(reads: Reads, followed: Followed): AsyncGenerator<ExperimentEvent, void, undefined> {
    let last = followed.afterSequence;
    while (!this.#closed) {
      const listening = this.#bell.listen(followed.experimentId, LOOK_EVERY_MS);
      try {
        const { events, ended } = await this.#look(reads, { ...followed, afterSequence: last });
        for (const event of events) {
          yield event;
          last = event.seq;
        }
        if (events.length === BATCH) continue;
        if (ended) return;
        await listening.heard;
      } finally {
        listening.stop();
      }
    }
  }

  async #look(reads: Reads, followed: Followed): Promise<{ events: readonly ExperimentEvent[]; ended: boolean }> {
    const { experimentId, runId, afterSequence } = followed;
    try {
      // In this order: whatever was written before the end was seen is read after it.
      const ended = await hasEnded(reads, followed);
      const events = await reads.within((tx) => eventsAfter(tx, experimentId, { afterSequence, limit: BATCH, runId }));
      return { events, ended };
    } catch (error) {
      if (!(error instanceof AssayError) || !error.retriable) throw error;
      // The database is away; the follower stays and the next look may find it.
      this.#log.warn("events cannot be read just now", { experimentId, reason: reasonOf(error) });
      return { events: [], ended: false };
    }
  }
}

async function hasEnded(reads: Reads, { experimentId, runId }: Followed): Promise<boolean> {
  if (runId !== undefined) {
    const run = await reads.run(runId);
    return run === null || isTerminal(run.state);
  }
  const experiment = await reads.experiment(experimentId);
  return experiment === null || experiment.endedAt !== null;
}
