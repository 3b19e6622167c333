import { AssayError } from "../errors.js";
import { type Log, reasonOf } from "../log.js";
import type { Lease } from "../store/claims.js";
import type { ExperimentKey, NewEvent } from "../store/events.js";
import { noteNews, type RunNews } from "../store/leases.js";
import type { ExperimentWriter } from "./experiment-writer.js";
import { PendingEvents } from "./pending-events.js";

interface Pending {
  readonly lease: Lease;
  sequence: number;
  progress: RunNews["progress"];
  readonly events: PendingEvents;
}

interface Desk {
  readonly key: ExperimentKey;
  readonly pending: Map<string, Pending>;
  timer: NodeJS.Timeout | undefined;
}

/** What is gathered before it is written, unless an attempt ends first. */
export interface NewsItem {
  readonly sequence: number;
  readonly event: NewEvent | null;
  readonly progress: RunNews["progress"];
}

/** Gathers progress, log lines and metrics, and writes those of one experiment together, at most every `intervalMs`. */
export class News {
  private readonly desks = new Map<string, Desk>();

  constructor(
    private readonly writer: ExperimentWriter,
    private readonly log: Log,
    private readonly intervalMs: number,
  ) {}

  /** Adds something that an attempt's pod said. */
  add(lease: Lease, item: NewsItem): void {
    const desk = this.desk(lease);
    const name = nameOf(lease);
    const pending = desk.pending.get(name) ?? {
      lease,
      sequence: 0,
      progress: null,
      events: new PendingEvents(lease.runId),
    };
    desk.pending.set(name, pending);
    pending.sequence = item.sequence;
    pending.progress = item.progress ?? pending.progress;
    if (item.event !== null) pending.events.add(item.event);
    desk.timer ??= setTimeout(() => void this.flush(desk), this.intervalMs);
  }

  /** Takes out what waits for an attempt, for whoever writes it together with the attempt's end. */
  take(lease: Lease): NewEvent[] {
    const desk = this.desks.get(lease.experimentId);
    const pending = desk?.pending.get(nameOf(lease));
    desk?.pending.delete(nameOf(lease));
    return pending?.events.all() ?? [];
  }

  /** Writes everything that waits, and nothing afterwards. */
  async close(): Promise<void> {
    await Promise.all([...this.desks.values()].map((desk) => this.flush(desk)));
    for (const desk of this.desks.values()) clearTimeout(desk.timer);
    this.desks.clear();
  }

  private desk(lease: Lease): Desk {
    const found = this.desks.get(lease.experimentId);
    if (found !== undefined) return found;
    const { tenantId, experimentId } = lease;
    const made: Desk = { key: { tenantId, experimentId }, pending: new Map(), timer: undefined };
    this.desks.set(experimentId, made);
    return made;
  }

  /** Never rejects. While the database cannot be reached, everything waits on, but for log lines beyond their bound. */
  private async flush(desk: Desk): Promise<void> {
    clearTimeout(desk.timer);
    desk.timer = undefined;
    const taken = [...desk.pending.values()];
    desk.pending.clear();
    if (taken.length === 0) {
      this.desks.delete(desk.key.experimentId);
      return;
    }
    const news = taken.map(({ lease, sequence, progress, events }): RunNews => {
      const { runId, epoch } = lease;
      return { runId, epoch, sequence, progress, events: events.all() };
    });
    try {
      await this.writer.write(desk.key, (scope) => noteNews(scope, news));
      if (desk.pending.size === 0 && desk.timer === undefined) this.desks.delete(desk.key.experimentId);
    } catch (error) {
      if (error instanceof AssayError && error.retriable) this.putBack(desk, taken);
      this.log.error("events of runs could not be written", {
        experimentId: desk.key.experimentId,
        reason: reasonOf(error),
      });
    }
  }

  private putBack(desk: Desk, taken: readonly Pending[]): void {
    for (const before of taken) {
      const name = nameOf(before.lease);
      const since = desk.pending.get(name);
      if (since !== undefined) before.events.append(since.events);
      const progress = since?.progress ?? before.progress;
      desk.pending.set(name, { ...before, ...since, progress, events: before.events });
    }
    desk.timer ??= setTimeout(() => void this.flush(desk), this.intervalMs);
  }
}

function nameOf(lease: Lease): string {
  return `${lease.runId}:${lease.epoch}`;
}
