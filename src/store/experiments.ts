import type { Capability, Completeness, Experiment, RunCounts } from "../domain/experiment.js";
import type { RunState } from "../domain/run.js";
import { type Page, type PageOrder, type PageRequest, readPage } from "./pages.js";
import { experimentTable } from "./tables.js";
import { statement, type Transaction } from "./transaction.js";

/** The experiment with this id, or null when the tenant has none. */
export function findExperiment(tx: Transaction, id: string): Promise<Experiment | null> {
  return tx.manager.createQueryBuilder(experimentTable, "e").where("e.id = :id", { id }).getOne();
}

/** Where an experiment stands in the list of its project. */
export interface ExperimentPosition {
  readonly createdAt: Date;
  readonly id: string;
}

/** Which experiments are listed. */
export interface ExperimentFilter {
  readonly projectId: string;
  readonly capability?: Capability | undefined;
  /** Only those made later. */
  readonly createdAfter?: Date | undefined;
}

const newestFirst: PageOrder<ExperimentPosition> = {
  columns: ["e.createdAt", "e.id"],
  descending: true,
  valuesAt: ({ createdAt, id }) => [createdAt, id],
};

/** Experiments of a project, newest first. */
export function listExperiments(
  tx: Transaction,
  filter: ExperimentFilter,
  page: PageRequest<ExperimentPosition>,
): Promise<Page<Experiment>> {
  const query = tx.manager
    .createQueryBuilder(experimentTable, "e")
    .where("e.projectId = :projectId", { projectId: filter.projectId });
  if (filter.capability !== undefined) query.andWhere("e.capability = :capability", { capability: filter.capability });
  if (filter.createdAfter !== undefined)
    query.andWhere("e.createdAt > :createdAfter", { createdAfter: filter.createdAfter });
  return readPage(query, newestFirst, page);
}

/** What an experiment's state is derived from, beside the experiment itself. */
export interface Tally extends Completeness {
  readonly counts: RunCounts;
}

const tallies = statement(
  "experiment-tallies",
  `select r.experiment_id, r.state, count(*)::int as count, bool_or(r.partial) as partial,
          bool_or(r.stage = e.stage_count - 1 and r.state = 'SUCCEEDED') as reported
   from run r join experiment e on e.tenant_id = r.tenant_id and e.id = r.experiment_id
   where r.experiment_id = any($1::uuid[]) and r.superseded_by is null group by r.experiment_id, r.state`,
);

interface TallyRow extends Completeness {
  readonly experiment_id: string;
  readonly state: RunState;
  readonly count: number;
}

/** How many runs of each experiment that count are in which state, for many experiments at once. Unknown ids are left out. */
export async function runCountsOf(tx: Transaction, experimentIds: readonly string[]): Promise<Map<string, Tally>> {
  const rows = await tx.rows<TallyRow>(tallies, [experimentIds]);
  const found = new Map<string, Tally>();
  for (const row of rows) {
    const before = found.get(row.experiment_id);
    found.set(row.experiment_id, {
      counts: { ...before?.counts, [row.state]: row.count },
      reported: row.reported || (before?.reported ?? false),
      partial: row.partial || (before?.partial ?? false),
    });
  }
  return found;
}

const reports = statement(
  "experiment-reports",
  `select distinct on (r.experiment_id) r.experiment_id as "experimentId", r.id from run r
   join experiment e on e.tenant_id = r.tenant_id and e.id = r.experiment_id and r.stage = e.stage_count - 1
   where r.experiment_id = any($1::uuid[]) and r.state = 'SUCCEEDED' and r.superseded_by is null
   order by r.experiment_id, r.position`,
);

/** The run that made an experiment's report. */
export interface ReportRun {
  readonly experimentId: string;
  readonly id: string;
}

/** The runs that made the reports of these experiments; none for one that has no report. */
export function reportRunsOf(tx: Transaction, experimentIds: readonly string[]): Promise<ReportRun[]> {
  return tx.rows<ReportRun>(reports, [experimentIds]);
}
