import type { RunInput } from "../domain/run.js";
import type { ExperimentKey } from "./events.js";
import { reservedNow, usedToday } from "./quotas.js";
import { answerable } from "./reuse.js";
import { lockShares, thoughtCost } from "./shares.js";
import { statement, type Transaction } from "./transaction.js";

/** One attempt's hold on a run: whatever is said for another epoch does not count. */
export interface Lease extends ExperimentKey {
  readonly runId: string;
  readonly epoch: number;
}

/** A run that was just given to a pod. */
export interface ClaimedRun extends Lease {
  readonly capability: string;
  readonly spec: string;
  readonly specSha256: string;
  /** Whether it has any input. */
  readonly readsFiles: boolean;
}

/** Who claims, for which pod, for how long. */
export interface ClaimRequest {
  readonly dispatcherId: string;
  readonly podId: string;
  readonly podAddress: string;
  readonly ttlMs: number;
  /** Free slots of the pod. */
  readonly limit: number;
}

/** SQL of whether a run `r` may be claimed now; one that an earlier equal run answers is worked on by no pod. */
const claimable = `r.state in ('QUEUED', 'RETRY_WAIT') and r.not_before <= now() and not (${answerable("r")})`;

// A run is poison when its last try ended because its process died by a signal. A pod that works on one is given no other, nor are
// two given out in one claim: what kills its process may take its neighbours along, and two of them would hide which one did.
const POISON = "coalesce(r.error_class = 'POISON', false)";
const bearable = `not (${POISON} and (select here from quarantine))`;

/** SQL of the order in which runs of `heads` are given out. */
const turn = "h.tag + h.before / h.weight, h.place > 1, h.served, h.tenant_id, h.place";

