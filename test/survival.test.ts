import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  AssayClient,
  type Experiment,
  type ExperimentEvent,
  type RobustnessSpec,
} from "../clients/typescript/index.js";
import { openService, type Service } from "../src/cli/service.js";
import { eventually } from "./support/eventually.js";
import { writeTinyModel } from "./support/tiny-model.js";

/** Bounds catch hangs only: loading torch alone can take a minute on a busy machine. */
const BOUND_MS = 300_000;

const folder = mkdtempSync(join(tmpdir(), "assay-survival-"));
const dataDir = join(folder, "data");
let service: Service;
let undisturbed: unknown;
let trained: readonly string[];

before(async () => {
  process.env["ASSAY_LEASE_TTL_MS"] = "6000";
  process.env["ASSAY_BEAT_MS"] = "500";
  process.env["ASSAY_CHECKPOINT_SECONDS"] = "0";
  process.env["ASSAY_MODEL_CACHE"] = join(folder, "models");
  writeTinyModel(join(folder, "tiny"));
  service = await openService({ dataDir });
});

after(async () => {
  await service.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("an undisturbed experiment ends in a complete report", { timeout: BOUND_MS }, async () => {
  const client = new AssayClient(service);
  const id = await submit(client);
  const experiment = await ended(client, id);
  assert.deepEqual(
    (await runsOf(id)).map(({ attempts }) => attempts.length),
    new Array(experiment.runs.length).fill(1),
  );
  undisturbed = await report(client, experiment);
  trained = await weightsOf(id);
  assert.ok(trained.length >= 6, `only ${trained.length} runs trained weights`);
  assert.equal(new Set(trained).size, trained.length);
});

test("a pod killed in the middle of training costs the steps since the last checkpoint and changes no byte", {
  timeout: BOUND_MS,
}, async () => {
  const client = new AssayClient(service);
  const id = await submit(client);
  await training(client, id);
  process.kill(lastPodPid(), "SIGKILL");
  const experiment = await ended(client, id);
  const attempts = (await runsOf(id)).flatMap((run) => run.attempts);
  assert.ok(
    attempts.some(({ outcome }) => outcome === "LOST"),
    "no attempt was lost, so the kill hit nothing",
  );
  assert.ok(
    attempts.some(({ resumedFromStep }) => resumedFromStep !== null && resumedFromStep > 0),
    "no attempt went on from a checkpoint",
  );
  assert.deepEqual(await report(client, experiment), undisturbed);
  assert.deepEqual(await weightsOf(id), trained);
});

test("a service that is stopped in the middle of training releases its runs, and the next one goes on from there", {
  timeout: BOUND_MS,
}, async () => {
  const id = await submit(new AssayClient(service));
  await training(new AssayClient(service), id);
  await service.stop();
  service = await openService({ dataDir });
  const client = new AssayClient(service);
  const experiment = await ended(client, id);
  const attempts = (await runsOf(id)).flatMap((run) => run.attempts);
  assert.ok(
    attempts.some(({ outcome, lastStep }) => outcome === "RELEASED" && lastStep !== null && lastStep > 0),
    "no attempt was released in the middle of training",
  );
  assert.ok(!attempts.some(({ outcome }) => outcome === "LOST"));
  assert.deepEqual(await report(client, experiment), undisturbed);
  assert.deepEqual(await weightsOf(id), trained);
});

test("a service killed in the middle of training and started again ends in the same report", {
  timeout: BOUND_MS,
}, async () => {
  const id = await submit(new AssayClient(service));
  await training(new AssayClient(service), id);
  const pod = lastPodPid();
  process.kill(servicePid(), "SIGKILL");
  await assert.rejects(service.ended);
  await eventually("the pod to end with its parent", () => !isAlive(pod));
  service = await openService({ dataDir });
  const client = new AssayClient(service);
  const experiment = await ended(client, id);
  assert.ok(
    (await runsOf(id)).some(({ attempts }) => attempts.length > 1),
    "no run was tried again, so the kill hit nothing",
  );
  assert.deepEqual(await report(client, experiment), undisturbed);
  assert.deepEqual(await weightsOf(id), trained);
});

async function submit(client: AssayClient): Promise<string> {
  const project = await client.project();
  const model = await client.registerModel(project.id, "tiny", { path: join(folder, "tiny") });
  const spec: RobustnessSpec = {
    projectId: project.id,
    name: "survival",
    modelId: model.id,
    methods: ["SFT", "DPO", "KTO"],
    tasks: ["KEYWORD_INCLUSION"],
    artifacts: ["FEATURE_AMBIGUITY"],
    spuriousness: [0.1, 0.9],
    seeds: [7],
    contrast: { method: "DPO", from: 0.1, to: 0.9 },
    trainer: { kind: "TOP_BLOCKS", blocks: 1, epochs: 12 },
    size: { trainPairs: 64, validationPairs: 12, testPairs: 16, generationItems: 4 },
    options: { reuse: "NEVER" },
  };
  return (await client.submitRobustnessExperiment(spec, randomUUID())).id;
}

/** Waits until some train run is half-way, with checkpoints behind it. */
async function training(client: AssayClient, id: string): Promise<void> {
  for await (const event of client.experimentEvents(id)) {
    if (event.progress?.stage === "training" && 2 * event.progress.completed > event.progress.total) return;
    assert.ok(!isEnd(event), "the experiment ended before any progress of training was heard");
  }
}

async function ended(client: AssayClient, id: string): Promise<Experiment> {
  for await (const event of client.experimentEvents(id)) if (isEnd(event)) break;
  const experiment = await client.experiment(id);
  for (const run of experiment.runs) assert.equal(run.failure, null, `${run.step}: ${run.failure?.message}`);
  assert.equal(experiment.state, "SUCCEEDED");
  return experiment;
}

function isEnd({ experimentState }: ExperimentEvent): boolean {
  return experimentState !== null && ["SUCCEEDED", "PARTIAL", "FAILED", "CANCELLED"].includes(experimentState);
}

/** The report without what must differ between equal runs: times and the machine's description. */
async function report(client: AssayClient, experiment: Experiment): Promise<unknown> {
  const file = experiment.artifacts.find(({ kind }) => kind === "REPORT_JSON");
  assert.ok(file !== undefined);
  return JSON.parse(await client.artifactText(file), (key, value: unknown) =>
    ["seconds", "hardware"].includes(key) ? undefined : value,
  );
}

interface RunView {
  readonly attempts: readonly {
    readonly outcome: string;
    readonly lastStep: number | null;
    readonly resumedFromStep: number | null;
  }[];
  readonly artifacts: {
    readonly edges: readonly { readonly node: { readonly kind: string; readonly digest: string } }[];
  };
}

/** Attempts and files of every run, asked over the public API. */
async function runsOf(id: string): Promise<RunView[]> {
  const query = `query Runs($id: ID!) {
    experiment(id: $id) { runs(first: 100) { edges { node {
      attempts { outcome lastStep resumedFromStep }
      artifacts(first: 100) { edges { node { kind digest } } }
    } } } }
  }`;
  const answer = await fetch(new URL("/graphql", service.url), {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${service.key}` },
    body: JSON.stringify({ query, variables: { id } }),
  });
  const { data }: { data: { experiment: { runs: { edges: { node: RunView }[] } } } } = JSON.parse(await answer.text());
  return data.experiment.runs.edges.map(({ node }) => node);
}

/** Digests of the weights that were trained, in the order of the plan. */
async function weightsOf(id: string): Promise<string[]> {
  const files = (await runsOf(id)).flatMap(({ artifacts }) => artifacts.edges.map(({ node }) => node));
  return files.filter(({ kind }) => kind === "WEIGHTS").map(({ digest }) => digest);
}

function servicePid(): number {
  const { pid }: { pid: number } = JSON.parse(readFileSync(join(dataDir, "service.json"), "utf8"));
  return pid;
}

/** The newest pod's pid, as the service's log tells. */
function lastPodPid(): number {
  const lines = readFileSync(join(dataDir, "service.log"), "utf8").trimEnd().split("\n");
  const said = lines.filter((line) => line.includes('"the pod listens"')).at(-1) ?? "{}";
  const { pid }: { pid: number } = JSON.parse(said);
  return pid;
}

function isAlive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}
