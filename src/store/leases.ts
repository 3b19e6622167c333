import type { StopMode } from "../domain/run.js";
import type { Lease } from "./claims.js";
import type { ExperimentScope } from "./closing.js";
import { type NewEvent, stateEvent } from "./events.js";
import { statement, type Transaction } from "./transaction.js";

const start = statement(
  "lease-start",
  `with started as (
     update run set state = 'RUNNING' where tenant_id = $1 and id = $2 and epoch = $3 and state = 'LEASED' returning tenant_id
   )
   select not exists (
     select 1 from run r where r.tenant_id = $1 and r.experiment_id = $4 and r.stage = 0 and r.id <> $2
       and r.state in ('RUNNING', 'RETRY_WAIT', 'SUCCEEDED', 'FAILED', 'DEAD')) as first
   from started`,
);

/** The pod has begun: LEASED becomes RUNNING. False when the lease is lost, or the run is being cancelled. */
export async function runStarted(scope: ExperimentScope, lease: Lease): Promise<boolean> {
  const { runId, epoch, tenantId, experimentId } = lease;
  const [row] = await scope.tx.rows<{ first: boolean }>(start, [tenantId, runId, epoch, experimentId]);
  if (row === undefined) return false;
  const moving: NewEvent = { runId: null, kind: "EXPERIMENT", body: { state: "RUNNING", stage: 0 } };
  if (row.first && scope.experiment.stage === 0) scope.tell([moving]);
  scope.tell([stateEvent(runId, "RUNNING")]);
  return true;
}

/** What a renewal found. ADOPTED: another dispatcher looks after the same attempt now. FENCED: the attempt counts no more. */
export type Renewal =
  | { readonly kind: "RENEWED"; readonly stop: StopMode | null }
  | { readonly kind: "ADOPTED" }
  | { readonly kind: "FENCED" };

// Not waited for on disk: a renewal that a crash of the server takes back only makes the lease end earlier.
const renew = statement(
  "lease-renew",
  `with relaxed as (
     select set_config('synchronous_commit', 'off', true)
   ), renewed as (
     update run set lease_until = now() + make_interval(secs => $5::float8 / 1000)
     where tenant_id = $1 and id = $2 and epoch = $3 and lease_owner = $4 and state in ('LEASED', 'RUNNING', 'CANCELLING')
     returning case when state = 'CANCELLING' then cancel_mode when release_reason is not null then 'RELEASE' end as stop
   )
   select 'RENEWED' as kind, stop from renewed, relaxed
   union all
   select case when epoch = $3 and state in ('LEASED', 'RUNNING', 'CANCELLING') then 'ADOPTED' else 'FENCED' end, null
   from run where tenant_id = $1 and id = $2 and not exists (select 1 from renewed)`,
);

/** Extends the lease by its time to live, counted by the database's clock, as long as the owner still holds it. */
export async function renewLease(
  tx: Transaction,
  lease: Lease,
  owner: { id: string; ttlMs: number },
): Promise<Renewal> {
  const [row] = await tx.rows<{ kind: Renewal["kind"]; stop: StopMode | null }>(renew, [
    lease.tenantId,
    lease.runId,
    lease.epoch,
    owner.id,
    owner.ttlMs,
  ]);
  if (row === undefined) return { kind: "FENCED" };
  return row.kind === "RENEWED" ? { kind: "RENEWED", stop: row.stop } : { kind: row.kind };
}

/** What a pod said on the way, of one attempt. */
export interface RunNews {
  readonly runId: string;
  readonly epoch: number;
  /** Sequence of the last of the pod's events in here. */
  readonly sequence: number;
  readonly progress: { readonly stage: string; readonly completed: number; readonly total: number } | null;
  readonly events: readonly NewEvent[];
}

