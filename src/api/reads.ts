import DataLoader from "dataloader";
import type { Dataset, DatasetVersion } from "../domain/dataset.js";
import type { DeadLetter } from "../domain/dead-letter.js";
import type { Experiment, ExperimentEvent } from "../domain/experiment.js";
import type { Model } from "../domain/model.js";
import type { Attempt, Run } from "../domain/run.js";
import type { Standing } from "../domain/standing.js";
import type { ApiKey, Caller, Project } from "../domain/tenant.js";
import { AssayError } from "../errors.js";
import type { AppDatabase, Work } from "../store/database.js";
import { datasetsById, versionsById } from "../store/datasets.js";
import { deadLettersById } from "../store/dead-letter-reads.js";
import { type ReportRun, reportRunsOf, runCountsOf, type Tally } from "../store/experiments.js";
import { keysById, projectsById } from "../store/keys.js";
import { modelsByDigest, modelsById } from "../store/models.js";
import { eventAt, experimentsById, runsById } from "../store/nodes.js";
import { type ReceiptSums, receiptSums } from "../store/receipts.js";
import type { Result } from "../store/rows.js";
import {
  artifactsOf,
  attemptsOf,
  findArtifact,
  type RunFile,
  resultsOf,
  savedOfExperiments,
  savedOfRuns,
  type UsageSums,
  usageOfExperiments,
  usageOfRuns,
} from "../store/runs.js";
import { placesOf, type QueuePlace, standingOf } from "../store/standing.js";
import { type WaveFacts, wavesOf } from "../store/waves.js";

/** Sums of the ledger, and of what reuse kept out of it. */
export interface UsedAndSaved {
  readonly used: UsageSums;
  readonly saved: UsageSums;
}

type Loader<T> = DataLoader<string, T>;

/**
 * What a caller may read, many things of a kind in one statement. Whatever is not of the caller's project is null, as if it
 * were not there. Nothing is kept from one look to the next, so that a subscription sees what is true when an event comes.
 */
export class Reads {
  readonly #database: AppDatabase;
  readonly #caller: Caller;
  readonly #projects: Loader<Project | null>;
  readonly #experiments: Loader<Experiment | null>;
  readonly #runs: Loader<Run | null>;
  readonly #models: Loader<Model | null>;
  readonly #modelsByDigest: Loader<Model | null>;
  readonly #datasets: Loader<Dataset | null>;
  readonly #versions: Loader<DatasetVersion | null>;
  readonly #keys: Loader<ApiKey | null>;
  readonly #standings: Loader<Standing | null>;
  readonly #places: Loader<QueuePlace | null>;
  readonly #tallies: Loader<Tally>;
  readonly #attempts: Loader<readonly Attempt[]>;
  readonly #files: Loader<readonly RunFile[]>;
  readonly #results: Loader<Result | null>;
  readonly #deadLetters: Loader<DeadLetter | null>;
  readonly #waves: Loader<readonly WaveFacts[]>;
  readonly #receipts: Loader<ReceiptSums | null>;
  readonly #reportRuns: Loader<ReportRun | null>;
  readonly #usageOfRuns: Loader<UsageSums>;
  readonly #usageOfExperiments: Loader<UsageSums>;
  readonly #savedOfRuns: Loader<UsageSums>;
  readonly #savedOfExperiments: Loader<UsageSums>;

