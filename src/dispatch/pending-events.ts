import type { NewEvent } from "../store/events.js";

/** Log lines of one attempt that are kept in memory, and the characters of their text. */
export const linesMax = { lines: 5_000, characters: 2 ** 20 } as const;
/** Share that stays when there are too many, so that it is not sorted through for each further line. */
const KEPT = 0.9;

/**
 * Events of one attempt that are not yet written. A database that is away must not cost the memory of the dispatcher, so log
 * lines are bounded: the oldest go, and a warning says how many did. States, metrics, progress and warnings always stay.
 */
export class PendingEvents {
  private events: NewEvent[] = [];
  private lines = 0;
  private characters = 0;
  private dropped = 0;

  constructor(private readonly runId: string) {}

  /** Adds one at the end. */
  add(event: NewEvent): void {
    this.events.push(event);
    if (event.kind !== "LOG") return;
    this.lines += 1;
    this.characters += charactersOf(event);
    if (this.lines > linesMax.lines || this.characters > linesMax.characters) this.dropOldest();
  }

  /** Adds later ones at the end. */
  append(later: PendingEvents): void {
    this.dropped += later.dropped;
    for (const event of later.events) this.add(event);
  }

  /** All of them in their order, after a warning where lines are missing. */
  all(): NewEvent[] {
    if (this.dropped === 0) return [...this.events];
    const message = `${this.dropped} log lines were dropped, because they could not be written down in time`;
    return [{ runId: this.runId, kind: "WARNING", body: { message } }, ...this.events];
  }

  private dropOldest(): void {
    const [lines, characters] = [linesMax.lines * KEPT, linesMax.characters * KEPT];
    this.events = this.events.filter((event) => {
      if (event.kind !== "LOG" || (this.lines <= lines && this.characters <= characters)) return true;
      this.lines -= 1;
      this.characters -= charactersOf(event);
      this.dropped += 1;
      return false;
    });
  }
}

function charactersOf({ body }: NewEvent): number {
  return String(body["message"] ?? "").length;
}
