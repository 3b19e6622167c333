import { randomUUID } from "node:crypto";
import { basename } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { AssayClient, type Experiment, type RobustnessSpec } from "../../clients/typescript/index.js";
import type { DemoOptions } from "./arguments.js";
import { follow, isOver, printReport, sayFailures, writeJson } from "./follow.js";
import { type Surroundings, withService } from "./interruptible.js";
import { registered } from "./models.js";
import { duration } from "./progress.js";
import type { Screen } from "./screen.js";

/** Named before anything runs; every other comparison is printed whatever it says. */
const contrast = { method: "DPO", from: 0.1, to: 0.9 } as const;
const firstSeed = 101;
const interruptedExit = 130;
const cancelWithinMs = 10_000;

/** Runs the demo and gives its exit code: 0 only with a complete report. */
export function demo(options: DemoOptions): Promise<number> {
  return withService(options, (surroundings) =>
    evaluate(new AssayClient(surroundings.service), { ...surroundings, options }),
  );
}

interface Setting extends Surroundings {
  readonly options: DemoOptions;
}

async function evaluate(client: AssayClient, setting: Setting): Promise<number> {
  const { options, screen, service, signal } = setting;
  const startedAt = Date.now();
  const spec = await specFor(client, setting);
  screen.say(
    `Declared before it runs: ${contrast.method}, conflicting accuracy at rate ${contrast.from} minus at rate ${contrast.to}.`,
  );
  if (signal.aborted) return interruptedExit;
  const { id } = await client.submitRobustnessExperiment(spec, randomUUID());
  screen.say(`Submitted experiment ${id}; GraphiQL: ${service.url}/`);
  await follow(client, id, setting);
  if (signal.aborted) {
    await cancel(client, id, screen);
    return interruptedExit;
  }
  const experiment = await client.experiment(id);
  screen.clear();
  sayFailures(experiment, screen);
  await printReport(client, experiment);
  if (options.json !== undefined) {
    await writeJson(client, experiment, options.json);
    screen.say(`The report as JSON: ${options.json}`);
  }
  const reused = reuseOf(experiment);
  if (reused !== null) screen.say(reused);
  const where = service.isOurs ? `"npm start" serves ${options.dataDir} with GraphiQL` : `GraphiQL: ${service.url}/`;
  screen.say(
    `${experiment.state} after ${duration((Date.now() - startedAt) / 1000)}. Files: ${options.dataDir}/artifacts; ${where}.`,
  );
  return experiment.state === "SUCCEEDED" ? 0 : 1;
}

/** Cancels, and gives the pod a moment to end its runs before the service goes. */
async function cancel(client: AssayClient, id: string, screen: Screen): Promise<void> {
  screen.say("Cancelling …");
  await client.cancel(id, "IMMEDIATE", "interrupted at the terminal");
  const deadline = Date.now() + cancelWithinMs;
  while (Date.now() < deadline && !isOver((await client.experiment(id)).state)) await pause(200);
}

async function specFor(client: AssayClient, { options, screen }: Setting): Promise<RobustnessSpec> {
  const project = await client.project();
  const model = await registered(client, project.id, options.model);
  screen.say(`Model: ${model.name}, SHA-256 ${model.digest.slice(0, 12)}…`);
  const shared = {
    projectId: project.id,
    modelId: model.id,
    preset: "SMOKE",
    seeds: Array.from({ length: options.seeds }, (_, i) => firstSeed + i),
    contrast,
    options: { reuse: options.fresh ? "NEVER" : "EXACT_MATCH" },
    ...(options.blocks === undefined ? {} : { trainer: { blocks: options.blocks } }),
  } as const;
  if (options.data === undefined) return { ...shared, name: "smoke" };
  const version = await client.uploadDataset(project.id, basename(options.data), options.data);
  screen.say(`Data: ${version.rows} rows, SHA-256 ${version.digest.slice(0, 12)}…`);
  return { ...shared, name: basename(options.data), datasetVersionId: version.id };
}

/** What was answered from earlier work, so that nobody takes a quick answer for quick work; null when nothing was. */
function reuseOf({ runs, usage }: Pick<Experiment, "runs" | "usage">): string | null {
  const reused = runs.filter((run) => run.reusedFrom !== null).length;
  if (reused === 0) return null;
  const saved = duration(usage.savedByReuseSeconds.wall);
  return `${reused} of ${runs.length} runs were answered from equal ones of an earlier experiment, which took ${saved}; --fresh works on all of them.`;
}
