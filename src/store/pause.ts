import { demandState } from "../domain/control.js";
import type { RunState } from "../domain/run.js";
import { lockExperiment, stateOf } from "./closing.js";
import { appendEvents, type ExperimentKey, type NewEvent, stateEvent } from "./events.js";
import { dispatchBell, RUNS_CANCELLING, RUNS_QUEUED, writeMessages } from "./outbox.js";
import { statement, type Transaction } from "./transaction.js";

const setPaused = statement(
  "pause-set",
  "update experiment set paused_at = case when $3::boolean then now() end where tenant_id = $1 and id = $2",
);

// A claim may take a queued run while this waits for its row; PostgreSQL then decides again by the row as it became.
const pauseRuns = statement(
  "pause-runs",
  `update run set
     release_reason = case when state in ('LEASED', 'RUNNING') then 'PAUSE' end,
     state_reason = case when state in ('LEASED', 'RUNNING') then state_reason else 'USER_REQUEST' end,
     state = case when state in ('LEASED', 'RUNNING') then state else 'PAUSED' end
   where tenant_id = $1 and experiment_id = $2 and state in ('QUEUED', 'RETRY_WAIT', 'LEASED', 'RUNNING')
   returning id, state`,
);

interface MovedRow {
  readonly id: string;
  readonly state: RunState;
}

/**
 * Holds an experiment back: what waits for a pod is PAUSED at once, what a pod works on stops at its next step, from where it
 * goes on later. False when it was paused already. Throws STATE_CONFLICT for one that has ended or is being cancelled.
 */
export async function pauseExperiment(tx: Transaction, key: ExperimentKey): Promise<boolean> {
  const experiment = await lockExperiment(tx, key);
  if (experiment === null) return false;
  demandState("PAUSE", { ...experiment, state: await stateOf(tx, experiment) });
  if (experiment.pausedAt !== null) return false;
  const { tenantId, experimentId } = key;
  await tx.run(setPaused, [tenantId, experimentId, true]);
  const runs = await tx.rows<MovedRow>(pauseRuns, [tenantId, experimentId]);
  const held = runs.filter((run) => run.state === "PAUSED");
  const state = await stateOf(tx, { ...experiment, pausedAt: new Date() });
  // While pods are still at work the experiment goes on; whoever ends the last attempt tells of the pause.
  const told: NewEvent[] = state === "PAUSED" ? [{ runId: null, kind: "EXPERIMENT", body: { state } }] : [];
  await appendEvents(tx, key, [...held.map((run) => stateEvent(run.id, "PAUSED", "USER_REQUEST")), ...told]);
  if (held.length < runs.length) await writeMessages(tx, [dispatchBell(key, RUNS_CANCELLING)]);
  return true;
}

const resumeRuns = statement(
  "resume-runs",
  `update run set state = case state when 'PAUSED' then 'QUEUED' else state end,
                  state_reason = case state when 'PAUSED' then null else state_reason end,
                  release_reason = nullif(release_reason, 'PAUSE')
   where tenant_id = $1 and experiment_id = $2 and (state = 'PAUSED' or release_reason = 'PAUSE')
   returning id, state`,
);

/** Lets a paused experiment go on. False when it was not paused. Throws STATE_CONFLICT for one that has ended or is being cancelled. */
export async function resumeExperiment(tx: Transaction, key: ExperimentKey): Promise<boolean> {
  const experiment = await lockExperiment(tx, key);
  if (experiment === null) return false;
  demandState("RESUME", { ...experiment, state: await stateOf(tx, experiment) });
  if (experiment.pausedAt === null) return false;
  const { tenantId, experimentId } = key;
  await tx.run(setPaused, [tenantId, experimentId, false]);
  const runs = await tx.rows<MovedRow>(resumeRuns, [tenantId, experimentId]);
  const queued = runs.filter((run) => run.state === "QUEUED");
  const state = await stateOf(tx, { ...experiment, pausedAt: null });
  await appendEvents(tx, key, [
    ...queued.map((run) => stateEvent(run.id, "QUEUED")),
    { runId: null, kind: "EXPERIMENT", body: { state } },
  ]);
  if (queued.length > 0) await writeMessages(tx, [dispatchBell(key, RUNS_QUEUED)]);
  return true;
}