  constructor(database: AppDatabase, caller: Caller) {
    this.#database = database;
    this.#caller = caller;
    const { tenantId } = caller;
    this.#projects = this.#one((tx, ids) => projectsById(tx, tenantId, ids), idOf);
    this.#experiments = this.#one((tx, ids) => experimentsById(tx, ids), idOf);
    this.#runs = this.#one((tx, ids) => runsById(tx, ids), idOf);
    this.#models = this.#one((tx, ids) => modelsById(tx, tenantId, ids), idOf);
    this.#modelsByDigest = this.#one(
      (tx, ids) => modelsByDigest(tx, caller, ids),
      (model) => model.digest,
    );
    this.#datasets = this.#one((tx, ids) => datasetsById(tx, tenantId, ids), idOf);
    this.#versions = this.#one((tx, ids) => versionsById(tx, tenantId, ids), idOf);
    this.#keys = this.#one((tx, ids) => keysById(tx, tenantId, ids), idOf);
    this.#results = this.#one((tx, ids) => resultsOf(tx, ids), runIdOf);
    this.#attempts = this.#many((tx, ids) => attemptsOf(tx, ids), runIdOf);
    this.#files = this.#many((tx, ids) => artifactsOf(tx, ids), runIdOf);
    this.#deadLetters = this.#one((tx, ids) => deadLettersById(tx, ids), idOf);
    this.#waves = this.#many((tx, ids) => wavesOf(tx, ids), experimentIdOf);
    this.#receipts = this.#one((tx, ids) => receiptSums(tx, ids), experimentIdOf);
    this.#reportRuns = this.#one((tx, ids) => reportRunsOf(tx, ids), experimentIdOf);
    this.#standings = this.#one((tx) => standingOf(tx, tenantId), tenantOf);
    this.#places = this.#one((tx, ids) => placesOf(tx, tenantId, ids), runIdOf);
    this.#tallies = this.#mapped((tx, ids) => runCountsOf(tx, ids), { counts: {}, reported: false, partial: false });
    this.#usageOfRuns = this.#mapped((tx, ids) => usageOfRuns(tx, ids), {});
    this.#usageOfExperiments = this.#mapped((tx, ids) => usageOfExperiments(tx, ids), {});
    this.#savedOfRuns = this.#mapped((tx, ids) => savedOfRuns(tx, ids), {});
    this.#savedOfExperiments = this.#mapped((tx, ids) => savedOfExperiments(tx, ids), {});
  }

  /** One transaction as the caller's tenant. */
  within<T>(work: Work<T>): Promise<T> {
    return this.#database.withTenant(this.#caller.tenantId, work);
  }

  /** The caller's project; null for any other id. */
  async project(id: string): Promise<Project | null> {
    return id === this.#caller.projectId ? this.#projects.load(id) : null;
  }

  async experiment(id: string): Promise<Experiment | null> {
    return this.#visible(await this.#experiments.load(id));
  }

  async run(id: string): Promise<Run | null> {
    const run = await this.#runs.load(id);
    return run !== null && (await this.experiment(run.experimentId)) !== null ? run : null;
  }

  async event(experimentId: string, sequence: number): Promise<ExperimentEvent | null> {
    if ((await this.experiment(experimentId)) === null) return null;
    return this.within((tx) => eventAt(tx, experimentId, sequence));
  }

  async artifact(id: string): Promise<RunFile | null> {
    const file = await this.within((tx) => findArtifact(tx, id));
    return file !== null && (await this.experiment(file.experimentId)) !== null ? file : null;
  }

  async model(id: string): Promise<Model | null> {
    return this.#visible(await this.#models.load(id));
  }

  /** The project's model of this digest. */
  async modelOfDigest(digest: string): Promise<Model | null> {
    return this.#visible(await this.#modelsByDigest.load(digest));
  }

  async dataset(id: string): Promise<Dataset | null> {
    return this.#visible(await this.#datasets.load(id));
  }

  async version(id: string): Promise<DatasetVersion | null> {
    const version = await this.#versions.load(id);
    return version !== null && (await this.dataset(version.datasetId)) !== null ? version : null;
  }

  async key(id: string): Promise<ApiKey | null> {
    return this.#visible(await this.#keys.load(id));
  }

  /** What the caller's tenant may have and has. */
  async standing(): Promise<Standing> {
    const { tenantId } = this.#caller;
    const standing = await this.#standings.load(tenantId);
    if (standing === null)
      throw new AssayError("INTERNAL", `wanted the standing of tenant ${tenantId}, but no row came`);
    return standing;
  }

  /** Where the run stands among its tenant's runs that could be claimed now, from 1; null when it is none of them. */
  async queuePlace(runId: string): Promise<number | null> {
    return (await this.#places.load(runId))?.place ?? null;
  }

  tally(experimentId: string): Promise<Tally> {
    return this.#tallies.load(experimentId);
  }

  async deadLetter(id: string): Promise<DeadLetter | null> {
    const letter = await this.#deadLetters.load(id);
    return letter !== null && (await this.experiment(letter.experimentId)) !== null ? letter : null;
  }

  /** What was added to the experiment after it was accepted, the first first. */
  waves(experimentId: string): Promise<readonly WaveFacts[]> {
    return this.#waves.load(experimentId);
  }

  /** The sums of what a cancel made of the experiment's runs. */
  async receipt(experimentId: string): Promise<ReceiptSums> {
    const sums = await this.#receipts.load(experimentId);
    if (sums === null) throw new AssayError("INTERNAL", `wanted the receipt of ${experimentId}, but no row came`);
    return sums;
  }

  /** The file of the experiment's report; null while there is none. */
  async report(experimentId: string): Promise<RunFile | null> {
    return (await this.reportFiles(experimentId))?.find((file) => file.kind === "REPORT_JSON") ?? null;
  }

  /** All files of the experiment's report; null while there is none. */
  async reportFiles(experimentId: string): Promise<readonly RunFile[] | null> {
    const run = await this.#reportRuns.load(experimentId);
    return run === null ? null : this.files(run.id);
  }

  attempts(runId: string): Promise<readonly Attempt[]> {
    return this.#attempts.load(runId);
  }

  files(runId: string): Promise<readonly RunFile[]> {
    return this.#files.load(runId);
  }

  result(runId: string): Promise<Result | null> {
    return this.#results.load(runId);
  }

  /** What the run used, and what was saved where it was answered from an earlier one. */
  async usageOfRun(runId: string): Promise<UsedAndSaved> {
    const [used, saved] = await Promise.all([this.#usageOfRuns.load(runId), this.#savedOfRuns.load(runId)]);
    return { used, saved };
  }

  /** What the experiment's runs used, and what was saved where they were answered from earlier ones. */
  async usageOfExperiment(experimentId: string): Promise<UsedAndSaved> {
    const [used, saved] = await Promise.all([
      this.#usageOfExperiments.load(experimentId),
      this.#savedOfExperiments.load(experimentId),
    ]);
    return { used, saved };
  }

  /** Row-level security has sieved the tenants already; this holds without it too, and sieves the projects. */
  #visible<T extends { readonly tenantId: string; readonly projectId: string }>(found: T | null): T | null {
    const { tenantId, projectId } = this.#caller;
    return found !== null && found.tenantId === tenantId && found.projectId === projectId ? found : null;
  }

  #one<T>(read: Batch<T[]>, keyOf: (row: T) => string): Loader<T | null> {
    return this.#loader(async (tx, keys) => {
      const rows = new Map((await read(tx, keys)).map((row) => [keyOf(row), row]));
      return (key) => rows.get(key) ?? null;
    });
  }

  #many<T>(read: Batch<T[]>, keyOf: (row: T) => string): Loader<readonly T[]> {
    return this.#loader(async (tx, keys) => {
      const rows = Map.groupBy(await read(tx, keys), keyOf);
      return (key) => rows.get(key) ?? [];
    });
  }

  #mapped<T>(read: Batch<ReadonlyMap<string, T>>, none: T): Loader<T> {
    return this.#loader(async (tx, keys) => {
      const rows = await read(tx, keys);
      return (key) => rows.get(key) ?? none;
    });
  }

  #loader<T>(read: Batch<(key: string) => T>): Loader<T> {
    return new DataLoader(
      async (keys) => {
        const find = await this.within((tx) => read(tx, [...new Set(keys)]));
        return keys.map(find);
      },
      { cache: false },
    );
  }
}

type Batch<T> = (tx: Parameters<Work<T>>[0], keys: readonly string[]) => Promise<T>;

function idOf(row: { readonly id: string }): string {
  return row.id;
}

function tenantOf(row: { readonly tenantId: string }): string {
  return row.tenantId;
}

function experimentIdOf(row: { readonly experimentId: string }): string {
  return row.experimentId;
}

function runIdOf(row: { readonly runId: string }): string {
  return row.runId;
}
