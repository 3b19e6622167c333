import { In } from "typeorm";
import type { Attempt, Run, RunState } from "../domain/run.js";
import { boundsOf, type Page, type PageOrder, type PageRequest, pageOf, readPage } from "./pages.js";
import type { Result, UsageKind } from "./rows.js";
import { attemptTable, resultTable, runTable } from "./tables.js";
import { statement, type Transaction } from "./transaction.js";

/** Which runs are listed. */
export interface RunFilter {
  readonly experimentId: string;
  readonly states?: readonly RunState[] | undefined;
  readonly step?: string | undefined;
  readonly seed?: number | undefined;
}

const byPosition: PageOrder<number> = {
  columns: ["r.position"],
  descending: false,
  valuesAt: (position) => [position],
};

/** Runs of an experiment in the order of its plan; a page's position is a run's `position`. */
export function listRuns(tx: Transaction, filter: RunFilter, page: PageRequest<number>): Promise<Page<Run>> {
  const { experimentId, states, step, seed } = filter;
  const query = tx.manager.createQueryBuilder(runTable, "r").where("r.experimentId = :experimentId", { experimentId });
  if (states !== undefined) query.andWhere("r.state = any(:states)", { states: [...states] });
  if (step !== undefined) query.andWhere("r.step = :step", { step });
  if (seed !== undefined) query.andWhere("r.seed = :seed", { seed });
  return readPage(query, byPosition, page);
}

/** The tries of these runs, each run's in order. */
export function attemptsOf(tx: Transaction, runIds: readonly string[]): Promise<Attempt[]> {
  return tx.manager.find(attemptTable, { where: { runId: In([...runIds]) }, order: { runId: "ASC", epoch: "ASC" } });
}

/** The results of those of these runs that have one. */
export function resultsOf(tx: Transaction, runIds: readonly string[]): Promise<Result[]> {
  return tx.manager.createQueryBuilder(resultTable, "r").where("r.runId = any(:runIds)", { runIds }).getMany();
}

/** A file that a run made. */
export interface RunFile {
  readonly id: string;
  readonly runId: string;
  readonly experimentId: string;
  readonly name: string;
  readonly kind: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly createdAt: Date;
}

const FILE_COLUMNS = `f.id, f.run_id as "runId", r.experiment_id as "experimentId", f.name, f.kind, f.sha256,
  a.size_bytes as "sizeBytes", a.created_at as "createdAt"`;
const FILE_TABLES = `run_artifact f
  join artifact a on a.tenant_id = f.tenant_id and a.sha256 = f.sha256
  join run r on r.tenant_id = f.tenant_id and r.id = f.run_id and r.epoch = f.epoch`;

const filesOfRuns = statement(
  "run-files",
  `select ${FILE_COLUMNS} from ${FILE_TABLES} where f.run_id = any($1::uuid[]) order by f.run_id, f.name`,
);
const fileById = statement("run-file", `select ${FILE_COLUMNS} from ${FILE_TABLES} where f.id = $1`);
const POSITION_OF_FILE = `select r.position, f.name from ${FILE_TABLES} where r.experiment_id = $1 and f.id = $2`;
const filesForward = statement(
  "experiment-files-forward",
  `select ${FILE_COLUMNS} from ${FILE_TABLES}
   where r.experiment_id = $1 and ($2::uuid is null or (r.position, f.name) > (${POSITION_OF_FILE}))
   order by r.position, f.name limit $3`,
);
const filesBackward = statement(
  "experiment-files-backward",
  `select ${FILE_COLUMNS} from ${FILE_TABLES}
   where r.experiment_id = $1 and ($2::uuid is null or (r.position, f.name) < (${POSITION_OF_FILE}))
   order by r.position desc, f.name desc limit $3`,
);

/** The files of these runs, by name. */
export function artifactsOf(tx: Transaction, runIds: readonly string[]): Promise<RunFile[]> {
  return tx.rows(filesOfRuns, [runIds]);
}

