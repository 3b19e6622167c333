import { newId } from "../domain/digest.js";
import { type Attempt, afterFailure, type ErrorClass, isTerminal, type Run } from "../domain/run.js";
import type { Lease } from "./claims.js";
import type { ExperimentScope } from "./closing.js";
import { type Death, writeDeadLetter } from "./dead-letters.js";
import { type NewEvent, stateEvent } from "./events.js";
import { type Ending, keyOf, late, noteLate, readFence } from "./late.js";
import { settling } from "./ledger.js";
import type { UsageKind } from "./rows.js";
import { statement, type Transaction } from "./transaction.js";

export type { Ending } from "./late.js";

/** What an attempt used. */
export interface Used {
  /** Seconds. */
  readonly wall: number;
  readonly cpu: number;
  readonly gpu: number;
  /** What language models were asked for; absent where none was. */
  readonly calls?: ModelCalls;
}

/** Tokens that language models read and wrote, and how often one answered. */
export interface ModelCalls {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly queries: number;
}

/** A file that the artifact store was seen to hold. */
export interface MadeFile {
  readonly name: string;
  readonly kind: string;
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** A result. */
export interface Completion {
  readonly contentSha256: string;
  /** JSON text. */
  readonly metrics: string;
  readonly partial: boolean;
  readonly files: readonly MadeFile[];
  readonly used: Used;
  /** What the pod said before and is not stored yet. */
  readonly events: readonly NewEvent[];
}

const complete = statement(
  "end-complete",
  `with ended as (
     update run set state = 'SUCCEEDED', partial = $4, state_reason = null, release_reason = null, lease_owner = null, lease_until = null,
                    terminal_at = now(),
                    error_class = null, error_code = null, error_message = null, error_stage = null
     where tenant_id = $1 and id = $2 and epoch = $3
       and (state in ('LEASED', 'RUNNING') or (state = 'CANCELLING' and cancel_mode = 'SCORE_PARTIAL'))
     returning tenant_id, id, epoch
   ), tried as (
     update attempt a set outcome = 'SUCCEEDED', ended_at = now() from ended
     where a.tenant_id = ended.tenant_id and a.run_id = ended.id and a.epoch = ended.epoch
   ), answered as (
     insert into result (tenant_id, run_id, epoch, content_sha256, metrics) select tenant_id, id, epoch, $5, $6::jsonb from ended
   ), used as (
     insert into usage (tenant_id, run_id, epoch, kind, amount)
     select tenant_id, id, epoch, kind, amount from ended, unnest($7::text[], $8::float8[]) as u(kind, amount)
   ), files as (
     select * from jsonb_to_recordset($9::jsonb) as f(id uuid, name text, kind text, sha256 text, size_bytes bigint)
   ), stored as (
     insert into artifact (tenant_id, sha256, size_bytes)
     select tenant_id, sha256, size_bytes from ended, files order by sha256 on conflict do nothing
   ), made as (
     insert into run_artifact (tenant_id, run_id, epoch, name, kind, sha256, id)
     select ended.tenant_id, ended.id, ended.epoch, files.name, files.kind, files.sha256, files.id from ended, files
   ), ${settling({ wall: "($8::float8[])[1]", outcome: "'SUCCEEDED'" })}
   select 1 from ended`,
);

/**
 * Makes the attempt's result the run's own: result, files, usage, events and, when it was the stage's last run, the next stage,
 * all in this transaction, and only if the attempt still holds the run.
 */
export async function completeRun(scope: ExperimentScope, lease: Lease, done: Completion): Promise<Ending> {
  const files = done.files.map(({ sizeBytes, ...file }) => ({ ...file, id: newId(), size_bytes: sizeBytes }));
  const ended = await scope.tx.run(complete, [
    ...keyOf(lease),
    done.partial,
    done.contentSha256,
    done.metrics,
    ...usedParameters(done.used),
    JSON.stringify(files),
  ]);
  if (ended === 1) {
    scope.tell([...done.events, stateEvent(lease.runId, "SUCCEEDED")]);
    scope.runEnded();
    return { kind: "COUNTED", state: "SUCCEEDED" };
  }
  // The user cancelled before the result came: the attempt ends, the result does not count.
  const row = await readFence(scope.tx, lease);
  if (row?.state === "CANCELLING" && row.epoch === lease.epoch) {
    await noteLate(scope.tx, lease, row, "SUCCEEDED");
    return cancelled(scope, lease, { used: done.used, events: done.events, lastStep: null });
  }
  return late(scope.tx, lease, row, { outcome: "SUCCEEDED", contentSha256: done.contentSha256 });
}

/** Why an attempt failed. LOST: its pod or its lease is gone. */
export interface Failure {
  readonly errorClass: ErrorClass | "LOST";
  readonly code: string;
  readonly message: string;
  /** What the run was doing; null when nobody knows. */
  readonly stage: string | null;
  readonly used: Used | null;
  readonly events: readonly NewEvent[];
}

const readForFailure = statement(
  "end-read",
  `select state, attempt, max_attempts as "maxAttempts", disruptions, micro_batch_divisor as "microBatchDivisor" from run
   where tenant_id = $1 and id = $2 and epoch = $3 and state in ('LEASED', 'RUNNING', 'CANCELLING')
     and ($4::boolean or lease_until < now())
   for no key update`,
);

// Attempts whose process was up, since the last one that wrote a checkpoint and since a user last asked for another try.
const countFruitless = statement(
  "end-fruitless",
  `select count(*)::int as count from attempt a
   where a.tenant_id = $1 and a.run_id = $2
     and (a.epoch = $3 or a.outcome = 'LOST' or a.error_class = 'POISON')
     and a.epoch > coalesce((select max(c.epoch) from checkpoint c where c.tenant_id = $1 and c.run_id = $2), 0)
     and exists (
       select 1 from run_event e where e.tenant_id = $1 and e.run_id = $2 and e.epoch = a.epoch and e.to_state = 'RUNNING'
         and e.n > coalesce((select max(t.n) from run_event t
                             where t.tenant_id = $1 and t.run_id = $2 and t.from_state in ('FAILED', 'DEAD')), 0))`,
);

const failRun = statement(
  "end-fail",
  `with ended as (
     update run set state = $4, state_reason = $5, micro_batch_divisor = $16, attempt = attempt - $6::int, disruptions = disruptions + $7::int,
                    release_reason = null, lease_owner = null, lease_until = null,
                    not_before = now() + make_interval(secs => $8::float8),
                    terminal_at = case when $4 in ('FAILED', 'DEAD') then now() end,
                    error_class = $9, error_code = $10, error_message = $11, error_stage = $12
     where tenant_id = $1 and id = $2 and epoch = $3
     returning tenant_id, id, epoch, progress
   ), tried as (
     update attempt a set outcome = $13, ended_at = now(), error_class = $9, error_code = $10, error_message = $11,
                          last_step = case when ended.progress ->> 'stage' = 'training' then floor((ended.progress ->> 'completed')::float8) end
     from ended
     where a.tenant_id = ended.tenant_id and a.run_id = ended.id and a.epoch = ended.epoch
   ), ${settling({ wall: "($15::float8[])[1]", outcome: "$13" })}
   insert into usage (tenant_id, run_id, epoch, kind, amount)
   select tenant_id, id, epoch, kind, amount from ended, unnest($14::text[], $15::float8[]) as u(kind, amount)`,
);

type Fenced = Pick<Run, "state" | "attempt" | "maxAttempts" | "disruptions" | "microBatchDivisor">;

/** Ends a failed attempt: the run is tried again, or has FAILED, or is DEAD, as `afterFailure` says. */
export function failAttempt(scope: ExperimentScope, lease: Lease, failure: Failure): Promise<Ending> {
  return endBadly(scope, lease, failure, true);
}

/** Ends an attempt whose lease ran out. Nothing happens when it was renewed meanwhile. */
export function expireLease(scope: ExperimentScope, lease: Lease): Promise<Ending> {
  const failure: Failure = {
    errorClass: "LOST",
    code: "LEASE_EXPIRED",
    message: "the pod was not heard of for the lease's whole time",
    stage: null,
    used: null,
    events: [],
  };
  return endBadly(scope, lease, failure, false);
}

async function endBadly(scope: ExperimentScope, lease: Lease, failure: Failure, evenIfLive: boolean): Promise<Ending> {
  const { tx } = scope;
  const [run] = await tx.rows<Fenced>(readForFailure, [...keyOf(lease), evenIfLive]);
  if (run === undefined) {
    if (failure.errorClass === "LOST") return { kind: "STALE" };
    return late(tx, lease, await readFence(tx, lease), { outcome: "FAILED", contentSha256: null });
  }
  const outcome = outcomeOf(failure.errorClass);
  if (run.state === "CANCELLING") {
    return cancelled(scope, lease, { ...failure, lastStep: null }, outcome === "FAILED" ? "CANCELLED" : outcome);
  }
  const verdict = afterFailure(failure.errorClass, { ...run, fruitless: await fruitless(tx, lease, failure) });
  const lost = failure.errorClass === "LOST";
  const errorClass = lost ? null : failure.errorClass;
  await tx.run(failRun, [
    ...keyOf(lease),
    verdict.state,
    isTerminal(verdict.state) ? null : reasonOf(failure.errorClass),
    outcome === "FAILED" ? 0 : 1,
    lost ? 1 : 0,
    Math.random() * verdict.backoffSecondsMax,
    errorClass,
    failure.code,
    failure.message,
    failure.stage,
    outcome,
    ...usedParameters(failure.used),
    verdict.microBatchDivisor,
  ]);
  // A refused run was never seen to leave the queue: the claim wrote no event.
  const told = outcome === "REFUSED" ? [] : [stateEvent(lease.runId, verdict.state, reasonOf(failure.errorClass))];
  scope.tell([...failure.events, ...told]);
  if (verdict.state === "DEAD") await writeDeadLetter(scope, lease, deathOf(failure));
  if (isTerminal(verdict.state)) scope.runEnded();
  else await scope.holdBack();
  return { kind: "COUNTED", state: verdict.state };
}

function deathOf({ errorClass, code, message }: Failure): Death {
  const lost = errorClass === "LOST";
  return { reason: lost ? reasonOf(errorClass) : errorClass, errorClass: lost ? null : errorClass, code, message };
}

async function fruitless(tx: Transaction, lease: Lease, { errorClass }: Failure): Promise<number> {
  if (errorClass !== "LOST" && errorClass !== "POISON") return 0;
  const [row] = await tx.rows<{ count: number }>(countFruitless, keyOf(lease));
  return row?.count ?? 0;
}

function outcomeOf(errorClass: Failure["errorClass"]): "FAILED" | "LOST" | "REFUSED" {
  if (errorClass === "LOST") return "LOST";
  return errorClass === "OVERLOAD" ? "REFUSED" : "FAILED";
}

function reasonOf(errorClass: Failure["errorClass"]): string {
  if (errorClass === "LOST") return "POD_LOST";
  return errorClass === "OVERLOAD" ? "WAITING_FOR_CAPACITY" : "RETRYING";
}

/** What is left to say of an attempt that stopped because it was asked to. */
export interface Stop {
  /** Training steps done; null when nobody knows. */
  readonly lastStep: number | null;
  readonly used: Used | null;
  readonly events: readonly NewEvent[];
}

const stop = statement(
  "end-cancel",
  `with ended as (
     update run set state = 'CANCELLED', release_reason = null, lease_owner = null, lease_until = null, terminal_at = now()
     where tenant_id = $1 and id = $2 and epoch = $3 and state = 'CANCELLING'
     returning tenant_id, id, epoch, state_reason
   ), tried as (
     update attempt a set outcome = $4, ended_at = now(), last_step = $7 from ended
     where a.tenant_id = ended.tenant_id and a.run_id = ended.id and a.epoch = ended.epoch
   ), used as (
     insert into usage (tenant_id, run_id, epoch, kind, amount)
     select tenant_id, id, epoch, kind, amount from ended, unnest($5::text[], $6::float8[]) as u(kind, amount)
   ), ${settling({ wall: "($6::float8[])[1]", outcome: "$4" })}
   select state_reason as reason from ended`,
);

/**
 * The pod stopped the attempt as asked: CANCELLING becomes CANCELLED. Where nobody asked, the pod gave the run up, and the
 * attempt is lost.
 */
export async function stopAttempt(scope: ExperimentScope, lease: Lease, said: Stop): Promise<Ending> {
  const row = await readFence(scope.tx, lease);
  if (row?.epoch !== lease.epoch || (row.state !== "LEASED" && row.state !== "RUNNING")) {
    return cancelled(scope, lease, said);
  }
  const message = "the pod stopped the run without being asked";
  return failAttempt(scope, lease, { ...said, errorClass: "LOST", code: "POD_LOST", message, stage: null });
}

async function cancelled(
  scope: ExperimentScope,
  lease: Lease,
  said: Stop,
  outcome: Attempt["outcome"] = "CANCELLED",
): Promise<Ending> {
  const { tx } = scope;
  const [ended] = await tx.rows<{ reason: string | null }>(stop, [
    ...keyOf(lease),
    outcome,
    ...usedParameters(said.used),
    said.lastStep,
  ]);
  if (ended === undefined)
    return late(tx, lease, await readFence(tx, lease), { outcome: "CANCELLED", contentSha256: null });
  scope.tell([...said.events, stateEvent(lease.runId, "CANCELLED", ended.reason)]);
  scope.runEnded();
  return { kind: "COUNTED", state: "CANCELLED" };
}

const release = statement(
  "end-release",
  `with ended as (
     update run set state = 'QUEUED', state_reason = 'RELEASED', release_reason = null, attempt = attempt - 1,
                    lease_owner = null, lease_until = null, not_before = now()
     where tenant_id = $1 and id = $2 and epoch = $3 and state in ('LEASED', 'RUNNING')
     returning tenant_id, id, epoch
   ), tried as (
     update attempt a set outcome = 'RELEASED', ended_at = now(), last_step = $6 from ended
     where a.tenant_id = ended.tenant_id and a.run_id = ended.id and a.epoch = ended.epoch
   ), used as (
     insert into usage (tenant_id, run_id, epoch, kind, amount)
     select tenant_id, id, epoch, kind, amount from ended, unnest($4::text[], $5::float8[]) as u(kind, amount)
   ), ${settling({ wall: "($5::float8[])[1]", outcome: "'RELEASED'" })}
   select 1 from ended`,
);

/**
 * The pod stopped the attempt so that the run goes on later or elsewhere: it goes back to the queue, or is PAUSED with its
 * experiment. No try is used up. Where the user cancelled meanwhile, the run is CANCELLED.
 */
export async function releaseAttempt(scope: ExperimentScope, lease: Lease, said: Stop): Promise<Ending> {
  const { tx } = scope;
  const ended = await tx.run(release, [...keyOf(lease), ...usedParameters(said.used), said.lastStep]);
  if (ended === 0) {
    const row = await readFence(tx, lease);
    if (row?.state === "CANCELLING" && row.epoch === lease.epoch) return cancelled(scope, lease, said);
    return late(tx, lease, row, { outcome: "RELEASED", contentSha256: null });
  }
  scope.tell([...said.events, stateEvent(lease.runId, "QUEUED", "RELEASED")]);
  await scope.holdBack();
  return { kind: "COUNTED", state: scope.experiment.pausedAt === null ? "QUEUED" : "PAUSED" };
}

function usedParameters(used: Used | null): [UsageKind[], number[]] {
  if (used === null) return [[], []];
  const seconds: UsageKind[] = ["WALL_SECONDS", "CPU_SECONDS", "GPU_SECONDS"]; // wall first: the ledger settles it
  const amounts = [used.wall, used.cpu, used.gpu];
  const { calls } = used;
  if (calls === undefined) return [seconds, amounts];
  return [
    [...seconds, "PROMPT_TOKENS", "COMPLETION_TOKENS", "QUERIES"],
    [...amounts, calls.promptTokens, calls.completionTokens, calls.queries],
  ];
}
