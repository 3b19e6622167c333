import type { Json } from "../domain/digest.js";
import type { RunState } from "../domain/run.js";
import type { Wave, WaveBase, WaveRun } from "../domain/waves.js";
import { holdBack, type LockedExperiment, relock, runsEnded, stateOf } from "./closing.js";
import { appendEvents, type ExperimentKey, type NewEvent, stateEvent } from "./events.js";
import { dispatchBell, type NewMessage, RUNS_CANCELLING, RUNS_QUEUED, writeMessages } from "./outbox.js";
import { demandRoom } from "./quotas.js";
import { statement, type Transaction } from "./transaction.js";

const readRuns = statement(
  "wave-runs",
  `select id, position, stage, state, inputs, digest, error_class as "errorClass", superseded_by as "supersededBy"
   from run where tenant_id = $1 and experiment_id = $2 order by position`,
);

/** What a wave of the locked experiment is planned from. */
export async function waveBase(tx: Transaction, experiment: LockedExperiment): Promise<WaveBase> {
  const { tenantId, experimentId, stage, stageCount, endedAt } = experiment;
  const runs = await tx.rows<WaveRun>(readRuns, [tenantId, experimentId]);
  return { stage, stageCount, ended: endedAt !== null, runs };
}

// New runs are served as the latest planned run of the experiment would be.
const addRuns = statement(
  "wave-add",
  `insert into run (tenant_id, id, experiment_id, position, stage, step, cell, seed, digest, spec, spec_sha256, inputs, state,
                    priority, queue_rank, max_attempts)
   select $1, r.id, $2, r.position, r.stage, r.step, r.cell, r.seed, r.digest, r.spec, r."specSha256", r.inputs,
          case r.stage when $3 then 'QUEUED' else 'WAITING' end,
          latest.priority, extract(epoch from now()) - 600 * latest.priority, latest.max_attempts
   from jsonb_to_recordset($4::jsonb) as r(id uuid, position int, stage int, step text, cell jsonb, seed int, digest text,
                                           spec text, "specSha256" text, inputs jsonb)
   cross join (select priority, max_attempts from run where tenant_id = $1 and experiment_id = $2
               order by position desc limit 1) latest`,
);

const copyRuns = statement(
  "wave-copy",
  `insert into run (tenant_id, id, experiment_id, position, stage, step, cell, seed, digest, spec, spec_sha256, inputs, state,
                    priority, queue_rank, max_attempts)
   select o.tenant_id, c.id, o.experiment_id, c.position, c.stage, o.step, o.cell, o.seed, o.digest, o.spec, o.spec_sha256,
          c.inputs, 'WAITING', o.priority, o.queue_rank, o.max_attempts
   from jsonb_to_recordset($3::jsonb) as c(id uuid, "of" uuid, position int, stage int, inputs jsonb)
   join run o on o.tenant_id = $1 and o.experiment_id = $2 and o.id = c."of"`,
);

const requeue = statement(
  "wave-requeue",
  `update run set state = 'QUEUED', state_reason = null, stage = $3, attempt = 0, disruptions = 0, micro_batch_divisor = 1,
                  not_before = now(), terminal_at = null,
                  error_class = null, error_code = null, error_message = null, error_stage = null
   where tenant_id = $1 and experiment_id = $2 and id = any($4::uuid[]) and state in ('FAILED', 'DEAD')`,
);

// What has ended stays as it ended. A claim may take a queued run while this waits for its row; PostgreSQL then decides again.
const supersede = statement(
  "wave-supersede",
  `update run r set superseded_by = s.by,
     cancel_mode = case when r.state in ('LEASED', 'RUNNING') then 'IMMEDIATE' else r.cancel_mode end,
     terminal_at = case when r.state in ('WAITING', 'QUEUED', 'RETRY_WAIT', 'PAUSED') then now() else r.terminal_at end,
     state_reason = case when r.state in ('WAITING', 'QUEUED', 'RETRY_WAIT', 'PAUSED', 'LEASED', 'RUNNING') then 'SUPERSEDED'
                    else r.state_reason end,
     release_reason = null,
     state = case when r.state in ('WAITING', 'QUEUED', 'RETRY_WAIT', 'PAUSED') then 'CANCELLED'
                  when r.state in ('LEASED', 'RUNNING') then 'CANCELLING' else r.state end
   from jsonb_to_recordset($3::jsonb) as s(id uuid, by uuid)
   where r.tenant_id = $1 and r.experiment_id = $2 and r.id = s.id
   returning r.id, r.state, r.stage, r.state_reason = 'SUPERSEDED' as changed`,
);

interface SupersededRow {
  readonly id: string;
  readonly state: RunState;
  readonly stage: number;
  readonly changed: boolean | null;
}

const answerLetters = statement(
  "wave-letters",
  "update dead_letter set replayed_at = now() where tenant_id = $1 and run_id = any($2::uuid[]) and replayed_at is null",
);

const grow = statement(
  "wave-grow",
  `update experiment e set stage = $3, stage_count = $4, open_runs = open_runs + $5, ended_at = null,
     total_runs = (select count(*) from run r where r.tenant_id = e.tenant_id and r.experiment_id = e.id and r.superseded_by is null)
   where e.tenant_id = $1 and e.id = $2`,
);

