import { newId } from "../domain/digest.js";
import type { PlannedExperiment } from "../domain/experiment.js";
import { topics } from "../domain/messages.js";
import type { SubmitOptions } from "../domain/options.js";
import type { Caller } from "../domain/tenant.js";
import { AssayError } from "../errors.js";
import { Batcher } from "./batcher.js";
import type { AppDatabase } from "./database.js";
import { EVENTS_WRITTEN, type NewEvent, stateEvent } from "./events.js";
import { keyConflict } from "./idempotency.js";
import { dispatchBell, messageRows, type NewMessage, RUNS_QUEUED } from "./outbox.js";
import { KnownRoom, leftIn, lockRoom, roomFault } from "./quotas.js";
import { statement, type Transaction } from "./transaction.js";

/** A planned experiment on its way in. */
export interface Submission {
  readonly caller: Caller;
  /** The mutation's name: keys of different operations never meet. */
  readonly operation: string;
  readonly idempotencyKey: string;
  /** Digest of the request: the same key with another digest is a conflict. */
  readonly requestSha256: string;
  readonly planned: PlannedExperiment;
  readonly options: SubmitOptions;
  /** W3C trace context of the request; messages about the experiment carry it on. */
  readonly traceparent: string | null;
}

/** What was answered to a submission. */
export interface Submitted {
  readonly experimentId: string;
  /** True when the key was seen before; nothing was written then. */
  readonly replayed: boolean;
  readonly firstSeenAt: Date;
}

type Outcome = Submitted | AssayError;

/** Takes experiments in. Submissions of one tenant that come while another is being committed share the next transaction. */
export class Submitter {
  private readonly batcher: Batcher<Submission, Outcome>;

  constructor(database: AppDatabase) {
    const room = new KnownRoom();
    this.batcher = new Batcher((tenantId, batch) => submitAll({ database, room, tenantId }, batch), { inFlightMax: 3 });
  }

  /**
   * Stores the experiment, its runs, events and bells in one transaction; once this resolves it is durable.
   * The same key with the same request answers the same experiment. Throws IDEMPOTENCY_CONFLICT for another request,
   * QUEUE_FULL where there is no room for the runs just now, QUOTA_EXCEEDED where there never is; neither uses the key up.
   */
  async submit(submission: Submission): Promise<Submitted> {
    const outcome = await this.batcher.add(submission.caller.tenantId, submission);
    if (outcome instanceof AssayError) throw outcome;
    return outcome;
  }
}

// One statement, and so one transaction, however many experiments and runs there are: it names its tenant before its first
// row comes to be checked, because every row hangs on `tenant`. Keys that somebody has already are passed over together with
// everything that hangs on them; one that an open transaction holds is waited for.
const accept = statement(
  "submit-accept",
  `with tenant as materialized (
     select set_config('app.tenant', $1, true)::uuid as id
   ), claimed as (
     insert into idempotency (tenant_id, project_id, operation, key, request_sha256, answer_id)
     select tenant.id, k.project_id, k.operation, k.key, k.request_sha256, k.answer_id
     from tenant cross join
          jsonb_to_recordset($2::jsonb) as k(project_id uuid, operation text, key text, request_sha256 text, answer_id uuid)
     order by k.project_id, k.operation, k.key
     on conflict do nothing returning answer_id, created_at
   ), experiments as (
     insert into experiment (tenant_id, id, project_id, capability, name, spec, spec_sha256, stage_count, open_runs, total_runs,
                             next_seq, created_by, reuse, traceparent)
     select $1::uuid, e.* from jsonb_to_recordset($3::jsonb) as e(id uuid, project_id uuid, capability text, name text, spec jsonb,
       spec_sha256 text, stage_count int, open_runs int, total_runs int, next_seq bigint, created_by uuid, reuse text,
       traceparent text)
     where e.id in (select answer_id from claimed)
   ), runs as (
     insert into run (tenant_id, id, experiment_id, position, stage, step, cell, seed, digest, spec, spec_sha256, inputs, state,
                      priority, queue_rank, max_attempts)
     select $1::uuid, r.id, r.experiment_id, r.position, r.stage, r.step, r.cell, r.seed, r.digest, r.spec,
            r.spec_sha256, r.inputs, case r.stage when 0 then 'QUEUED' else 'WAITING' end,
            r.priority, extract(epoch from now()) - 600 * r.priority, r.max_attempts
     from jsonb_to_recordset($4::jsonb) as r(id uuid, experiment_id uuid, position int, stage int, step text, cell jsonb, seed int,
       digest text, spec text, spec_sha256 text, inputs jsonb, priority int, max_attempts int)
     where r.experiment_id in (select answer_id from claimed)
   ), events as (
     insert into event (tenant_id, experiment_id, seq, run_id, kind, body)
     select $1::uuid, e.* from jsonb_to_recordset($5::jsonb) as e(experiment_id uuid, seq bigint, run_id uuid, kind text, body jsonb)
     where e.experiment_id in (select answer_id from claimed)
   ), messages as (
     insert into outbox (tenant_id, event_id, topic, key, type, payload, traceparent)
     select $1::uuid, m.event_id, m.topic, m.key, m.type, m.payload, m.traceparent
     from jsonb_to_recordset($6::jsonb)
       as m(event_id uuid, topic text, key text, type text, payload jsonb, traceparent text)
     where (m.payload ->> 'experimentId')::uuid in (select answer_id from claimed)
   )
   select answer_id, created_at from claimed`,
);

