import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { basename } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { AssayClient, type Experiment, type RobustnessSpec } from "../../clients/typescript/index.js";
import { AssayError } from "../errors.js";
import type { DemoOptions } from "./arguments.js";
import { duration, nameOf, Progress } from "./progress.js";
import { Screen } from "./screen.js";
import { openService, type Service } from "./service.js";

/** Named before anything runs; every other comparison is printed whatever it says. */
const contrast = { method: "DPO", from: 0.1, to: 0.9 } as const;
const firstSeed = 101;
const interruptedExit = 130;
const cancelWithinMs = 10_000;

/** Runs the demo and gives its exit code: 0 only with a complete report. */
export async function demo(options: DemoOptions): Promise<number> {
  const screen = new Screen(process.stderr);
  const interruption = new AbortController();
  const interrupt = (): void => interruption.abort();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, interrupt);
  try {
    return await withService({ options, screen, signal: interruption.signal });
  } catch (error) {
    if (interruption.signal.aborted) return interruptedExit; // what broke, broke because of the interruption
    throw error;
  } finally {
    screen.clear();
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.removeListener(signal, interrupt);
  }
}

async function withService(setting: Omit<Setting, "service">): Promise<number> {
  const { options, screen, signal } = setting;
  const onProgress = (message: string): void => screen.say(message);
  const service = await openService({ dataDir: options.dataDir, signal, onProgress });
  try {
    return await Promise.race([evaluate(new AssayClient(service), { ...setting, service }), service.ended]);
  } finally {
    await service.stop();
  }
}

interface Setting {
  readonly options: DemoOptions;
  readonly service: Service;
  readonly screen: Screen;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
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
  await show(client, experiment, setting);
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
  const model = await client.registerModel(project.id, nameFor(options), options.model);
  screen.say(`Model: ${model.name}, SHA-256 ${model.digest.slice(0, 12)}…`);
  const shared = {
    projectId: project.id,
    modelId: model.id,
    methods: ["SFT", "DPO", "KTO"],
    artifacts: ["FEATURE_AMBIGUITY"],
    spuriousness: [0, 0.1, 0.9],
    seeds: Array.from({ length: options.seeds }, (_, i) => firstSeed + i),
    contrast,
    options: { reuse: options.fresh ? "NEVER" : "EXACT_MATCH" },
    ...(options.blocks === undefined ? {} : { trainer: { blocks: options.blocks } }),
  } as const;
  if (options.data === undefined) return { ...shared, name: "smoke", tasks: ["KEYWORD_INCLUSION"] };
  const version = await client.uploadDataset(project.id, basename(options.data), options.data);
  screen.say(`Data: ${version.rows} rows, SHA-256 ${version.digest.slice(0, 12)}…`);
  return { ...shared, name: basename(options.data), tasks: [], datasetVersionId: version.id };
}

function nameFor({ model }: DemoOptions): string {
  if ("package" in model) return "SmolLM2-135M-Instruct";
  return "hub" in model ? model.hub.id : basename(model.path);
}

/** Shows progress until the experiment has ended or the person has had enough. */
async function follow(client: AssayClient, id: string, { screen, signal }: Setting): Promise<void> {
  const { runs } = await client.experiment(id);
  const progress = new Progress(runs);
  for await (const event of client.experimentEvents(id, { signal })) {
    if (progress.take(event)) screen.show(progress.line());
    if (event.kind === "WARNING" && event.message !== null) screen.say(`warning: ${event.message}`);
    if (event.kind === "EXPERIMENT" && isOver(event.experimentState)) return;
  }
}

/** What was answered from earlier work, so that nobody takes a quick answer for quick work; null when nothing was. */
function reuseOf({ runs, usage }: Pick<Experiment, "runs" | "usage">): string | null {
  const reused = runs.filter((run) => run.reusedFrom !== null).length;
  if (reused === 0) return null;
  const saved = duration(usage.savedByReuseSeconds.wall);
  return `${reused} of ${runs.length} runs were answered from equal ones of an earlier experiment, which took ${saved}; --fresh works on all of them.`;
}

function isOver(state: Experiment["state"] | null): boolean {
  return state === "SUCCEEDED" || state === "PARTIAL" || state === "FAILED" || state === "CANCELLED";
}

/** Prints the report, or why there is none. */
async function show(client: AssayClient, experiment: Experiment, { options, screen }: Setting): Promise<void> {
  screen.clear();
  for (const run of experiment.runs) {
    if (run.failure !== null) screen.say(`${nameOf(run)}: ${run.state}, ${run.failure.code}: ${run.failure.message}`);
  }
  const file = (kind: string): Experiment["artifacts"][number] | undefined =>
    experiment.artifacts.find((artifact) => artifact.kind === kind);
  const [text, json] = [file("REPORT_TEXT"), file("REPORT_JSON")];
  if (text === undefined || json === undefined) {
    throw new AssayError("STATE_CONFLICT", `the experiment ended as ${experiment.state} and has no report`);
  }
  process.stdout.write(`${(await client.artifactText(text)).trimEnd()}\n`);
  if (options.json === undefined) return;
  writeFileSync(options.json, await client.artifactText(json));
  screen.say(`The report as JSON: ${options.json}`);
}
