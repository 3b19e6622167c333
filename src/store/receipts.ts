import type { RunState } from "../domain/run.js";
import { boundsOf, type Page, type PageRequest, pageOf } from "./pages.js";
import { statement, type Transaction } from "./transaction.js";

/** What a cancel made of one run that had not ended before it. */
export interface RunReceipt {
  readonly runId: string;
  readonly position: number;
  readonly state: RunState;
  /** The last step that its newest attempt did, of training where the run trains; null where none was heard of. */
  readonly lastStep: number | null;
  /** Compute seconds that its attempts set aside, used, and gave back because they were not needed. */
  readonly secondsReserved: number;
  readonly secondsUsed: number;
  readonly secondsReturned: number;
  /** Files that stay, which only a run has that scored what it had. */
  readonly filesKept: number;
}

// A run that is superseded is stopped for its successor's sake, not by the user's wish.
const RECEIPTS = `select r.id as "runId", r.position, r.state,
    coalesce(a.last_step, case when jsonb_typeof(x.metrics -> 'steps') = 'number' then (x.metrics ->> 'steps')::float8 end,
             case when r.progress ->> 'stage' = 'training' then floor((r.progress ->> 'completed')::float8) end)::float8 as "lastStep",
    coalesce(l.reserved, 0) as "secondsReserved", coalesce(l.used, 0) as "secondsUsed", coalesce(l.returned, 0) as "secondsReturned",
    (select count(*)::int from run_artifact f where f.tenant_id = r.tenant_id and f.run_id = r.id and f.epoch = r.epoch) as "filesKept"
  from run r
  left join attempt a on a.tenant_id = r.tenant_id and a.run_id = r.id and a.epoch = r.epoch
  left join result x on x.tenant_id = r.tenant_id and x.run_id = r.id
  left join lateral (
    select sum(amount) filter (where kind = 'RESERVE') as reserved, sum(amount) filter (where kind = 'SETTLE') as used,
           sum(amount) filter (where kind = 'RELEASE') as returned
    from ledger l where l.tenant_id = r.tenant_id and l.run_id = r.id and l.unit = 'COMPUTE_SECONDS'
  ) l on true
  where r.cancel_mode is not null and r.superseded_by is null and r.experiment_id = `;

const forward = statement(
  "receipts-forward",
  `${RECEIPTS} $1 and ($2::int is null or r.position > $2) order by r.position limit $3`,
);
const backward = statement(
  "receipts-backward",
  `${RECEIPTS} $1 and ($2::int is null or r.position < $2) order by r.position desc limit $3`,
);

/** What a cancel made of each of an experiment's runs, in the order of its plan; a page's position is a run's `position`. */
export async function listReceipts(
  tx: Transaction,
  experimentId: string,
  request: PageRequest<number>,
): Promise<Page<RunReceipt>> {
  const { limit, from = null } = boundsOf(request);
  const wanted = "first" in request ? forward : backward;
  return pageOf(await tx.rows<RunReceipt & Record<string, unknown>>(wanted, [experimentId, from, limit + 1]), request);
}

/** What a cancel made of all of an experiment's runs. */
export interface ReceiptSums {
  readonly experimentId: string;
  readonly runCount: number;
  readonly secondsReserved: number;
  readonly secondsUsed: number;
  readonly secondsReturned: number;
  readonly filesKept: number;
}

const sums = statement(
  "receipts-sum",
  `select e.id as "experimentId", s.* from unnest($1::uuid[]) e(id) cross join lateral (
   select count(*)::int as "runCount",
          coalesce(sum("secondsReserved"), 0) as "secondsReserved", coalesce(sum("secondsUsed"), 0) as "secondsUsed",
          coalesce(sum("secondsReturned"), 0) as "secondsReturned", coalesce(sum("filesKept"), 0)::int as "filesKept"
   from (${RECEIPTS} e.id) receipt) s`,
);

/** The sums of all receipts of each of these experiments. */
export function receiptSums(tx: Transaction, experimentIds: readonly string[]): Promise<ReceiptSums[]> {
  return tx.rows<ReceiptSums>(sums, [experimentIds]);
}