// The limit keeps each look-up on the key's own index, whatever the planner thinks of the table's size.
const readKeys = statement(
  "submit-keys-read",
  `select found.* from jsonb_to_recordset($2::jsonb) as k(project_id uuid, operation text, key text)
   cross join lateral (
     select i.project_id, i.operation, i.key, i.request_sha256, i.answer_id, i.created_at from idempotency i
     where i.tenant_id = $1 and i.project_id = k.project_id and i.operation = k.operation and i.key = k.key limit 1
   ) found`,
);

interface KeyRow {
  readonly project_id: string;
  readonly operation: string;
  readonly key: string;
  readonly request_sha256: string;
  readonly answer_id: string;
  readonly created_at: Date;
}

/** Where submissions of one tenant go. */
interface Desk {
  readonly database: AppDatabase;
  readonly room: KnownRoom;
  readonly tenantId: string;
}

/** Takes submissions of one tenant in; conflicts and refusals are answers, so that one member's cannot undo the others'. */
async function submitAll(desk: Desk, batch: readonly Submission[]): Promise<Outcome[]> {
  const { database, room, tenantId } = desk;
  const members = batch.map((submission) => ({ submission, experimentId: newId() }));
  const isRoomy = room.take(tenantId, runsOf(members));
  const { fresh, refused } = isRoomy
    ? { fresh: await database.single<FreshRow>(accept, parametersOf(tenantId, members)), refused: noRefusals }
    : await acceptCounted(desk, members);
  if (fresh.length > 0) database.wroteOutbox();
  const firstSeen = new Map(fresh.map((row) => [row.answer_id, row.created_at]));
  const missing = members.filter(({ experimentId }) => !firstSeen.has(experimentId) && !refused.has(experimentId));
  const known =
    missing.length === 0
      ? new Map<string, KeyRow>()
      : await database.withTenant(tenantId, (tx) => knownKeys(tx, tenantId, missing));
  return members.map(({ submission, experimentId }) => {
    const firstSeenAt = firstSeen.get(experimentId);
    if (firstSeenAt !== undefined) return { experimentId, replayed: false, firstSeenAt };
    return refused.get(experimentId) ?? replay(submission, known.get(nameOf(submission)));
  });
}

type Refusals = ReadonlyMap<string, AssayError>;

const noRefusals: Refusals = new Map();

/** Accepts the members that the tenant has room for, in their order. One whose key is known already needs none. */
function acceptCounted(desk: Desk, members: readonly Member[]): Promise<{ fresh: FreshRow[]; refused: Refusals }> {
  const { database, tenantId } = desk;
  return database.withTenant(tenantId, async (tx) => {
    const room = await lockRoom(tx, tenantId);
    const isTight = roomFault(room, runsOf(members)) !== null;
    const known = isTight ? await knownKeys(tx, tenantId, members) : new Map<string, KeyRow>();
    const refused = new Map<string, AssayError>();
    const fitting: Member[] = [];
    for (const member of members) {
      if (known.has(nameOf(member.submission))) continue;
      const fault = roomFault(room, runsOf([member]), runsOf(fitting));
      if (fault === null) fitting.push(member);
      else refused.set(member.experimentId, fault);
    }
    const fresh = fitting.length === 0 ? [] : await tx.rows<FreshRow>(accept, parametersOf(tenantId, fitting));
    desk.room.counted(tenantId, leftIn(room) - runsOf(fitting));
    return { fresh, refused };
  });
}

