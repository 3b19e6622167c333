import { COST_MIN_SECONDS, COST_UNKNOWN_SECONDS, TYPICAL_PACE } from "../domain/share.js";
import { statement, type Transaction } from "./transaction.js";

// Shares and their clock change only under the lock on the clock's one row, which a claim and a fold take before anything else.

const lockClock = statement("share-lock", "select v from share_clock for update");

/**
 * Locks the clock until the commit. It must be a statement of its own, so that the next one sees what the last holder
 * committed.
 */
export async function lockShares(tx: Transaction): Promise<void> {
  await tx.run(lockClock);
}

/**
 * SQL of the seconds that a run `r` of an experiment `e` is thought to take: what like runs of its project took, else runs of its
 * capability in its tenant, else 1.
 */
export const thoughtCost = `greatest(${COST_MIN_SECONDS}, coalesce(
  (select c.seconds from typical_cost c where c.tenant_id = e.tenant_id and c.project_id = e.project_id
                                          and c.capability = e.capability and c.step = r.step),
  (select sum(c.runs * c.seconds) / sum(c.runs) from typical_cost c where c.tenant_id = e.tenant_id and c.capability = e.capability),
  ${COST_UNKNOWN_SECONDS}))`;

const look = statement("share-look", "select from cost_note limit 1");

// A correction's start tag is where the tenant's next run would begin; it is kept for whoever replays the audit.
const fold = statement(
  "share-fold",
  `with taken as (
     delete from cost_note where (tenant_id, run_id, epoch) in (
       select tenant_id, run_id, epoch from cost_note order by at, tenant_id, run_id, epoch limit $1)
     returning tenant_id, run_id, epoch, reserved, used, at
   ), corrections as (
     select t.tenant_id, t.run_id, t.epoch, d.amount, clock.n + row_number() over in_order as n,
            greatest(clock.v, s.v + coalesce(sum(d.amount) over before, 0)) as start_tag
     from taken t
     cross join share_clock clock
     join share s on s.tenant_id = t.tenant_id
     left join quota q on q.tenant_id = t.tenant_id
     cross join lateral (values ((t.used - t.reserved) / coalesce(q.weight, 1))) as d(amount)
     window in_order as (order by t.at, t.tenant_id, t.run_id, t.epoch),
            before as (partition by t.tenant_id order by t.at, t.run_id, t.epoch rows between unbounded preceding and 1 preceding)
   ), audited as (
     insert into share_entry (tenant_id, n, kind, run_id, epoch, amount, start_tag)
     select tenant_id, n, 'CORRECTION', run_id, epoch, amount, start_tag from corrections
   ), corrected as (
     update share s set v = s.v + c.amount
     from (select tenant_id, sum(amount) as amount from corrections group by tenant_id) c where s.tenant_id = c.tenant_id
   ), counted as (
     update share_clock set n = n + (select count(*) from corrections)
   ), days as (
     insert into compute_day (tenant_id, day, seconds)
     select tenant_id, (at at time zone 'UTC')::date, sum(used) from taken group by 1, 2
     on conflict (tenant_id, day) do update set seconds = compute_day.seconds + excluded.seconds
   ), learned as (
     insert into typical_cost as known (tenant_id, project_id, capability, step, runs, seconds)
     select t.tenant_id, e.project_id, e.capability, r.step, count(*), avg(t.used)
     from taken t
     join attempt a on a.tenant_id = t.tenant_id and a.run_id = t.run_id and a.epoch = t.epoch
     join run r on r.tenant_id = t.tenant_id and r.id = t.run_id
     join experiment e on e.tenant_id = r.tenant_id and e.id = r.experiment_id
     where a.outcome = 'SUCCEEDED' and a.resumed_from_step is null
     group by t.tenant_id, e.project_id, e.capability, r.step
     on conflict (tenant_id, project_id, capability, step) do update
     set runs = known.runs + excluded.runs,
         seconds = known.seconds + (excluded.seconds - known.seconds)
           * greatest(excluded.runs::float8 / (known.runs + excluded.runs), 1 - power(1 - ${TYPICAL_PACE}::float8, excluded.runs))
   )
   select from taken`,
);

/** How many attempts one fold counts at most. */
export const FOLDED_MAX = 1_000;

/**
 * Counts attempts that have ended into their tenants' shares and days, and those that succeeded from their beginning into the
 * typical cost of their kind. Gives how many; when that is `FOLDED_MAX`, there may be more.
 */
export async function foldCosts(tx: Transaction): Promise<number> {
  if ((await tx.run(look)) === 0) return 0;
  await lockShares(tx);
  return tx.run(fold, [FOLDED_MAX]);
}