/** Adds a wave to the experiment, which the caller has locked: an ended one goes on, with the wave's first runs in the queue. */
export async function applyWave(tx: Transaction, experiment: LockedExperiment, wave: Wave): Promise<void> {
  const { tenantId, experimentId } = experiment;
  const key = [tenantId, experimentId];
  const { stage, added, copies, requeued } = wave;
  await demandRoom(tx, tenantId, added.length + copies.length + requeued.length);
  if (added.length > 0) await tx.run(addRuns, [...key, stage, JSON.stringify(added)]);
  if (copies.length > 0) await tx.run(copyRuns, [...key, JSON.stringify(copies)]);
  if (requeued.length > 0) await tx.run(requeue, [...key, stage, requeued]);
  const superseded = await tx.rows<SupersededRow>(supersede, [...key, JSON.stringify(wave.superseded)]);
  const queued = [...requeued, ...added.filter((run) => run.stage === stage).map((run) => run.id)];
  await tx.run(answerLetters, [tenantId, [...requeued, ...wave.superseded.map((run) => run.id)]]);
  await tx.run(grow, [...key, stage, wave.stageCount, queued.length]);
  const stopped = superseded.filter((run) => run.changed === true);
  await tellWave(tx, await relock(tx, experiment), { queued, stopped });
  const ended = stopped.filter((run) => run.state === "CANCELLED" && run.stage === experiment.stage);
  if (experiment.endedAt === null && ended.length > 0) await runsEnded(tx, experiment, ended.length);
}

interface Moved {
  readonly queued: readonly string[];
  readonly stopped: readonly SupersededRow[];
}

async function tellWave(tx: Transaction, experiment: LockedExperiment, { queued, stopped }: Moved): Promise<void> {
  const { tenantId, experimentId, stage, pausedAt } = experiment;
  const key: ExperimentKey = { tenantId, experimentId };
  const held = pausedAt === null ? [] : await holdBack(tx, key);
  const state = await stateOf(tx, experiment);
  const told: NewEvent[] = [
    ...stopped.map((run) => stateEvent(run.id, run.state, "SUPERSEDED")),
    ...queued.map((id) => stateEvent(id, "QUEUED")),
    ...held,
    { runId: null, kind: "EXPERIMENT", body: { state, stage } },
  ];
  await appendEvents(tx, key, told);
  const bells: NewMessage[] = [];
  if (queued.length > 0 && pausedAt === null) bells.push(dispatchBell(key, RUNS_QUEUED));
  if (stopped.some((run) => run.state === "CANCELLING")) bells.push(dispatchBell(key, RUNS_CANCELLING));
  if (bells.length > 0) await writeMessages(tx, bells);
}

const record = statement(
  "wave-record",
  "insert into wave (tenant_id, id, experiment_id, kind, body, requested_by) values ($1, $2, $3, $4, $5::jsonb, $6)",
);

const readById = statement(
  "wave-read",
  `select experiment_id as "experimentId", kind, body, at from wave where tenant_id = $1 and id = $2 order by experiment_id`,
);

const readByExperiment = statement(
  "waves-of",
  'select experiment_id as "experimentId", kind, body, at from wave where experiment_id = any($1::uuid[]) order by at, id',
);

/** RETRY {runIds}, the runs that do the work again; REPLAY {runIds, letterIds}; EXTENSION {addSeeds, addSpuriousness}. */
export const waveKinds = ["RETRY", "REPLAY", "EXTENSION"] as const;
export type WaveKind = (typeof waveKinds)[number];

/** What a wave was made for, kept beside its runs. */
export interface WaveFacts {
  readonly experimentId: string;
  readonly kind: WaveKind;
  readonly body: Json;
  readonly at: Date;
}

/** Who asked for a wave, and under which id it is kept. A replay of dead letters has one in each experiment under the same id. */
export interface WaveRequest {
  readonly id: string;
  readonly kind: WaveKind;
  readonly body: { readonly [name: string]: Json };
  readonly requestedBy: string;
}

/** Keeps what a wave was made for. */
export async function recordWave(tx: Transaction, key: ExperimentKey, wave: WaveRequest): Promise<void> {
  const { id, kind, body, requestedBy } = wave;
  await tx.run(record, [key.tenantId, id, key.experimentId, kind, JSON.stringify(body), requestedBy]);
}

/** The waves that were made under an id. */
export function wavesUnder(tx: Transaction, tenantId: string, id: string): Promise<WaveFacts[]> {
  return tx.rows<WaveFacts>(readById, [tenantId, id]);
}

/** The waves of these experiments, the first first. */
export function wavesOf(tx: Transaction, experimentIds: readonly string[]): Promise<WaveFacts[]> {
  return tx.rows<WaveFacts>(readByExperiment, [experimentIds]);
}

/** The ids under a name in what is kept of a wave. */
export function idsIn(body: Json, name: "runIds" | "letterIds"): string[] {
  const named = new Map(Object.entries(body ?? {})).get(name);
  return Array.isArray(named) ? named.filter((id) => typeof id === "string") : [];
}