/** The files of an experiment's runs, in the order of its plan; a page's position is a file's id. */
export async function listArtifacts(
  tx: Transaction,
  experimentId: string,
  request: PageRequest<string>,
): Promise<Page<RunFile>> {
  const { limit, from = null } = boundsOf(request);
  const wanted = "first" in request ? filesForward : filesBackward;
  return pageOf(await tx.rows<RunFile>(wanted, [experimentId, from, limit + 1]), request);
}

const encoders = statement(
  "experiment-encoder",
  `select ${FILE_COLUMNS} from ${FILE_TABLES}
   where r.experiment_id = $1 and f.kind = 'ENCODER' and r.state = 'SUCCEEDED' and r.superseded_by is null
   order by (r.cell ->> 'system' = 'SOFTQE') desc nulls last, r.position limit 1`,
);

/** The distilled encoder that stands for an experiment: the first of SOFTQE in the order of its plan, else of any other; null without one. */
export async function encoderOf(tx: Transaction, experimentId: string): Promise<RunFile | null> {
  const [file] = await tx.rows<RunFile>(encoders, [experimentId]);
  return file ?? null;
}

/** The file with this id, or null when the tenant has none. */
export async function findArtifact(tx: Transaction, id: string): Promise<RunFile | null> {
  const [row] = await tx.rows<RunFile>(fileById, [id]);
  return row ?? null;
}

/** What was used, by kind; kinds that were never used are absent. */
export type UsageSums = Readonly<Partial<Record<UsageKind, number>>>;

const usageByRun = statement(
  "run-usage",
  "select run_id as id, kind, sum(amount) as amount from usage where run_id = any($1::uuid[]) group by run_id, kind",
);
const usageByExperiment = statement(
  "experiment-usage",
  `select r.experiment_id as id, u.kind, sum(u.amount) as amount
   from usage u join run r on r.tenant_id = u.tenant_id and r.id = u.run_id
   where r.experiment_id = any($1::uuid[]) group by r.experiment_id, u.kind`,
);

/** What all attempts of these runs used, failed ones too. */
export function usageOfRuns(tx: Transaction, runIds: readonly string[]): Promise<Map<string, UsageSums>> {
  return sums(tx, usageByRun, runIds);
}

/** What all runs of these experiments used. */
export function usageOfExperiments(tx: Transaction, experimentIds: readonly string[]): Promise<Map<string, UsageSums>> {
  return sums(tx, usageByExperiment, experimentIds);
}

// What a run was answered with cost what the attempt used that made it.
const SAVED = `run r join run s on s.tenant_id = r.tenant_id and s.id = r.reused_from
  join usage u on u.tenant_id = s.tenant_id and u.run_id = s.id and u.epoch = s.epoch`;
const savedByRun = statement(
  "run-saved",
  `select r.id, u.kind, sum(u.amount) as amount from ${SAVED} where r.id = any($1::uuid[]) group by r.id, u.kind`,
);
const savedByExperiment = statement(
  "experiment-saved",
  `select r.experiment_id as id, u.kind, sum(u.amount) as amount from ${SAVED}
   where r.experiment_id = any($1::uuid[]) group by r.experiment_id, u.kind`,
);

/** What those of these runs would have used that were answered from earlier ones. */
export function savedOfRuns(tx: Transaction, runIds: readonly string[]): Promise<Map<string, UsageSums>> {
  return sums(tx, savedByRun, runIds);
}

/** What the answered runs of these experiments would have used. */
export function savedOfExperiments(tx: Transaction, experimentIds: readonly string[]): Promise<Map<string, UsageSums>> {
  return sums(tx, savedByExperiment, experimentIds);
}

async function sums(
  tx: Transaction,
  wanted: typeof usageByRun,
  ids: readonly string[],
): Promise<Map<string, UsageSums>> {
  const rows = await tx.rows<{ id: string; kind: UsageKind; amount: number }>(wanted, [ids]);
  const found = new Map<string, UsageSums>();
  for (const { id, kind, amount } of rows) found.set(id, { ...found.get(id), [kind]: amount });
  return found;
}
