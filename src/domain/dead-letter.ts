import type { ErrorClass } from "./run.js";

/** What is kept of a run that was given up: one for each time that it became DEAD. */
export interface DeadLetter {
  readonly tenantId: string;
  readonly id: string;
  readonly experimentId: string;
  readonly runId: string;
  /** The run's epoch when it died. */
  readonly epoch: number;
  /** The class of its last error, or POD_LOST. */
  readonly reason: string;
  readonly errorClass: ErrorClass | null;
  readonly errorCode: string | null;
  /** Null once it was purged. */
  readonly lastError: string | null;
  /** The end of what the run said; null where it said nothing, and once it was purged. */
  readonly logTail: string | null;
  readonly at: Date;
  /** When its run was tried again; null while it waits for that. */
  readonly replayedAt: Date | null;
  readonly purgedAt: Date | null;
}

/** Which dead letters are meant; those of a project that match everything that is given. */
export interface DeadLetterFilter {
  readonly experimentId?: string | undefined;
  readonly reason?: string | undefined;
  readonly code?: string | undefined;
  /** Only those of runs that died earlier. */
  readonly diedBefore?: Date | undefined;
  readonly replayed?: boolean | undefined;
  readonly purged?: boolean | undefined;
}
