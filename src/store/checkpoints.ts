import type { Lease } from "./claims.js";
import { keyOf } from "./late.js";
import { statement, type Transaction } from "./transaction.js";

/** A file from which a later attempt of a run can go on. */
export interface Checkpoint {
  /** Training steps that it holds. */
  readonly step: number;
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** A checkpoint as it is stored, with the epoch of the attempt that wrote it. */
export interface StoredCheckpoint extends Checkpoint {
  readonly epoch: number;
}

/** Where an attempt begins. */
export interface ResumePoint {
  /** The furthest checkpoint that is not known to be broken; null to begin at the beginning. */
  readonly checkpoint: StoredCheckpoint | null;
  /** Into how many parts a step's batch is divided. */
  readonly microBatchDivisor: number;
}

/** How a run begins that was never tried. */
export const atTheBeginning: ResumePoint = { checkpoint: null, microBatchDivisor: 1 };

const add = statement(
  "checkpoint-add",
  `with live as (
     select tenant_id, id, epoch from run
     where tenant_id = $1 and id = $2 and epoch = $3 and state in ('LEASED', 'RUNNING', 'CANCELLING')
   ), stored as (
     insert into artifact (tenant_id, sha256, size_bytes) select tenant_id, $5, $6 from live on conflict do nothing
   )
   insert into checkpoint (tenant_id, run_id, epoch, step, sha256) select tenant_id, id, epoch, $4, $5 from live
   on conflict do nothing`,
);

/** Keeps a checkpoint whose file was seen to be whole. False when the attempt's lease is lost, or the step was kept before. */
export async function addCheckpoint(tx: Transaction, lease: Lease, checkpoint: Checkpoint): Promise<boolean> {
  const { step, sha256, sizeBytes } = checkpoint;
  return (await tx.run(add, [...keyOf(lease), step, sha256, sizeBytes])) === 1;
}

const find = statement(
  "checkpoint-find",
  `select r.micro_batch_divisor as divisor, c.epoch, c.step::float8 as step, c.sha256, a.size_bytes::float8 as size
   from run r
   left join lateral (
     select * from checkpoint c where c.tenant_id = r.tenant_id and c.run_id = r.id and c.broken_at is null
     order by c.step desc, c.epoch desc limit 1
   ) c on true
   left join artifact a on a.tenant_id = c.tenant_id and a.sha256 = c.sha256
   where r.tenant_id = $1 and r.id = $2 and r.epoch = $3`,
);

interface FoundRow {
  readonly divisor: number;
  readonly epoch: number | null;
  readonly step: number | null;
  readonly sha256: string | null;
  readonly size: number | null;
}

/** Where the attempt begins, as far as the database knows: whether the file is still whole is for the caller to see. */
export async function resumePoint(tx: Transaction, lease: Lease): Promise<ResumePoint> {
  const [row] = await tx.rows<FoundRow>(find, keyOf(lease));
  if (row === undefined) return atTheBeginning;
  const { divisor, epoch, step, sha256, size } = row;
  const found = epoch !== null && step !== null && sha256 !== null && size !== null;
  return { microBatchDivisor: divisor, checkpoint: found ? { epoch, step, sha256, sizeBytes: size } : null };
}

const markBroken = statement(
  "checkpoint-broken",
  `update checkpoint set broken_at = now()
   where tenant_id = $1 and run_id = $2 and sha256 = $3 and broken_at is null`,
);

/** Notes that a checkpoint's file is missing, damaged or of another spec: it is passed over from now on. */
export async function passOver(tx: Transaction, lease: Lease, { sha256 }: Checkpoint): Promise<void> {
  await tx.run(markBroken, [lease.tenantId, lease.runId, sha256]);
}

const markResumed = statement(
  "checkpoint-resumed",
  "update attempt set resumed_from_step = $4 where tenant_id = $1 and run_id = $2 and epoch = $3",
);

/** Notes the step that the attempt goes on from; null for the beginning. */
export async function noteResumed(tx: Transaction, lease: Lease, step: number | null): Promise<void> {
  await tx.run(markResumed, [...keyOf(lease), step]);
}

const forget = statement(
  "checkpoint-forget",
  `delete from checkpoint c using (
     select k.epoch, k.step, row_number() over (order by k.broken_at is not null, k.step desc, k.epoch desc) as place, r.state
     from checkpoint k join run r on r.tenant_id = k.tenant_id and r.id = k.run_id
     where k.tenant_id = $1 and k.run_id = $2
   ) old
   where c.tenant_id = $1 and c.run_id = $2 and c.epoch = old.epoch and c.step = old.step
     and (old.place > 2 or old.state in ('SUCCEEDED', 'CANCELLED'))
   returning c.sha256`,
);

const orphan = statement(
  "checkpoint-orphan",
  `delete from artifact a where a.tenant_id = $1 and a.sha256 = any($2)
     and not exists (select 1 from checkpoint c where c.tenant_id = a.tenant_id and c.sha256 = a.sha256)
     and not exists (select 1 from run_artifact f where f.tenant_id = a.tenant_id and f.sha256 = a.sha256)`,
);

const unnamed = statement(
  "checkpoint-unnamed",
  `select d.sha256 from unnest($1::text[]) as d(sha256)
   where not exists (select 1 from artifact a where a.sha256 = d.sha256)`,
);

/**
 * Forgets what the run needs no more: all but its two furthest checkpoints, and those too once it can never go on. Gives the
 * digests of files that nobody names any more.
 */
export async function forgetCheckpoints(tx: Transaction, lease: Pick<Lease, "tenantId" | "runId">): Promise<string[]> {
  const rows = await tx.rows<{ sha256: string }>(forget, [lease.tenantId, lease.runId]);
  if (rows.length === 0) return [];
  const digests = [...new Set(rows.map((row) => row.sha256))];
  await tx.run(orphan, [lease.tenantId, digests]);
  return (await tx.rows<{ sha256: string }>(unnamed, [digests])).map((row) => row.sha256);
}
