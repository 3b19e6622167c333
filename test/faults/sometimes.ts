import type { Facts } from "./facts.js";

/** What a fault run must have seen at least once, or it has shown nothing. */
export const sometimes = [
  "succeeded",
  "rejectedZombies",
  "duplicatesDropped",
  "republished",
  "resumes",
  "leaseExpiries",
  "lostAttempts",
  "adoptions",
  "retries",
  "cancels",
  "pauses",
  "resubmits",
  "lostReplies",
  "stagesOpened",
] as const satisfies readonly (keyof Facts)[];