// The tenants that have a run to claim are found by skipping over the index of claimable runs, so that a long queue costs as
// little as a short one. Only so many of them as runs are wanted can be served, those with the smallest start tags, and of each
// so many of its runs: `before` is what a tenant's runs ahead of one are thought to cost, which moves its start tag.
// Twice as many runs are looked at as are wanted, because whoever cancels or pauses runs may hold the first ones locked; whatever
// is passed over leaves no gap, as start tags are reckoned again for the runs that were taken. domain/share.ts says the rule.
// The state of a chosen run is looked at within coalesce, so that the planner finds it by its key: an index of the queue, which its
// last look may have found empty, would be walked over for each.
const claim = statement(
  "claim",
  `with recursive waiting(tenant_id) as (
     (select tenant_id from run where state in ('QUEUED', 'RETRY_WAIT') order by tenant_id limit 1)
     union all
     select (select r.tenant_id from run r where r.state in ('QUEUED', 'RETRY_WAIT') and r.tenant_id > w.tenant_id
             order by r.tenant_id limit 1)
     from waiting w where w.tenant_id is not null
   ), live as materialized (
     select tenant_id, id, epoch, error_class from run where state in ('LEASED', 'RUNNING', 'CANCELLING')
   ), quarantine as materialized (
     select ${worksOnPoison("$2")} as here
   ), standing as materialized (
     select w.tenant_id, coalesce(q.weight, 1) as weight, greatest(clock.v, s.v) as tag, coalesce(s.served, 0) as served,
            q.running_max - (select count(*) from live where live.tenant_id = q.tenant_id and q.running_max is not null) as slots,
            q.compute_seconds_per_day as day_limit,
            case when q.compute_seconds_per_day is not null
                 then ${usedToday("q.tenant_id")} + ${reservedNow("q.tenant_id", "live")} end as committed
     from waiting w
     cross join share_clock clock
     left join share s on s.tenant_id = w.tenant_id
     left join quota q on q.tenant_id = w.tenant_id
     where w.tenant_id is not null
   ), contenders as (
     select s.* from standing s
     cross join lateral (
       select case when s.day_limit is not null then ${thoughtCost} end as cost
       from (
         select tenant_id, experiment_id, step from run r
         where r.tenant_id = s.tenant_id and ${claimable} and ${bearable}
         order by r.queue_rank, r.experiment_id, r.position limit 1
       ) r
       join experiment e on e.tenant_id = r.tenant_id and e.id = r.experiment_id
     ) first
     where (s.slots is null or s.slots > 0) and ${fits({ limit: "s.day_limit", committed: "s.committed", cost: "first.cost" })}
   ), heads as (
     select c.*, h.id, h.poison, h.place, h.cost,
            coalesce(sum(h.cost) over (partition by c.tenant_id order by h.place rows between unbounded preceding and 1 preceding), 0) as before
     from (select * from contenders order by tag, served, tenant_id limit $5) c
     cross join lateral (
       select r.id, r.poison, row_number() over (order by r.queue_rank, r.experiment_id, r.position) as place, ${thoughtCost} as cost
       from (
         select r.*, row_number() over (partition by r.poison order by r.queue_rank, r.experiment_id, r.position) as nth
         from (
           select tenant_id, id, experiment_id, step, queue_rank, position, ${POISON} as poison from run r
           where r.tenant_id = c.tenant_id and ${claimable} and ${bearable}
           order by r.queue_rank, r.experiment_id, r.position limit $5::int * 2
         ) r
       ) r
       join experiment e on e.tenant_id = r.tenant_id and e.id = r.experiment_id
       where r.nth = 1 or not r.poison
     ) h
   ), fitting as (
     select h.* from heads h
     where (h.slots is null or h.place <= h.slots) and ${fits({ limit: "h.day_limit", committed: "(h.committed + h.before)", cost: "h.cost" })}
   ), chosen as (
     select r.tenant_id, r.id, h.weight, h.tag, h.served, h.place, h.cost
     from fitting h join run r on r.tenant_id = h.tenant_id and r.id = h.id
     where coalesce(r.state in ('QUEUED', 'RETRY_WAIT'), false)
       and (not h.poison or h.id = (select h.id from fitting h where h.poison order by ${turn} limit 1))
     order by ${turn}
     limit $5 for no key update of r skip locked
   ), claimed as (
     update run r set state = 'LEASED', state_reason = null, epoch = r.epoch + 1, attempt = r.attempt + 1, progress = null,
                      lease_owner = $1, lease_until = now() + make_interval(secs => $4::float8 / 1000)
     from chosen c where r.tenant_id = c.tenant_id and r.id = c.id
     returning r.tenant_id, r.id, r.experiment_id, r.epoch, r.spec, r.spec_sha256, r.inputs <> '[]' as reads, c.weight, c.tag, c.served, c.place, c.cost
   ), tagged as (
     select c.*, c.cost / c.weight as amount,
            c.tag + coalesce(sum(c.cost / c.weight) over (partition by c.tenant_id order by c.place rows between unbounded preceding and 1 preceding), 0) as start_tag
     from claimed c
   ), numbered as (
     select t.*, clock.n + row_number() over (order by t.start_tag, t.place > 1, t.served, t.tenant_id, t.place) as n
     from tagged t cross join share_clock clock
   ), tried as (
     insert into attempt (tenant_id, run_id, epoch, dispatcher_id, pod_id, pod_address)
     select tenant_id, id, epoch, $1, $2, $3 from claimed
   ), reserved as (
     insert into ledger (tenant_id, run_id, epoch, unit, kind, amount)
     select tenant_id, id, epoch, 'COMPUTE_SECONDS', 'RESERVE', cost from claimed
   ), audited as (
     insert into share_entry (tenant_id, n, kind, run_id, epoch, amount, start_tag)
     select tenant_id, n, 'CLAIM', id, epoch, amount, start_tag from numbered
   ), charged as (
     insert into share (tenant_id, v, served) select tenant_id, max(start_tag + amount), max(n) from numbered group by tenant_id
     on conflict (tenant_id) do update set v = excluded.v, served = excluded.served
   ), moved as (
     update share_clock set v = last.start_tag, n = last.n, contenders = (select count(*) from contenders)
     from (select start_tag, n from numbered order by n desc limit 1) last
   )
   select c.tenant_id as "tenantId", c.id as "runId", c.experiment_id as "experimentId", c.epoch, c.spec,
          c.spec_sha256 as "specSha256", c.reads as "readsFiles", lower(e.capability) as capability
   from numbered c join experiment e on e.tenant_id = c.tenant_id and e.id = c.experiment_id
   order by c.n`,
);

/** SQL of whether a pod works on a poison run, from `live`. */
function worksOnPoison(podId: string): string {
  return `exists (select 1 from live join attempt a on a.tenant_id = live.tenant_id and a.run_id = live.id and a.epoch = live.epoch
                  where live.error_class = 'POISON' and a.pod_id = ${podId})`;
}

