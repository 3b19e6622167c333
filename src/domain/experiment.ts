import type { Json } from "./digest.js";
import type { CancelMode, PlannedRun, RunState } from "./run.js";

/** What an experiment is about. */
export const capabilities = ["ROBUSTNESS", "RETRIEVAL"] as const;
export type Capability = (typeof capabilities)[number];

/** What was submitted: one capability, one grid. */
export interface Experiment {
  readonly tenantId: string;
  readonly id: string;
  readonly projectId: string;
  readonly capability: Capability;
  readonly name: string;
  readonly spec: Json;
  readonly specSha256: string;
  readonly stage: number;
  readonly stageCount: number;
  readonly openRuns: number;
  /** Runs that count: those that a later one superseded do not. */
  readonly totalRuns: number;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly cancelMode: CancelMode | null;
  readonly cancelReason: string | null;
  readonly cancelRequestedAt: Date | null;
  /** The key that asked for its end first. */
  readonly cancelledBy: string | null;
  /** Since when it is held back; null when it is not, and once it has ended. */
  readonly pausedAt: Date | null;
  readonly endedAt: Date | null;
}

/** An experiment and all its runs, before they are stored. */
export interface PlannedExperiment {
  readonly capability: Capability;
  readonly name: string;
  readonly spec: Json;
  readonly specSha256: string;
  readonly stageCount: number;
  readonly runs: readonly PlannedRun[];
}

/** Derived from the runs, never stored. PARTIAL: ended with a report, but not every run has a complete result. */
export const experimentStates = [
  "QUEUED",
  "RUNNING",
  "PAUSED",
  "CANCELLING",
  "SUCCEEDED",
  "PARTIAL",
  "FAILED",
  "CANCELLED",
] as const;
export type ExperimentState = (typeof experimentStates)[number];

/** How many runs that were not superseded are in each state. */
export type RunCounts = Readonly<Partial<Record<RunState, number>>>;

/** What the states of the runs alone do not tell. */
export interface Completeness {
  /** Whether the last stage's run succeeded. */
  readonly reported: boolean;
  /** Whether a run that succeeded lacks some of its items. */
  readonly partial: boolean;
}

/**
 * The state of an experiment: SUCCEEDED only when every run has a complete result. A pause shows as PAUSED once no pod works
 * on it any more; until then it is RUNNING, because something may still come of that work.
 */
export function experimentState(
  experiment: Pick<Experiment, "cancelRequestedAt" | "pausedAt" | "totalRuns">,
  counts: RunCounts,
  { reported, partial }: Completeness,
): ExperimentState {
  const count = (state: RunState): number => counts[state] ?? 0;
  const ended = count("SUCCEEDED") + count("FAILED") + count("CANCELLED") + count("DEAD");
  if (ended < experiment.totalRuns) {
    if (experiment.cancelRequestedAt !== null) return "CANCELLING";
    const working = count("LEASED") + count("RUNNING");
    if (experiment.pausedAt !== null) return working > 0 ? "RUNNING" : "PAUSED";
    return working + count("RETRY_WAIT") + ended > 0 ? "RUNNING" : "QUEUED";
  }
  if (count("SUCCEEDED") === experiment.totalRuns && !partial) return "SUCCEEDED";
  if (reported) return "PARTIAL";
  return experiment.cancelRequestedAt !== null ? "CANCELLED" : "FAILED";
}

/** Something that happened to an experiment, in commit order. */
export interface ExperimentEvent {
  readonly tenantId: string;
  readonly experimentId: string;
  readonly seq: number;
  readonly runId: string | null;
  readonly kind: EventKind;
  readonly body: { readonly [key: string]: Json };
  readonly at: Date;
}

/** STATE {state, reason?}; LOG, WARNING {message}; METRIC {name, value, step}; PROGRESS {stage, completed, total}; EXPERIMENT {state}. */
export const eventKinds = ["STATE", "LOG", "METRIC", "PROGRESS", "WARNING", "EXPERIMENT"] as const;
export type EventKind = (typeof eventKinds)[number];
