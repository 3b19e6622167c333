import { type ExperimentState, experimentState, type RunCounts } from "../domain/experiment.js";
import type { RunState } from "../domain/run.js";
import type { LockedExperiment } from "./closing.js";
import { statement, type Transaction } from "./transaction.js";

/** Runs of one locked experiment that have ended. */
export interface Ended {
  readonly experiment: LockedExperiment;
  readonly ended: number;
  /** Whether the experiment is over with them. */
  readonly isLast: boolean;
}

const countAll = statement(
  "experiments-count-down",
  `update experiment e set open_runs = e.open_runs - d.ended,
                           ended_at = case when d.last then now() else e.ended_at end,
                           paused_at = case when d.last then null else e.paused_at end
   from unnest($1::uuid[], $2::uuid[], $3::int[], $4::boolean[]) as d(tenant_id, id, ended, last)
   where e.tenant_id = d.tenant_id and e.id = d.id`,
);

const tallyAll = statement(
  "experiments-tally",
  `select r.experiment_id as id, r.state, count(*)::int as count, bool_or(r.stage = e.last_stage and r.state = 'SUCCEEDED') as reported,
          bool_or(r.partial) as partial
   from unnest($1::uuid[], $2::uuid[], $3::int[]) as e(tenant_id, id, last_stage)
   join run r on r.tenant_id = e.tenant_id and r.experiment_id = e.id
   where r.superseded_by is null group by r.experiment_id, r.state`,
);

interface TallyRow {
  readonly id: string;
  readonly state: RunState;
  readonly count: number;
  readonly reported: boolean;
  readonly partial: boolean;
}

/** Counts ended runs down in their experiments and gives the state, by id, of those experiments that are over. */
export async function countDownAll(tx: Transaction, all: readonly Ended[]): Promise<Map<string, ExperimentState>> {
  const some = all.filter(({ ended }) => ended > 0);
  if (some.length === 0) return new Map();
  const counted = tx.run(countAll, [
    some.map(({ experiment }) => experiment.tenantId),
    some.map(({ experiment }) => experiment.experimentId),
    some.map(({ ended }) => ended),
    some.map(({ isLast }) => isLast),
  ]);
  const over = some.filter(({ isLast }) => isLast).map(({ experiment }) => experiment);
  const [, rows] = await Promise.all([counted, tally(tx, over)]);
  const byId = Map.groupBy(rows, (row) => row.id);
  return new Map(over.map((experiment) => [experiment.experimentId, stateIn(experiment, byId)]));
}

async function tally(tx: Transaction, over: readonly LockedExperiment[]): Promise<TallyRow[]> {
  if (over.length === 0) return [];
  return tx.rows<TallyRow>(tallyAll, [
    over.map(({ tenantId }) => tenantId),
    over.map(({ experimentId }) => experimentId),
    over.map(({ stageCount }) => stageCount - 1),
  ]);
}

function stateIn(experiment: LockedExperiment, byId: ReadonlyMap<string, readonly TallyRow[]>): ExperimentState {
  const rows = byId.get(experiment.experimentId) ?? [];
  const counts: RunCounts = Object.fromEntries(rows.map((row) => [row.state, row.count]));
  return experimentState(experiment, counts, {
    reported: rows.some((row) => row.reported),
    partial: rows.some((row) => row.partial),
  });
}
