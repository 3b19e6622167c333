import { readFileSync } from "node:fs";
import type { LoggedCall } from "./client-log.js";
import { type Observation, publishedIds, repeatsOf } from "./observations.js";
import type { Query } from "./rule.js";
import { filesOf } from "./secrets.js";

const counts = {
  runs: "select count(*) from run",
  succeeded: "select count(*) from run where state = 'SUCCEEDED'",
  attempts: "select count(*) from attempt",
  /** What a writer said that had lost its lease, refused and kept. */
  rejectedZombies:
    "select count(*) from late_write where epoch_seen < epoch_current or state_seen not in ('LEASED', 'RUNNING', 'CANCELLING')",
  /** Results that came after the user had cancelled. */
  lateForCancel: "select count(*) from late_write where state_seen = 'CANCELLING'",
  leaseExpiries: "select count(*) from attempt where error_code = 'LEASE_EXPIRED'",
  lostAttempts: "select count(*) from attempt where outcome = 'LOST'",
  refusals: "select count(*) from attempt where outcome = 'REFUSED'",
  retries: `select count(*) from attempt a where outcome = 'FAILED'
            and exists (select 1 from attempt b where b.tenant_id = a.tenant_id and b.run_id = a.run_id and b.epoch > a.epoch)`,
  resumes: "select count(*) from attempt where resumed_from_step is not null",
  checkpoints: "select count(*) from checkpoint",
  brokenCheckpoints: "select count(*) from checkpoint where broken_at is not null",
  releases: "select count(*) from attempt where outcome = 'RELEASED'",
  cancels: "select count(*) from run_event where from_state = 'CANCELLING' and to_state = 'CANCELLED'",
  pauses: "select count(*) from run_event where to_state = 'PAUSED'",
  replays: "select count(*) from run_event where from_state in ('FAILED', 'DEAD') and to_state = 'QUEUED'",
  stagesOpened: "select count(*) from run_event where from_state = 'WAITING' and to_state = 'QUEUED'",
  deadLetters: "select count(*) from dead_letter",
  poisonMessages: "select count(*) from poison_message",
  reuses: "select count(*) from run where reused_from is not null",
  /** Messages that came again after they were noted. */
  duplicatesDropped: "select coalesce(sum(copies - 1), 0) from inbox",
} as const;

type Counted = keyof typeof counts | "adoptions" | "republished" | "resubmits" | "lostReplies" | "contestedClaims";

/** How often things happened that a fault run must have seen, or it has shown nothing. */
export type Facts = Readonly<Record<Counted, number>>;

/** What else there is to count from. */
export interface FactSources {
  readonly calls: readonly LoggedCall[];
  readonly observations: readonly Observation[];
  /** Files or folders of JSON log lines. */
  readonly logs: readonly string[];
  readonly contested: number;
}

/** Counts what happened. */
export async function factsOf(query: Query, sources: FactSources): Promise<Facts> {
  const columns = Object.entries(counts).map(([name, sql]) => `(${sql})::int as "${name}"`);
  const [row] = await query<Record<keyof typeof counts, number>>(`select ${columns.join(", ")}`);
  if (row === undefined) throw new RangeError("wanted one row of counts, but got none");
  const { calls, observations, logs, contested } = sources;
  const acknowledged = calls.filter(({ outcome, key }) => outcome?.kind === "ACKNOWLEDGED" && key !== undefined);
  return {
    ...row,
    adoptions: logs.flatMap(filesOf).reduce((sum, path) => sum + adoptionsIn(path), 0),
    republished: repeatsOf(publishedIds(observations)),
    resubmits: repeatsOf(acknowledged.map(({ operation, key }) => `${operation} ${key}`)),
    lostReplies: calls.filter(({ outcome }) => outcome === null || outcome.kind === "LOST").length,
    contestedClaims: contested,
  };
}

function adoptionsIn(path: string): number {
  return readFileSync(path, "utf8").split('"message":"adopts a run"').length - 1;
}

/** Names of the facts that should have happened at least once and did not. */
export function missingFacts(facts: Facts, wanted: readonly (keyof Facts)[]): string[] {
  return wanted.filter((name) => facts[name] === 0);
}

/** Facts of several runs together. */
export function addFacts(all: readonly Facts[]): Facts {
  const [first, ...rest] = all;
  if (first === undefined) throw new RangeError("wanted the facts of at least one run, but got none");
  const sum = { ...first };
  for (const facts of rest) for (const name of factNames(sum)) sum[name] += facts[name];
  return sum;
}

/** The names of all facts. */
export function factNames(facts: Facts): (keyof Facts)[] {
  return (Object.keys(facts) as (keyof Facts)[]).sort(); // `Facts` has exactly these keys
}
