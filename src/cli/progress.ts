import type { ExperimentEvent, Run } from "../../clients/typescript/index.js";

/** What a run costs beside an SFT run, roughly; only the bar's pace depends on it. */
const weights: Readonly<Record<string, number>> = {
  prepare: 2,
  warmup: 1,
  tune: 1,
  select: 0.05,
  BASE: 0.4,
  START: 0.4,
  SFT: 1,
  DPO: 1.5,
  KTO: 1.5,
  report: 0.2,
  corpus: 0.1,
  encode: 2,
  queries: 0.1,
  expand: 0.3,
  teach: 2,
  RIDGE: 0.3,
  RIDGE_SHUFFLED: 0.3,
};

/** Share of a train run that training takes; scoring is the rest. */
const trainingShare = 0.6;

const ended = new Set(["SUCCEEDED", "FAILED", "CANCELLED", "DEAD"]);
const barWidth = 24;

/** How far an experiment is, from its events. */
export class Progress {
  private readonly runs: ReadonlyMap<string, Run>;
  private readonly done = new Map<string, number>();
  private readonly endedRuns = new Set<string>();
  private current = "";

  constructor(
    runs: readonly Run[],
    private readonly now: () => number = Date.now,
    private readonly startedAt: number = now(),
  ) {
    this.runs = new Map(runs.map((run) => [run.id, run]));
  }

  /** Takes an event in; true when the shown state may have changed. */
  take({ kind, run, state, progress }: ExperimentEvent): boolean {
    const known = run === null ? undefined : this.runs.get(run.id);
    if (known === undefined) return false;
    if (kind === "STATE" && state !== null) {
      if (ended.has(state)) this.endedRuns.add(known.id);
      // A run that is tried again starts over.
      if (state === "RETRY_WAIT" || state === "QUEUED") this.done.set(known.id, 0);
      return true;
    }
    if (kind !== "PROGRESS" || progress === null || progress.total <= 0) return false;
    const share = progress.completed / progress.total;
    this.done.set(known.id, withinRun(progress.stage, share, known.cell));
    this.current = `${nameOf(known)}, ${progress.stage} ${progress.completed}/${progress.total}`;
    return true;
  }

  /** Share of the work that is done, 0 to 1. */
  fraction(): number {
    let all = 0;
    let done = 0;
    for (const run of this.runs.values()) {
      const weight = weights[kindOf(run)] ?? 1;
      all += weight;
      done += weight * (this.endedRuns.has(run.id) ? 1 : (this.done.get(run.id) ?? 0));
    }
    return all === 0 ? 0 : done / all;
  }

  /** Seconds that are left at the pace so far, or undefined while there is none. */
  secondsLeft(): number | undefined {
    const fraction = this.fraction();
    const elapsed = (this.now() - this.startedAt) / 1000;
    return fraction < 0.02 || elapsed < 3 ? undefined : (elapsed / fraction) * (1 - fraction);
  }

  /** One line for people. */
  line(): string {
    const fraction = this.fraction();
    const filled = Math.round(fraction * barWidth);
    const bar = `${"#".repeat(filled)}${"-".repeat(barWidth - filled)}`;
    const left = this.secondsLeft();
    const eta = left === undefined ? "" : ` about ${duration(left)} left;`;
    return `[${bar}] ${String(Math.floor(100 * fraction)).padStart(3)}% ${this.endedRuns.size}/${this.runs.size} runs;${eta} ${this.current}`;
  }
}

function kindOf({ cell, step }: Pick<Run, "cell" | "step">): string {
  if (cell === null) return step;
  return cell.__typename === "RetrievalCell" ? cell.system : cell.method;
}

function withinRun(stage: string, share: number, cell: Run["cell"]): number {
  if (cell === null || cell.__typename === "RetrievalCell") return share;
  if (cell.method === "BASE" || cell.method === "START") return share;
  if (stage === "training") return trainingShare * share;
  if (stage === "scoring") return trainingShare + (1 - trainingShare) * share;
  return 0;
}

/** What a run is, in a few words. */
export function nameOf({ step, cell, seed }: Pick<Run, "step" | "cell" | "seed">): string {
  const what = cell === null ? step : cellName(cell);
  return seed === null ? what : `${what}, seed ${seed}`;
}

function cellName(cell: NonNullable<Run["cell"]>): string {
  if (cell.__typename === "RetrievalCell") {
    const { system, alpha, fold } = cell;
    return `${system}${system === "SOFTQE_MIXED" ? ` ${alpha}` : ""}${fold === 0 ? "" : `, fold ${fold}`}`;
  }
  const { method, spuriousness, task } = cell;
  return `${spuriousness === null ? method : `${method} at ${spuriousness}`}${task ? `, ${task}` : ""}`;
}

/** Seconds in words: "45 s", "3 min 20 s". */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
