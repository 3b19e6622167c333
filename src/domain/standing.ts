import { fitsDay, startTag } from "./share.js";

/** Why a run is in its state, where there is more to say. The first four are not stored for runs in the queue but found when they are read. */
export const stateReasons = [
  "WAITING_FOR_CAPACITY",
  "WAITING_FOR_QUOTA",
  "WAITING_FOR_FAIR_SHARE",
  "WAITING_FOR_DEPENDENCY",
  "RETRYING",
  "POD_LOST",
  "RELEASED",
  "USER_REQUEST",
  "DEPENDENCY_FAILED",
  "SUPERSEDED",
  "REUSED",
] as const;
export type StateReason = (typeof stateReasons)[number];

/** What a tenant may have and has at this moment. A bound that is null does not bind. */
export interface Standing {
  readonly tenantId: string;
  readonly weight: number;
  readonly queuedMax: number;
  /** Runs that wait: for their stage, a pod, another try or to be resumed. */
  readonly waiting: number;
  readonly runningMax: number | null;
  readonly running: number;
  readonly submitsPerMinute: number | null;
  /** Compute seconds of a day by UTC. */
  readonly secondsMax: number | null;
  readonly secondsUsed: number;
  /** Set aside for runs in work. */
  readonly secondsReserved: number;
  readonly resetsAt: Date;
  /** Seconds that the next run of the queue is thought to take; null when none may start. */
  readonly nextCost: number | null;
  readonly v: number;
  readonly clock: number;
  /** Tenants that had a run to claim when one was claimed last. */
  readonly contenders: number;
}

/** Why the tenant's runs in the queue have not been claimed yet. */
export function whyWaiting(standing: Standing): StateReason {
  const { runningMax, running, secondsMax, secondsUsed, secondsReserved, nextCost, v, clock, contenders } = standing;
  const day = { limit: secondsMax, committed: secondsUsed + secondsReserved };
  if ((runningMax !== null && running >= runningMax) || !fitsDay(day, nextCost ?? 0)) return "WAITING_FOR_QUOTA";
  // Its next start tag lies ahead of what was served last, and it is not alone.
  return contenders > 1 && startTag(clock, v) > clock ? "WAITING_FOR_FAIR_SHARE" : "WAITING_FOR_CAPACITY";
}
