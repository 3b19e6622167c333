import { newId } from "../domain/digest.js";
import type { Lease } from "./claims.js";
import type { ExperimentScope } from "./closing.js";
import { type ExperimentKey, stateEvent } from "./events.js";
import { statement, type Transaction } from "./transaction.js";

// A run is answered from one that was worked on itself, never from an answered one: so `reusedFrom` names who did the work,
// and what was saved is what that one used. The newest comes first, whose files are the likeliest to be kept longest.
const sourceOf = (run: string): string =>
  `(select s.id from run s
    where s.digest = ${run}.digest and s.tenant_id = ${run}.tenant_id and s.state = 'SUCCEEDED' and not s.partial
      and s.reused_from is null and s.superseded_by is null and s.files_gone_at is null
      and run_may_answer(s.tenant_id, s.id, ${run}.id)
    order by s.terminal_at desc, s.id limit 1)`;

/**
 * SQL that is true of a run which an earlier one may answer; such a run is given to no pod. The policy is looked at first,
 * because a project that reuses nothing may hold any number of equal runs.
 */
export const answerable = (run: string): string =>
  `case (select e.reuse from experiment e where e.tenant_id = ${run}.tenant_id and e.id = ${run}.experiment_id)
   when 'EXACT_MATCH' then ${sourceOf(run)} is not null else false end`;

/** Where to look for runs that may be answered. */
export interface ReuseHints {
  /** Experiments whose runs came into the queue. */
  readonly experimentIds: readonly string[];
  /** Runs that ended, whose equals may wait. */
  readonly runs: readonly Pick<Lease, "tenantId" | "runId">[];
}

/** A run that waits and the equal run that answers it. */
export interface Answer extends ExperimentKey {
  readonly runId: string;
  readonly sourceId: string;
}

// The heads of every tenant's queue are looked at each time: what a lost bell did not tell comes up there.
const find = statement(
  "reuse-find",
  `with recursive tenants(tenant_id) as (
     (select tenant_id from run where state in ('QUEUED', 'RETRY_WAIT') order by tenant_id limit 1)
     union all
     select (select r.tenant_id from run r where r.state in ('QUEUED', 'RETRY_WAIT') and r.tenant_id > t.tenant_id
             order by r.tenant_id limit 1)
     from tenants t where t.tenant_id is not null
   ), looked as (
     select r.tenant_id, r.id from unnest($1::uuid[]) as e(id)
     join run r on r.experiment_id = e.id and r.state in ('QUEUED', 'RETRY_WAIT')
     union
     select r.tenant_id, r.id from unnest($2::uuid[], $3::uuid[]) as ended(tenant_id, id)
     join run s on s.tenant_id = ended.tenant_id and s.id = ended.id
     join run r on r.digest = s.digest and r.tenant_id = s.tenant_id and r.state in ('QUEUED', 'RETRY_WAIT')
     union
     select h.tenant_id, h.id from tenants t cross join lateral (
       select r.tenant_id, r.id from run r where r.tenant_id = t.tenant_id and r.state in ('QUEUED', 'RETRY_WAIT')
       order by r.queue_rank, r.experiment_id, r.position limit 100) h
   )
   select r.tenant_id as "tenantId", r.experiment_id as "experimentId", r.id as "runId", s.id as "sourceId"
   from looked l join run r on r.tenant_id = l.tenant_id and r.id = l.id
   cross join lateral ${sourceOf("r")} s
   where r.state in ('QUEUED', 'RETRY_WAIT')
     and (select e.reuse from experiment e where e.tenant_id = r.tenant_id and e.id = r.experiment_id) = 'EXACT_MATCH'
   limit $4`,
);

/** Runs in the queue that an earlier equal run may answer, at most so many. */
export function findAnswers(tx: Transaction, hints: ReuseHints, limit: number): Promise<Answer[]> {
  const { experimentIds, runs } = hints;
  return tx.rows<Answer>(find, [experimentIds, runs.map((run) => run.tenantId), runs.map((run) => run.runId), limit]);
}

/** A file that an answering run made. */
export interface SourceFile {
  readonly tenantId: string;
  readonly sourceId: string;
  readonly name: string;
  readonly kind: string;
  readonly sha256: string;
}

const files = statement(
  "reuse-files",
  `select f.tenant_id as "tenantId", f.run_id as "sourceId", f.name, f.kind, f.sha256
   from (select distinct * from unnest($1::uuid[], $2::uuid[]) as u(tenant_id, id)) wanted
   join run r on r.tenant_id = wanted.tenant_id and r.id = wanted.id
   join run_artifact f on f.tenant_id = r.tenant_id and f.run_id = r.id and f.epoch = r.epoch`,
);