function runsOf(members: readonly Member[]): number {
  return members.reduce((sum, { submission }) => sum + submission.planned.runs.length, 0);
}

function parametersOf(tenantId: string, members: readonly Member[]): string[] {
  const lists = [
    members.map(keyRow),
    members.map(experimentRow),
    members.flatMap(runRows),
    members.flatMap(eventRows),
    members.flatMap(bellRows),
  ];
  return [tenantId, ...lists.map((list) => JSON.stringify(list))];
}

interface FreshRow {
  readonly answer_id: string;
  readonly created_at: Date;
}

/** The members' keys that are in use. A later statement sees what the transactions wrote that the first one waited for. */
async function knownKeys(tx: Transaction, tenantId: string, members: readonly Member[]): Promise<Map<string, KeyRow>> {
  const rows = await tx.rows<KeyRow>(readKeys, [tenantId, JSON.stringify(members.map(keyRow))]);
  return new Map(rows.map((row) => [JSON.stringify([row.project_id, row.operation, row.key]), row]));
}

function nameOf({ caller, operation, idempotencyKey }: Submission): string {
  return JSON.stringify([caller.projectId, operation, idempotencyKey]);
}

function replay(submission: Submission, row: KeyRow | undefined): Outcome {
  if (row === undefined)
    return new AssayError("INTERNAL", "wanted the idempotency key that is in use, but it is not there");
  const { answer_id: experimentId, created_at: firstSeenAt } = row;
  if (row.request_sha256 === submission.requestSha256) return { experimentId, replayed: true, firstSeenAt };
  return keyConflict(submission.idempotencyKey, firstSeenAt);
}

/** A submission with the id that its experiment gets if its key is new. */
interface Member {
  readonly submission: Submission;
  readonly experimentId: string;
}

function keyRow({ submission: { caller, operation, idempotencyKey, requestSha256 }, experimentId }: Member): object {
  return {
    project_id: caller.projectId,
    operation,
    key: idempotencyKey,
    request_sha256: requestSha256,
    answer_id: experimentId,
  };
}

function experimentRow({ submission: { planned, caller, options, traceparent }, experimentId }: Member): object {
  return {
    id: experimentId,
    project_id: caller.projectId,
    capability: planned.capability,
    name: planned.name,
    spec: planned.spec,
    spec_sha256: planned.specSha256,
    stage_count: planned.stageCount,
    open_runs: firstStage(planned).length,
    total_runs: planned.runs.length,
    next_seq: firstEvents(planned).length + 1,
    created_by: caller.keyId,
    reuse: options.reuse,
    traceparent,
  };
}

function runRows({ submission, experimentId }: Member): object[] {
  const { priority, maxAttempts: max_attempts } = submission.options;
  return submission.planned.runs.map(({ specSha256, ...run }) => ({
    ...run,
    experiment_id: experimentId,
    spec_sha256: specSha256,
    priority,
    max_attempts,
  }));
}

function eventRows({ submission, experimentId }: Member): object[] {
  return firstEvents(submission.planned).map(({ runId, kind, body }, i) => ({
    experiment_id: experimentId,
    seq: i + 1,
    run_id: runId,
    kind,
    body,
  }));
}

function bellRows(member: Member): object[] {
  const { traceparent } = member.submission;
  return messageRows(bells(member)).map((row) => ({ ...row, traceparent }));
}

function bells({ submission, experimentId }: Member): NewMessage[] {
  const { tenantId } = submission.caller;
  const toSequence = firstEvents(submission.planned).length;
  return [
    dispatchBell({ tenantId, experimentId }, RUNS_QUEUED),
    { topic: topics.events, type: EVENTS_WRITTEN, tenantId, payload: { experimentId, fromSequence: 1, toSequence } },
  ];
}

function firstStage(planned: PlannedExperiment): PlannedExperiment["runs"] {
  return planned.runs.filter((run) => run.stage === 0);
}

function firstEvents(planned: PlannedExperiment): NewEvent[] {
  return [
    { runId: null, kind: "EXPERIMENT", body: { state: "QUEUED" } },
    ...firstStage(planned).map((run) => stateEvent(run.id, "QUEUED")),
  ];
}
