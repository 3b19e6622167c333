import type { CancelMode, RunState } from "../domain/run.js";
import { lockExperiment, runsEnded } from "./closing.js";
import { appendEvents, type ExperimentKey, type NewEvent, stateEvent } from "./events.js";
import { dispatchBell, RUNS_CANCELLING, writeMessages } from "./outbox.js";
import { statement, type Transaction } from "./transaction.js";

/** What a user asks for when ending an experiment early. */
export interface Cancellation {
  readonly mode: CancelMode;
  readonly reason: string | null;
  /** The key that asks; none where no user does. */
  readonly requestedBy?: string;
}

const request = statement(
  "cancel-request",
  `update experiment set cancel_mode = $3, cancel_reason = coalesce($4, cancel_reason),
                         cancel_requested_at = coalesce(cancel_requested_at, now()), cancelled_by = coalesce(cancelled_by, $5)
   where tenant_id = $1 and id = $2`,
);

// A claim may take a queued run while this waits for its row; PostgreSQL then decides again by the row as it became.
const cancelRuns = statement(
  "cancel-runs",
  `update run set
     cancel_mode = $3, state_reason = 'USER_REQUEST', release_reason = null,
     state = case when state in ('LEASED', 'RUNNING', 'CANCELLING') then 'CANCELLING' else 'CANCELLED' end,
     terminal_at = case when state in ('LEASED', 'RUNNING', 'CANCELLING') then null else now() end
   where tenant_id = $1 and experiment_id = $2
     and state in ('WAITING', 'QUEUED', 'RETRY_WAIT', 'PAUSED', 'LEASED', 'RUNNING', 'CANCELLING')
   returning id, state, stage`,
);

interface CancelledRow {
  readonly id: string;
  readonly state: RunState;
  readonly stage: number;
}

/**
 * Ends an experiment early: what no pod works on is CANCELLED at once, what one works on becomes CANCELLING until the pod
 * has stopped. Asking again changes nothing, but for IMMEDIATE after a gentler mode. False when nothing changed.
 */
export async function cancelExperiment(tx: Transaction, key: ExperimentKey, wanted: Cancellation): Promise<boolean> {
  const experiment = await lockExperiment(tx, key);
  if (experiment === null || experiment.endedAt !== null) return false;
  const { cancelMode } = experiment;
  if (cancelMode !== null && (cancelMode === wanted.mode || wanted.mode !== "IMMEDIATE")) return false;
  await tx.run(request, [key.tenantId, key.experimentId, wanted.mode, wanted.reason, wanted.requestedBy ?? null]);
  const runs = await tx.rows<CancelledRow>(cancelRuns, [key.tenantId, key.experimentId, wanted.mode]);
  const first: NewEvent = { runId: null, kind: "EXPERIMENT", body: { state: "CANCELLING" } };
  const events = runs.map((run) => stateEvent(run.id, run.state, "USER_REQUEST"));
  await appendEvents(tx, key, cancelMode === null ? [first, ...events] : [first]);
  if (runs.some((run) => run.state === "CANCELLING")) {
    await writeMessages(tx, [dispatchBell(key, RUNS_CANCELLING)]);
  }
  const ended = runs.filter((run) => run.state === "CANCELLED" && run.stage === experiment.stage);
  await runsEnded(tx, key, ended.length);
  return true;
}
