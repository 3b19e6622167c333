import type { RunInput } from "../domain/run.js";
import type { ExperimentKey } from "./events.js";
import { answerable } from "./reuse.js";
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

// Tenants take turns: first whoever has fewest runs in work, then whoever was served longest ago. Within a tenant by
// age and priority, which `queue_rank` holds in one. More heads than wanted are looked at, because another claim may hold the first ones locked.
const claim = statement(
  "claim",
  `with recursive tenants(tenant_id) as (
     (select tenant_id from run where state in ('QUEUED', 'RETRY_WAIT') order by tenant_id limit 1)
     union all
     select (select r.tenant_id from run r where r.state in ('QUEUED', 'RETRY_WAIT') and r.tenant_id > t.tenant_id
             order by r.tenant_id limit 1)
     from tenants t where t.tenant_id is not null
   ), busy as (
     select tenant_id, count(*) as runs from run where state in ('LEASED', 'RUNNING', 'CANCELLING') group by tenant_id
   ), heads as (
     select h.tenant_id, h.id, coalesce(busy.runs, 0) + h.place as share, h.place,
            (select max(a.started_at) from attempt a where a.tenant_id::text = t.tenant_id::text) as served
     from tenants t
     cross join lateral (
       select next.*, row_number() over () as place from (
         select r.tenant_id, r.id from run r
         where r.tenant_id = t.tenant_id and r.state in ('QUEUED', 'RETRY_WAIT') and r.not_before <= now()
           and not (${answerable("r")})
         order by r.queue_rank, r.experiment_id, r.position limit $5::int * 4
       ) next
     ) h
     left join busy on busy.tenant_id = t.tenant_id
   ), taken as (
     select r.tenant_id, r.id from run r join heads h on h.tenant_id = r.tenant_id and h.id = r.id
     where r.state in ('QUEUED', 'RETRY_WAIT')
     order by h.share, h.served nulls first, h.tenant_id, h.place
     limit $5 for update of r skip locked
   ), claimed as (
     update run r set state = 'LEASED', state_reason = null, epoch = r.epoch + 1, attempt = r.attempt + 1, progress = null,
                      lease_owner = $1, lease_until = now() + make_interval(secs => $4::float8 / 1000)
     from taken where r.tenant_id = taken.tenant_id and r.id = taken.id
     returning r.tenant_id, r.id, r.experiment_id, r.epoch, r.spec, r.spec_sha256, r.queue_rank, r.position
   ), tried as (
     insert into attempt (tenant_id, run_id, epoch, dispatcher_id, pod_id, pod_address)
     select tenant_id, id, epoch, $1, $2, $3 from claimed
   )
   select c.tenant_id as "tenantId", c.id as "runId", c.experiment_id as "experimentId", c.epoch, c.spec,
          c.spec_sha256 as "specSha256", lower(e.capability) as capability
   from claimed c join experiment e on e.tenant_id = c.tenant_id and e.id = c.experiment_id
   order by c.queue_rank, c.experiment_id, c.position`,
);

/** Gives the next runs to a pod: each gets a higher epoch, a lease and an attempt. Waits for no lock and writes no event. */
export function claimRuns(tx: Transaction, request: ClaimRequest): Promise<ClaimedRun[]> {
  const { dispatcherId, podId, podAddress, ttlMs, limit } = request;
  return tx.rows<ClaimedRun>(claim, [dispatcherId, podId, podAddress, ttlMs, limit]);
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