const note = statement(
  "lease-note",
  `with said as (
     select * from jsonb_to_recordset($2::jsonb) as s(run_id uuid, epoch int, sequence bigint, progress jsonb)
   ), heard as (
     update attempt a set last_sequence = said.sequence from said
     join run r on r.tenant_id = $1 and r.id = said.run_id and r.epoch = said.epoch and r.state in ('LEASED', 'RUNNING', 'CANCELLING')
     where a.tenant_id = $1 and a.run_id = said.run_id and a.epoch = said.epoch and a.last_sequence < said.sequence
     returning a.run_id, said.progress
   ), moved as (
     update run r set progress = heard.progress || jsonb_build_object('at', now()) from heard
     where r.tenant_id = $1 and r.id = heard.run_id and jsonb_typeof(heard.progress) = 'object'
   )
   select run_id from heard`,
);

/** Stores progress and events of several runs of the experiment; what was said for a lost lease, or before, is dropped. */
export async function noteNews(scope: ExperimentScope, news: readonly RunNews[]): Promise<void> {
  const said = news.map(({ runId, epoch, sequence, progress }) => ({ run_id: runId, epoch, sequence, progress }));
  const rows = await scope.tx.rows<{ run_id: string }>(note, [scope.tenantId, JSON.stringify(said)]);
  const heard = new Set(rows.map((row) => row.run_id));
  scope.tell(news.filter((item) => heard.has(item.runId)).flatMap((item) => item.events));
}

const release = statement(
  "lease-release",
  "update run set lease_owner = null where lease_owner = $1 and state in ('LEASED', 'RUNNING', 'CANCELLING')",
);

/** Lets go of all leases of a dispatcher that ends, so that a sibling adopts them at once; gives how many. */
export function releaseLeases(tx: Transaction, dispatcherId: string): Promise<number> {
  return tx.run(release, [dispatcherId]);
}

/** A live lease with what is needed to watch its pod on. */
export interface HeldLease extends Lease {
  readonly podId: string;
  readonly podAddress: string;
  /** The last of the pod's events that is stored. */
  readonly lastSequence: number;
}

const adopt = statement(
  "lease-adopt",
  `with orphans as (
     select c.tenant_id, c.id from run c
     where c.state in ('LEASED', 'RUNNING', 'CANCELLING') and c.lease_until > now() and c.lease_owner is distinct from $1
       and not exists (select 1 from dispatcher d where d.id = c.lease_owner
                       and d.beat_at > now() - make_interval(secs => $2::float8 / 1000))
     for update skip locked
   )
   update run r set lease_owner = $1
   from orphans o join attempt a on a.tenant_id = o.tenant_id and a.run_id = o.id
   where r.tenant_id = o.tenant_id and r.id = o.id and a.epoch = r.epoch
   returning r.tenant_id as "tenantId", r.experiment_id as "experimentId", r.id as "runId", r.epoch,
             a.pod_id as "podId", a.pod_address as "podAddress", a.last_sequence as "lastSequence"`,
);

/** Takes over live leases whose owner let go of them or has not beaten for so long. Their epochs stay as they are. */
export function adoptLeases(tx: Transaction, dispatcherId: string, deadAfterMs: number): Promise<HeldLease[]> {
  return tx.rows<HeldLease>(adopt, [dispatcherId, deadAfterMs]);
}

const expired = statement(
  "lease-expired",
  `select tenant_id as "tenantId", experiment_id as "experimentId", id as "runId", epoch from run
   where state in ('LEASED', 'RUNNING', 'CANCELLING') and lease_until < now() order by lease_until limit 100`,
);

/** Leases that ran out. Nothing is locked: `loseLease` looks again. */
export function expiredLeases(tx: Transaction): Promise<Lease[]> {
  return tx.rows<Lease>(expired);
}

const stopping = statement(
  "lease-stopping",
  `select tenant_id as "tenantId", experiment_id as "experimentId", id as "runId", epoch,
          case state when 'CANCELLING' then cancel_mode else 'RELEASE' end as stop
   from run where lease_owner = $1
     and (state = 'CANCELLING' or (state in ('LEASED', 'RUNNING') and release_reason is not null))`,
);

/** The dispatcher's runs whose pods are to stop: cancelled by the user, or to be released. */
export function stoppingLeases(tx: Transaction, dispatcherId: string): Promise<(Lease & { stop: StopMode })[]> {
  return tx.rows(stopping, [dispatcherId]);
}
