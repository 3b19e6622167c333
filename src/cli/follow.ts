import { writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Artifact, AssayClient, Experiment } from "../../clients/typescript/index.js";
import { AssayError } from "../errors.js";
import { nameOf, Progress } from "./progress.js";
import type { Screen } from "./screen.js";

/** How an experiment is followed. */
export interface FollowSetting {
  readonly screen: Screen;
  /** Aborts when the person has had enough. */
  readonly signal: AbortSignal;
}

/** Kinds of the files that a report consists of. */
const reportKinds = new Set([
  "REPORT_TEXT",
  "REPORT_JSON",
  "REPORT_MARKDOWN",
  "REPORT_HTML",
  "LM_EVAL_JSON",
  "ITEMS_EXPORT",
  "TREC_RUN",
  "TREC_QRELS",
]);

/** Shows progress until the experiment has ended or the person has had enough. */
export async function follow(client: AssayClient, id: string, { screen, signal }: FollowSetting): Promise<void> {
  const { runs, endedAt } = await client.experiment(id);
  if (endedAt !== null) return;
  const progress = new Progress(runs);
  for await (const event of client.experimentEvents(id, { signal })) {
    if (progress.take(event)) screen.show(progress.line());
    if (event.kind === "WARNING" && event.message !== null) screen.say(`warning: ${event.message}`);
    if (event.kind === "EXPERIMENT" && isOver(event.experimentState)) return;
  }
}

/** Whether an experiment in this state may no longer change by itself. */
export function isOver(state: Experiment["state"] | null): boolean {
  return state === "SUCCEEDED" || state === "PARTIAL" || state === "FAILED" || state === "CANCELLED";
}

/** Says of each run that failed why it did. */
export function sayFailures({ runs }: Pick<Experiment, "runs">, screen: Screen): void {
  for (const run of runs) {
    if (run.failure !== null) screen.say(`${nameOf(run)}: ${run.state}, ${run.failure.code}: ${run.failure.message}`);
  }
}

/** The newest file of a kind. Throws STATE_CONFLICT where the experiment has none. */
export function reportFile({ state, artifacts }: Pick<Experiment, "state" | "artifacts">, kind: string): Artifact {
  const file = artifacts.findLast((artifact) => artifact.kind === kind);
  if (file !== undefined) return file;
  throw new AssayError("STATE_CONFLICT", `the experiment is ${state} and has no report`);
}

/** Prints the report for people. */
export async function printReport(client: AssayClient, experiment: Experiment): Promise<void> {
  process.stdout.write(`${(await client.artifactText(reportFile(experiment, "REPORT_TEXT"))).trimEnd()}\n`);
}

/** Writes the report as JSON to a file. */
export async function writeJson(client: AssayClient, experiment: Experiment, file: string): Promise<void> {
  writeFileSync(file, await client.artifactText(reportFile(experiment, "REPORT_JSON")));
}

/** Writes every file of the report into a folder and gives their names; of two of one name the newest counts. */
export async function writeReport(client: AssayClient, experiment: Experiment, folder: string): Promise<string[]> {
  reportFile(experiment, "REPORT_JSON");
  await mkdir(folder, { recursive: true });
  const ofReport = experiment.artifacts.filter(({ kind }) => reportKinds.has(kind));
  // Every student is called alike; the service knows which of them stands for the experiment.
  const distilled = experiment.artifacts.some(({ kind }) => kind === "ENCODER");
  const encoder = distilled ? [await client.exportExperiment(experiment.id, "ENCODER")] : [];
  const files = new Map([...ofReport, ...encoder].map((artifact) => [artifact.name, artifact]));
  for (const [name, artifact] of files) {
    if (!/^[\w.-]+$/.test(name)) throw new AssayError("INTERNAL", `wanted a plain file name, but got ${name}`);
    await client.downloadArtifact(artifact, join(folder, name));
  }
  return [...files.keys()];
}
