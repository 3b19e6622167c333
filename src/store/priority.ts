import { demandState } from "../domain/control.js";
import { lockExperiment, stateOf } from "./closing.js";
import { appendEvents, type ExperimentKey } from "./events.js";
import { statement, type Transaction } from "./transaction.js";

// Runs that failed are given it too: a user may ask for them again.
const setRank = statement(
  "priority-set",
  `update run set priority = $3::int, queue_rank = extract(epoch from accepted_at) - 600 * $3::int
   where tenant_id = $1 and experiment_id = $2 and state not in ('SUCCEEDED', 'CANCELLED') and priority <> $3::int`,
);

/**
 * Serves an experiment's runs sooner or later than before, next to other runs of the tenant; what a pod works on, it goes on
 * with. False when they had this priority. Throws STATE_CONFLICT for one that has ended or is being cancelled.
 */
export async function setPriority(tx: Transaction, key: ExperimentKey, priority: number): Promise<boolean> {
  const experiment = await lockExperiment(tx, key);
  if (experiment === null) return false;
  const state = await stateOf(tx, experiment);
  demandState("SET_PRIORITY", { ...experiment, state });
  const changed = await tx.run(setRank, [key.tenantId, key.experimentId, priority]);
  if (changed === 0) return false;
  await appendEvents(tx, key, [{ runId: null, kind: "EXPERIMENT", body: { state, priority } }]);
  return true;
}
