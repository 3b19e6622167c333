import type { PlannedExperiment } from "./experiment.js";
import { isTerminal, type PlannedRun, type Run, type RunInput } from "./run.js";

// A wave is work that is added to an experiment after it was accepted: failed runs that are tried again, or new cells of its
// grid, and everything that has to be done once more because of them. Whatever is done once more is a new run; the one whose
// work it does is superseded, keeps its history and counts no more.

/** What a wave is planned from, of one run. */
export type WaveRun = Pick<
  Run,
  "id" | "position" | "stage" | "state" | "inputs" | "digest" | "errorClass" | "supersededBy"
>;

/** The experiment to which a wave is added. */
export interface WaveBase {
  /** The stage that is open, or was last. */
  readonly stage: number;
  readonly stageCount: number;
  readonly ended: boolean;
  /** All runs, superseded ones too. */
  readonly runs: readonly WaveRun[];
}

/** A run that does the work of another one again, with other inputs. */
export interface RunCopy {
  readonly id: string;
  /** The run whose work it is. */
  readonly of: string;
  readonly stage: number;
  readonly position: number;
  readonly inputs: readonly RunInput[];
}

/** What is changed in an experiment by a wave. */
export interface Wave {
  /** Where its first runs stand, which wait for nothing. */
  readonly stage: number;
  readonly stageCount: number;
  /** Runs that go back to the queue, into the stage above. */
  readonly requeued: readonly string[];
  readonly copies: readonly RunCopy[];
  readonly added: readonly PlannedRun[];
  readonly superseded: readonly { readonly id: string; readonly by: string }[];
}

/** Runs that may be tried again when a user asks: all that failed, or only those that may fare better without a change. */
export function retriable(runs: readonly WaveRun[], onlyRetryable: boolean): WaveRun[] {
  return runs.filter(
    ({ state, errorClass, supersededBy }) =>
      supersededBy === null &&
      (state === "FAILED" || state === "DEAD") &&
      !(onlyRetryable && errorClass === "BAD_INPUT"),
  );
}

/**
 * Plans another try of failed runs. They go back to the queue as they are; every run that reads what they will make, and did
 * its work without it or was given up for want of it, is planned again behind them.
 */
export function planRetry(base: WaveBase, chosen: ReadonlySet<string>, newId: () => string): Wave {
  const places = new Places(base);
  const requeued: string[] = [];
  const copies: RunCopy[] = [];
  for (const run of inStages(base.runs.filter(counts))) {
    const stands = places.stageFor(run.inputs);
    if (places.isRenewed(run.inputs, run)) {
      const id = newId();
      copies.push({
        id,
        of: run.id,
        stage: stands,
        position: places.nextPosition(),
        inputs: places.renamed(run.inputs),
      });
      places.put(run.id, { id, stage: stands });
    } else if (chosen.has(run.id)) {
      requeued.push(run.id);
      places.put(run.id, { id: run.id, stage: places.open });
    }
  }
  const superseded = copies.map(({ id, of }) => ({ id: of, by: id }));
  return { stage: places.open, stageCount: places.stageCount, requeued, copies, added: [], superseded };
}

/**
 * Plans what a larger plan of the same experiment has beyond it. Runs of equal digests stay as they are, unless they failed,
 * were given up or wait for one that is: then they are planned anew, as all runs that the experiment has not. What the larger plan has no more, which
 * is the report over fewer cells, is superseded by its last run.
 */
export function planExtension(base: WaveBase, planned: PlannedExperiment, newId: () => string): Wave {
  const places = new Places(base);
  const there = new Map(base.runs.filter(counts).map((run) => [run.digest, run]));
  const added: PlannedRun[] = [];
  const superseded: { id: string; by: string }[] = [];
  for (const run of planned.runs) {
    const twin = there.get(run.digest);
    there.delete(run.digest);
    if (twin !== undefined && !isLost(twin) && readsSame(twin.inputs, places.renamed(run.inputs))) {
      places.put(run.id, { id: twin.id, stage: isTerminal(twin.state) ? null : twin.stage });
      continue;
    }
    const id = newId();
    const [stage, inputs] = [places.stageFor(run.inputs), places.renamed(run.inputs)];
    added.push({ ...run, id, stage, position: places.nextPosition(), inputs });
    places.put(run.id, { id, stage });
    if (twin !== undefined) superseded.push({ id: twin.id, by: id });
  }
  const last = added.at(-1);
  if (last !== undefined) for (const { id } of there.values()) superseded.push({ id, by: last.id });
  return { stage: places.open, stageCount: places.stageCount, requeued: [], copies: [], added, superseded };
}

/** Whether two runs of equal digests read from the very same runs, and none of them from one that is planned anew. */
function readsSame(inputs: readonly RunInput[], others: readonly RunInput[]): boolean {
  return inputs.every(({ from }, i) => {
    const other = others[i]?.from;
    return from.kind !== "RUN" || (other?.kind === "RUN" && other.runId === from.runId);
  });
}

function counts(run: WaveRun): boolean {
  return run.supersededBy === null;
}

function isLost({ state }: WaveRun): boolean {
  return state === "FAILED" || state === "DEAD" || state === "CANCELLED";
}

/** Makers before those that read from them. */
function inStages(runs: readonly WaveRun[]): WaveRun[] {
  return [...runs].sort((a, b) => a.stage - b.stage || a.position - b.position);
}

interface Place {
  readonly id: string;
  /** Where it still has to be worked on; null when it is done. */
  readonly stage: number | null;
}

/**
 * Where the runs of a wave stand: one stage behind the last of those that they wait for. What waits for nothing stands in the
 * open stage or, where the experiment has ended, in a new one.
 */
class Places {
  readonly open: number;
  stageCount: number;
  private readonly places: Map<string, Place>;
  private positions: number;

  constructor({ runs, stage, stageCount, ended }: WaveBase) {
    this.open = ended ? stageCount : stage;
    this.stageCount = Math.max(stageCount, this.open + 1);
    this.positions = Math.max(-1, ...runs.map((run) => run.position));
    this.places = new Map(
      runs.map(({ id, state, stage }) => [id, { id, stage: isTerminal(state) ? null : stage }] as const),
    );
  }

  put(name: string, place: Place): void {
    this.places.set(name, place);
    if (place.stage !== null) this.stageCount = Math.max(this.stageCount, place.stage + 1);
  }

  nextPosition(): number {
    this.positions += 1;
    return this.positions;
  }

  stageFor(inputs: readonly RunInput[]): number {
    return Math.max(this.open, ...inputs.map((input) => (this.placeOf(input)?.stage ?? -1) + 1));
  }

  /** Whether a run has to be done again: an input comes from another run now, or later than it was, or would be, worked on. */
  isRenewed(inputs: readonly RunInput[], run: WaveRun): boolean {
    return inputs.some((input) => {
      const place = this.placeOf(input);
      if (place === undefined || input.from.kind !== "RUN") return false;
      return (
        place.id !== input.from.runId || (place.stage !== null && (run.state !== "WAITING" || place.stage >= run.stage))
      );
    });
  }

  renamed(inputs: readonly RunInput[]): RunInput[] {
    return inputs.map((input) => {
      const place = this.placeOf(input);
      return place === undefined || input.from.kind !== "RUN"
        ? input
        : { ...input, from: { ...input.from, runId: place.id } };
    });
  }

  private placeOf({ from }: RunInput): Place | undefined {
    return from.kind === "RUN" ? this.places.get(from.runId) : undefined;
  }
}