const quarantined = statement(
  "claim-quarantined",
  `with live as (select tenant_id, id, epoch, error_class from run where state in ('LEASED', 'RUNNING', 'CANCELLING'))
   select ${worksOnPoison("$1")} as here`,
);

/** Whether the pod works on a run whose last try died by a signal: then runs may have been held back that another pod could take. */
export async function isQuarantined(tx: Transaction, podId: string): Promise<boolean> {
  const [row] = await tx.rows<{ here: boolean }>(quarantined, [podId]);
  return row?.here === true;
}

/** SQL of `fitsDay` in domain/share.ts. */
function fits({ limit, committed, cost }: Readonly<Record<"limit" | "committed" | "cost", string>>): string {
  return `(${limit} is null or ${committed} + ${cost} <= ${limit} or (${committed} = 0 and ${limit} > 0))`;
}

/**
 * Gives the next runs to a pod, shared out fairly among tenants: each gets a higher epoch, a lease and an attempt, and what it is
 * thought to cost is reserved. Claims are one after another; this waits for no other lock and writes no event.
 * Where nothing follows it in the transaction, `isLast` saves a way to the server.
 */
export async function claimRuns(tx: Transaction, request: ClaimRequest, isLast = false): Promise<ClaimedRun[]> {
  const { dispatcherId, podId, podAddress, ttlMs, limit } = request;
  // Sent together; the claim begins, and sees what is stored, once the lock is held.
  const locked = lockShares(tx);
  const values = [dispatcherId, podId, podAddress, ttlMs, limit];
  const runs = isLast ? tx.lastRows<ClaimedRun>(claim, values) : tx.rows<ClaimedRun>(claim, values);
  await Promise.allSettled([locked, runs]);
  await locked;
  return runs;
}

/** A file that a run reads, as the pod is told. */
export interface ResolvedInput {
  readonly name: string;
  readonly sha256: string;
  /** Null for a file that no tenant's table of files names. */
  readonly sizeBytes: number | null;
}

const resolve = statement(
  "claim-inputs",
  `select r.id as run_id, w.name, w.required, named.sha256, f.size_bytes::float8 as size_bytes
   from unnest($1::uuid[], $2::uuid[]) as wanted(tenant_id, id)
   join run r on r.tenant_id = wanted.tenant_id and r.id = wanted.id
   cross join lateral rows from (jsonb_to_recordset(r.inputs) as (name text, "from" jsonb, required boolean))
     with ordinality as w(name, "from", required, n)
   left join lateral (
     select a.sha256 from run maker
     join run_artifact a on a.tenant_id = maker.tenant_id and a.run_id = maker.id and a.epoch = maker.epoch
     where maker.tenant_id = r.tenant_id and maker.id = (w."from" ->> 'runId')::uuid and maker.state = 'SUCCEEDED'
       and a.name = w."from" ->> 'artifact'
   ) made on true
   cross join lateral (select coalesce(w."from" ->> 'sha256', made.sha256) as sha256) named
   left join artifact f on f.tenant_id = r.tenant_id and f.sha256 = named.sha256
   order by r.id, w.n`,
);

interface InputRow {
  readonly run_id: string;
  readonly name: RunInput["name"];
  readonly required: boolean;
  readonly sha256: string | null;
  readonly size_bytes: number | null;
}

/** The inputs of each run, or the names of the required ones that do not exist. Optional ones that do not are left out. */
export async function inputsOf(
  tx: Transaction,
  runs: readonly Lease[],
): Promise<Map<string, { inputs: ResolvedInput[]; missing: string[] }>> {
  const rows = await tx.rows<InputRow>(resolve, [runs.map((run) => run.tenantId), runs.map((run) => run.runId)]);
  const found = new Map(runs.map((run) => [run.runId, { inputs: [] as ResolvedInput[], missing: [] as string[] }]));
  for (const { run_id, name, required, sha256, size_bytes: sizeBytes } of rows) {
    const entry = found.get(run_id);
    if (sha256 !== null) entry?.inputs.push({ name, sha256, sizeBytes });
    else if (required) entry?.missing.push(name);
  }
  return found;
}
