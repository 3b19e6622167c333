import { newId } from "../domain/digest.js";
import type { PlannedExperiment } from "../domain/experiment.js";
import { topics } from "../domain/messages.js";
import type { Caller } from "../domain/tenant.js";
import { AssayError } from "../errors.js";
import { Batcher } from "./batcher.js";
import type { AppDatabase } from "./database.js";
import { EVENTS_WRITTEN, type NewEvent, stateEvent } from "./events.js";
import { dispatchBell, type NewMessage, RUNS_QUEUED, writeMessages } from "./outbox.js";
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
    this.batcher = new Batcher((tenantId, batch) => database.withTenant(tenantId, (tx) => submitAll(tx, batch)));
  }

  /**
   * Stores the experiment, its runs, events and bells in one transaction; once this resolves it is durable.
   * The same key with the same request answers the same experiment. Throws IDEMPOTENCY_CONFLICT for another request.
   */
  async submit(submission: Submission): Promise<Submitted> {
    const outcome = await this.batcher.add(submission.caller.tenantId, submission);
    if (outcome instanceof AssayError) throw outcome;
    return outcome;
  }
}

const claimKeys = statement(
  "submit-keys",
  `insert into idempotency (tenant_id, project_id, operation, key, request_sha256, answer_id)
   select $1, k.project_id, k.operation, k.key, k.request_sha256, k.answer_id
   from jsonb_to_recordset($2::jsonb) as k(project_id uuid, operation text, key text, request_sha256 text, answer_id uuid)
   order by k.project_id, k.operation, k.key
   on conflict do nothing`,
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

/** Takes submissions of one tenant in; conflicts are answers, so that one member's cannot undo the others'. */
async function submitAll(tx: Transaction, batch: readonly Submission[]): Promise<Outcome[]> {
  const tenantId = batch[0]?.caller.tenantId;
  const members = batch.map((submission) => ({ submission, key: keyOf(submission), experimentId: newId() }));
  const keys = members.map(({ submission: { caller, operation, idempotencyKey, requestSha256 }, experimentId }) => ({
    project_id: caller.projectId,
    operation,
    key: idempotencyKey,
    request_sha256: requestSha256,
    answer_id: experimentId,
  }));
  // Waits for a transaction that holds one of the keys and has not ended; what it wrote is seen by the next statement.
  await tx.run(claimKeys, [tenantId, JSON.stringify(keys)]);
  const rows = await tx.rows<KeyRow>(readKeys, [tenantId, JSON.stringify(keys)]);
  const stored = new Map(rows.map((row) => [JSON.stringify([row.project_id, row.operation, row.key]), row]));
  const answers = members.map(({ submission, key, experimentId }) => answer(submission, stored.get(key), experimentId));
  const fresh = members.filter((_, i) => isFresh(answers[i]));
  if (fresh.length > 0) await insertAll(tx, fresh);
  return answers;
}

function keyOf({ caller, operation, idempotencyKey }: Submission): string {
  return JSON.stringify([caller.projectId, operation, idempotencyKey]);
}

function answer(submission: Submission, row: KeyRow | undefined, experimentId: string): Outcome {
  if (row === undefined)
    return new AssayError("INTERNAL", "wanted the idempotency key just written, but it is not there");
  const { answer_id: answerId, created_at: firstSeenAt } = row;
  if (answerId === experimentId) return { experimentId, replayed: false, firstSeenAt };
  if (row.request_sha256 === submission.requestSha256) return { experimentId: answerId, replayed: true, firstSeenAt };
  return new AssayError(
    "IDEMPOTENCY_CONFLICT",
    `idempotencyKey: ${JSON.stringify(submission.idempotencyKey)} was used at ${firstSeenAt.toISOString()} for another request`,
    { path: ["idempotencyKey"], detail: { firstSeenAt: firstSeenAt.toISOString(), experimentId: answerId } },
  );
}

function isFresh(outcome: Outcome | undefined): boolean {
  return outcome !== undefined && !(outcome instanceof AssayError) && !outcome.replayed;
}

interface Fresh {
  readonly submission: Submission;
  readonly experimentId: string;
}

const insertExperiments = statement(
  "submit-experiments",
  `insert into experiment (tenant_id, id, project_id, capability, name, spec, spec_sha256, stage_count, open_runs, total_runs,
                           next_seq, created_by)
   select $1, e.* from jsonb_to_recordset($2::jsonb) as e(id uuid, project_id uuid, capability text, name text, spec jsonb,
     spec_sha256 text, stage_count int, open_runs int, total_runs int, next_seq bigint, created_by uuid)`,
);

const insertRuns = statement(
  "submit-runs",
  `insert into run (tenant_id, id, experiment_id, position, stage, step, cell, seed, digest, spec, spec_sha256, inputs, state)
   select $1, r.id, r.experiment_id, r.position, r.stage, r.step, r.cell, r.seed, r.digest, r.spec,
          r.spec_sha256, r.inputs, case r.stage when 0 then 'QUEUED' else 'WAITING' end
   from jsonb_to_recordset($2::jsonb) as r(id uuid, experiment_id uuid, position int, stage int, step text, cell jsonb, seed int,
     digest text, spec text, spec_sha256 text, inputs jsonb)`,
);

const insertEvents = statement(
  "submit-events",
  `insert into event (tenant_id, experiment_id, seq, run_id, kind, body)
   select $1, e.* from jsonb_to_recordset($2::jsonb)
     as e(experiment_id uuid, seq bigint, run_id uuid, kind text, body jsonb)`,
);

/** Six statements, however many experiments and runs there are. */
async function insertAll(tx: Transaction, fresh: readonly Fresh[]): Promise<void> {
  const tenantId = fresh[0]?.submission.caller.tenantId;
  const insert = (wanted: typeof insertRuns, rows: readonly object[]): Promise<number> =>
    tx.run(wanted, [tenantId, JSON.stringify(rows)]);
  await insert(insertExperiments, fresh.map(experimentRow));
  await insert(insertRuns, fresh.flatMap(runRows));
  await insert(insertEvents, fresh.flatMap(eventRows));
  await writeMessages(tx, fresh.flatMap(bells));
}

function experimentRow(fresh: Fresh): object {
  const { planned, caller } = fresh.submission;
  return {
    id: fresh.experimentId,
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
  };
}

function runRows({ submission, experimentId }: Fresh): object[] {
  return submission.planned.runs.map(({ specSha256, ...run }) => ({
    ...run,
    experiment_id: experimentId,
    spec_sha256: specSha256,
  }));
}

function eventRows({ submission, experimentId }: Fresh): object[] {
  return firstEvents(submission.planned).map(({ runId, kind, body }, i) => ({
    experiment_id: experimentId,
    seq: i + 1,
    run_id: runId,
    kind,
    body,
  }));
}

function bells({ submission, experimentId }: Fresh): NewMessage[] {
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