/** The files of the runs that answer. */
export function filesOfSources(tx: Transaction, answers: readonly Answer[]): Promise<SourceFile[]> {
  return tx.rows<SourceFile>(files, [
    answers.map((answer) => answer.tenantId),
    answers.map((answer) => answer.sourceId),
  ]);
}

const gone = statement(
  "reuse-gone",
  `update run r set files_gone_at = now() from unnest($1::uuid[], $2::uuid[]) as g(tenant_id, id)
   where r.tenant_id = g.tenant_id and r.id = g.id and r.files_gone_at is null`,
);

/** Notes that these runs answer no other run any more, because a file of theirs is gone. */
export function noteFilesGone(tx: Transaction, lost: readonly SourceFile[]): Promise<number> {
  return tx.run(gone, [lost.map((file) => file.tenantId), lost.map((file) => file.sourceId)]);
}

const take = statement(
  "reuse-take",
  `with taken as (
     update run r set state = 'LEASED', state_reason = null, epoch = r.epoch + 1, progress = null,
                      lease_owner = $5, lease_until = now()
     from unnest($3::uuid[], $4::uuid[]) as a(id, source)
     where r.tenant_id = $1 and r.experiment_id = $2 and r.id = a.id and r.state in ('QUEUED', 'RETRY_WAIT')
     returning r.tenant_id, r.id, r.epoch, r.position, a.source
   ), tried as (
     insert into attempt (tenant_id, run_id, epoch, dispatcher_id, started_at, ended_at, outcome)
     select tenant_id, id, epoch, $5, now(), now(), 'REUSED' from taken
   )
   select id as "runId", epoch, source as "sourceId" from taken order by position`,
);

const give = statement(
  "reuse-give",
  `with answered as (
     update run r set state = 'SUCCEEDED', state_reason = 'REUSED', reused_from = a.source, lease_owner = null, lease_until = null,
                      terminal_at = now(), error_class = null, error_code = null, error_message = null, error_stage = null
     from unnest($2::uuid[], $3::int[], $4::uuid[]) as a(id, epoch, source)
     where r.tenant_id = $1 and r.id = a.id and r.epoch = a.epoch and r.state = 'LEASED'
     returning r.tenant_id, r.id, r.epoch, a.source
   ), answers as (
     insert into result (tenant_id, run_id, epoch, content_sha256, metrics)
     select a.tenant_id, a.id, a.epoch, x.content_sha256, x.metrics
     from answered a join result x on x.tenant_id = a.tenant_id and x.run_id = a.source
   ), made as (
     insert into run_artifact (tenant_id, run_id, epoch, name, kind, sha256, id)
     select a.tenant_id, a.id, a.epoch, f.name, f.kind, f.sha256, f.id
     from answered a join jsonb_to_recordset($5::jsonb) as f(run_id uuid, name text, kind text, sha256 text, id uuid) on f.run_id = a.id
   )
   select 1 from answered`,
);

/** Who answers, and with which files. */
export interface Answering {
  readonly dispatcherId: string;
  readonly files: readonly SourceFile[];
}

/**
 * Gives runs of the experiment the results and files of their equals, in a new epoch each, without any usage. Runs that left
 * the queue meanwhile are passed over. Gives what was answered.
 */
export async function answerRuns(
  scope: ExperimentScope,
  answers: readonly Answer[],
  { dispatcherId, files }: Answering,
): Promise<Pick<Lease, "runId" | "epoch">[]> {
  const { tx, tenantId, experimentId } = scope;
  const ids = (of: "runId" | "sourceId"): string[] => answers.map((answer) => answer[of]);
  const taken = await tx.rows<{ runId: string; epoch: number; sourceId: string }>(take, [
    tenantId,
    experimentId,
    ids("runId"),
    ids("sourceId"),
    dispatcherId,
  ]);
  if (taken.length === 0) return [];
  const bySource = Map.groupBy(files, (file) => file.sourceId);
  const made = taken.flatMap(({ runId, sourceId }) =>
    (bySource.get(sourceId) ?? []).map(({ name, kind, sha256 }) => ({
      run_id: runId,
      name,
      kind,
      sha256,
      id: newId(),
    })),
  );
  await tx.run(give, [
    tenantId,
    taken.map((run) => run.runId),
    taken.map((run) => run.epoch),
    taken.map((run) => run.sourceId),
    JSON.stringify(made),
  ]);
  for (const { runId } of taken) {
    scope.tell([stateEvent(runId, "SUCCEEDED", "REUSED")]);
    scope.runEnded();
  }
  return taken;
}
