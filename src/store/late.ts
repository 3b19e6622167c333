import { newId } from "../domain/digest.js";
import type { Attempt, RunState } from "../domain/run.js";
import type { Lease } from "./claims.js";
import { statement, type Transaction } from "./transaction.js";

/** What became of something that was said for an attempt. */
export type Ending =
  /** It counted; the run is in this state now. */
  | { readonly kind: "COUNTED"; readonly state: RunState }
  /** The same was said before and counted then. */
  | { readonly kind: "REPEATED" }
  /** The attempt no longer holds the run: it is kept as evidence and changed nothing. */
  | { readonly kind: "STALE" };

/** What a run shows to somebody who says something for one of its attempts. */
export interface FenceRow {
  readonly epoch: number;
  readonly state: RunState;
  readonly outcome: Attempt["outcome"];
  readonly contentSha256: string | null;
}

const fence = statement(
  "end-fence",
  `select r.epoch, r.state, a.outcome, result.content_sha256 as "contentSha256" from run r
   left join attempt a on a.tenant_id = r.tenant_id and a.run_id = r.id and a.epoch = $3
   left join result on result.tenant_id = r.tenant_id and result.run_id = r.id and result.epoch = $3
   where r.tenant_id = $1 and r.id = $2`,
);

/** Reads the run's fence; undefined when there is no such run. */
export async function readFence(tx: Transaction, lease: Lease): Promise<FenceRow | undefined> {
  return (await tx.rows<FenceRow>(fence, keyOf(lease)))[0];
}

/** Tells a repetition, whose answer was lost on the way, from a writer that lost its lease. */
export async function late(
  tx: Transaction,
  lease: Lease,
  row: FenceRow | undefined,
  said: { outcome: Attempt["outcome"]; contentSha256: string | null },
): Promise<Ending> {
  if (row === undefined) return { kind: "STALE" };
  if (row.outcome === said.outcome && row.contentSha256 === said.contentSha256) return { kind: "REPEATED" };
  await noteLate(tx, lease, row, said.outcome ?? "nothing");
  return { kind: "STALE" };
}

const writeLate = statement(
  "end-late",
  `insert into late_write (tenant_id, id, run_id, epoch_seen, epoch_current, state_seen, what)
   values ($1, $2, $3, $4, $5, $6, $7)`,
);

/** Keeps what was said as evidence. */
export async function noteLate(tx: Transaction, lease: Lease, row: FenceRow, what: string): Promise<void> {
  await tx.run(writeLate, [lease.tenantId, newId(), lease.runId, lease.epoch, row.epoch, row.state, what]);
}

/** The parameters that name an attempt. */
export function keyOf(lease: Lease): [string, string, number] {
  return [lease.tenantId, lease.runId, lease.epoch];
}
