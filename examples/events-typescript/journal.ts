import { existsSync, fsyncSync, openSync, readFileSync, truncateSync, writeSync } from "node:fs";
import type { ExperimentEvent } from "./api.ts";

interface Line extends ExperimentEvent {
  readonly experimentId: string;
  /** The record that rang for events up to this one; null where more of them follow. */
  readonly bellId: string | null;
}

/** Records that are remembered; one that comes again later only costs a question to the API. */
const BELLS_MAX = 10_000;

/**
 * The events that were taken, a JSON object a line. The file is the position too: one write says both what happened and how
 * far the consumer is, so neither can be true without the other. A service would write both in one transaction of its database.
 */
export class Journal {
  readonly #last = new Map<string, number>();
  readonly #bells = new Set<string>();
  readonly #descriptor: number;

  private constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** Opens the file, cuts off a line that a crash left half written, and finds out how far it goes. */
  static open(path: string): Journal {
    const bytes = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
    const whole = bytes.lastIndexOf(10) + 1;
    if (whole < bytes.length) truncateSync(path, whole);
    const journal = new Journal(openSync(path, "a"));
    for (const text of bytes.toString("utf8", 0, whole).split("\n").filter(Boolean)) {
      journal.#note(JSON.parse(text));
    }
    return journal;
  }

  /** The last event of the experiment that is in the file; 0 for none. */
  lastSequence(experimentId: string): number {
    return this.#last.get(experimentId) ?? 0;
  }

  /** Whether everything that the record with this id rang for is in the file. */
  knows(bellId: string): boolean {
    return this.#bells.has(bellId);
  }

  /** Writes events behind the last ones; they are on disk when this returns. */
  append(experimentId: string, events: readonly ExperimentEvent[], bellId: string | null): void {
    const last = events.length - 1;
    const lines = events.map((event, i): Line => ({ experimentId, bellId: i === last ? bellId : null, ...event }));
    writeSync(this.#descriptor, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    fsyncSync(this.#descriptor);
    for (const line of lines) this.#note(line);
  }

  #note({ experimentId, sequence, bellId }: Line): void {
    this.#last.set(experimentId, sequence);
    if (bellId === null) return;
    this.#bells.add(bellId);
    const [oldest] = this.#bells;
    if (oldest !== undefined && this.#bells.size > BELLS_MAX) this.#bells.delete(oldest);
  }
}
