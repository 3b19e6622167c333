import type { Json } from "./digest.js";

/** Every state of a run. `migrations/` repeats the transitions for the trigger; a test holds the two together. */
export const runStates = [
  "WAITING",
  "QUEUED",
  "LEASED",
  "RUNNING",
  "RETRY_WAIT",
  "PAUSED",
  "CANCELLING",
  "SUCCEEDED",
  "FAILED",
  "CANCELLED",
  "DEAD",
] as const;
export type RunState = (typeof runStates)[number];

/** The states that each state may go to; SUCCEEDED and CANCELLED are left never, FAILED and DEAD only by a user's wish. */
export const transitions: Readonly<Record<RunState, readonly RunState[]>> = {
  WAITING: ["QUEUED", "CANCELLED"],
  QUEUED: ["LEASED", "PAUSED", "CANCELLED"],
  RETRY_WAIT: ["LEASED", "PAUSED", "CANCELLED", "DEAD"],
  PAUSED: ["QUEUED", "CANCELLED"],
  LEASED: ["RUNNING", "SUCCEEDED", "FAILED", "RETRY_WAIT", "DEAD", "CANCELLING", "QUEUED"],
  RUNNING: ["SUCCEEDED", "FAILED", "RETRY_WAIT", "DEAD", "CANCELLING", "QUEUED", "PAUSED"],
  CANCELLING: ["CANCELLED", "SUCCEEDED"],
  SUCCEEDED: [],
  FAILED: ["QUEUED"],
  CANCELLED: [],
  DEAD: ["QUEUED"],
};

/** States in which nothing more happens by itself. */
export const terminalStates = ["SUCCEEDED", "FAILED", "CANCELLED", "DEAD"] as const satisfies readonly RunState[];

/** Whether the run has ended. */
export function isTerminal(state: RunState): boolean {
  return terminalStates.some((terminal) => terminal === state);
}

/** Why an attempt failed, which decides what happens next. */
export const errorClasses = ["BAD_INPUT", "TRANSIENT", "OVERLOAD", "OOM", "POISON", "UNKNOWN"] as const;
export type ErrorClass = (typeof errorClasses)[number];

/** A file that a run reads: an artifact of an earlier run of the experiment, or one that is there already. */
export interface RunInput {
  readonly name: string;
  readonly from:
    | { readonly kind: "RUN"; readonly runId: string; readonly artifact: string }
    | { readonly kind: "ARTIFACT"; readonly sha256: string };
  /** A run whose required input never came is not worked on. */
  readonly required: boolean;
}

/** How far a run is, as its pod last said. */
export interface RunProgress {
  readonly stage: string;
  readonly completed: number;
  readonly total: number;
  /** ISO-8601, by the database's clock. */
  readonly at: string;
}

/** A run before it is stored. */
export interface PlannedRun {
  readonly id: string;
  readonly position: number;
  readonly stage: number;
  readonly step: string;
  /** Which cell of the grid it is; null for steps that are none. */
  readonly cell: Json;
  readonly seed: number | null;
  readonly digest: string;
  readonly spec: string;
  readonly specSha256: string;
  readonly inputs: readonly RunInput[];
}

/** A run as it is stored. */
export interface Run extends PlannedRun {
  readonly tenantId: string;
  readonly experimentId: string;
  readonly state: RunState;
  readonly stateReason: string | null;
  readonly partial: boolean;
  readonly priority: number;
  readonly epoch: number;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly disruptions: number;
  /** 1 for the micro-batch of the spec, 2 for half of it, 4 for a quarter: raised when memory ran out. */
  readonly microBatchDivisor: number;
  readonly leaseOwner: string | null;
  readonly leaseUntil: Date | null;
  readonly notBefore: Date;
  readonly cancelMode: CancelMode | null;
  readonly errorClass: ErrorClass | null;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
  readonly errorStage: string | null;
  readonly progress: RunProgress | null;
  readonly acceptedAt: Date;
  readonly terminalAt: Date | null;
  /** The later run that does this one's work, after a retry or an extension; then this one counts no more. */
  readonly supersededBy: string | null;
  /** The equal run that it was answered from; null when it was worked on itself, or has no result yet. */
  readonly reusedFrom: string | null;
}

/** How an experiment is ended early: at the next step, at the next step with what there is scored, or at once. */
export type CancelMode = "GRACEFUL" | "SCORE_PARTIAL" | "IMMEDIATE";

/** How a pod is asked to stop. RELEASE: at the next checkpoint, so that the run goes on later or elsewhere. */
export type StopMode = CancelMode | "RELEASE";

/** The modes that a user may ask for: those that do what they say. */
export const offeredCancelModes = ["GRACEFUL", "SCORE_PARTIAL", "IMMEDIATE"] as const satisfies readonly CancelMode[];

/**
 * How a try ended. LOST: its pod or lease was gone; REFUSED: no pod took it; RELEASED: it stopped at a checkpoint and went back
 * to the queue; REUSED: it was answered from an equal run and worked on by no pod.
 */
export const attemptOutcomes = ["SUCCEEDED", "FAILED", "CANCELLED", "LOST", "REFUSED", "RELEASED", "REUSED"] as const;
export type AttemptOutcome = (typeof attemptOutcomes)[number];

/** One try of a run on one pod. */
export interface Attempt {
  readonly tenantId: string;
  readonly runId: string;
  readonly epoch: number;
  readonly dispatcherId: string;
  readonly podId: string | null;
  readonly podAddress: string | null;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
  readonly outcome: AttemptOutcome | null;
  readonly errorClass: ErrorClass | null;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
  /** Training steps done when it ended, as its pod said; null where none were heard of. */
  readonly lastStep: number | null;
  /** The step of the checkpoint that it went on from; null when it began at the beginning. */
  readonly resumedFromStep: number | null;
}

/** What is done with a run whose attempt failed. */
export interface Verdict {
  readonly state: "FAILED" | "RETRY_WAIT" | "DEAD" | "QUEUED";
  /** Seconds to wait at most before the next try; the caller draws between 0 and this. */
  readonly backoffSecondsMax: number;
  /** Into how many parts the next try divides a step's batch. */
  readonly microBatchDivisor: number;
}

/** What a verdict is made from. */
export interface FailedRun extends Pick<Run, "attempt" | "maxAttempts" | "disruptions" | "microBatchDivisor"> {
  /** Attempts, this one included, whose pod or process was lost since the run last wrote a checkpoint. */
  readonly fruitless: number;
}

const MAX_DISRUPTIONS = 20;
const MAX_UNKNOWN = 2;
const MAX_FRUITLESS = 3;
const MAX_DIVISOR = 4;

/**
 * Decides what follows a failed attempt. `attempt` counts the tries that were used up, this one included; `disruptions` the lost ones.
 * BAD_INPUT is final; OVERLOAD costs nothing; a lost lease is a disruption and uses no attempt, up to 20. Where memory ran out, the
 * next try takes half the micro-batch, down to a quarter of the first. A run that took three pods or processes with it and moved
 * nothing is DEAD.
 */
export function afterFailure(errorClass: ErrorClass | "LOST", run: FailedRun): Verdict {
  const { microBatchDivisor } = run;
  const end = (state: "FAILED" | "DEAD"): Verdict => ({ state, backoffSecondsMax: 0, microBatchDivisor });
  switch (errorClass) {
    case "BAD_INPUT":
      return end("FAILED");
    case "OVERLOAD":
      return { state: "QUEUED", backoffSecondsMax: 2, microBatchDivisor };
    case "LOST":
      if (run.disruptions >= MAX_DISRUPTIONS || run.fruitless >= MAX_FRUITLESS) return end("DEAD");
      return { state: "RETRY_WAIT", backoffSecondsMax: 0, microBatchDivisor };
    case "TRANSIENT":
      return retryWithin(run, run.maxAttempts);
    case "OOM":
      if (microBatchDivisor >= MAX_DIVISOR) return end("FAILED");
      return retryWithin({ ...run, microBatchDivisor: 2 * microBatchDivisor }, run.maxAttempts);
    case "POISON":
      return run.fruitless >= MAX_FRUITLESS ? end("DEAD") : retryWithin(run, run.maxAttempts);
    case "UNKNOWN":
      return retryWithin(run, Math.min(run.maxAttempts, MAX_UNKNOWN));
    default:
      return errorClass satisfies never;
  }
}

function retryWithin({ attempt, microBatchDivisor }: FailedRun, maxAttempts: number): Verdict {
  return attempt >= maxAttempts
    ? { state: "DEAD", backoffSecondsMax: 0, microBatchDivisor }
    : { state: "RETRY_WAIT", backoffSecondsMax: Math.min(300, 2 * 2 ** attempt), microBatchDivisor };
}
