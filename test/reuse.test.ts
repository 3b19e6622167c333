import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { AssayClient, type Experiment, type RobustnessSpec } from "../clients/typescript/index.js";
import { openService, type Service } from "../src/cli/service.js";
import { writeTinyModel } from "./support/tiny-model.js";

/** Reuse may save work and may change nothing else: an answered experiment equals one that was worked on, for each capability. */
const BOUND_MS = 300_000;

const folder = mkdtempSync(join(tmpdir(), "assay-reuse-"));
let service: Service;

before(async () => {
  process.env["ASSAY_MODEL_CACHE"] = join(folder, "models");
  writeTinyModel(join(folder, "tiny"));
  service = await openService({ dataDir: join(folder, "data") });
});

after(async () => {
  await service.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("robustness: the answered request equals the worked one, and one that is worked on again", {
  timeout: BOUND_MS,
}, async () => {
  const client = new AssayClient(service);
  const worked = await evaluated(client, "EXACT_MATCH");
  const answered = await evaluated(client, "EXACT_MATCH");
  const fresh = await evaluated(client, "NEVER");
  assert.deepEqual(
    answered.runs.map((run) => run.reusedFrom?.id),
    worked.runs.map((run) => run.id),
  );
  for (const { runs } of [worked, fresh]) {
    assert.deepEqual(
      runs.map((run) => run.reusedFrom),
      runs.map(() => null),
    );
  }
  // What was answered is the earlier work's, byte for byte; what was worked on again differs only in times.
  assert.deepEqual(digests(answered), digests(worked));
  const expected = await documents(client, fresh);
  assert.ok(expected.length > worked.runs.length);
  assert.deepEqual(await documents(client, answered), expected);
  assert.deepEqual(await documents(client, worked), expected);
});

test("robustness: what was saved is what the earlier runs had used", { timeout: BOUND_MS }, async () => {
  const client = new AssayClient(service);
  const first = await evaluated(client, "NEVER");
  const answered = await evaluated(client, "EXACT_MATCH");
  const { wallSeconds: wall, cpuSeconds: cpu, gpuSeconds: gpu } = first.usage;
  assert.ok(wall > 0 && cpu > 0);
  const saved = answered.usage.savedByReuseSeconds;
  for (const [kind, used] of Object.entries({ wall, cpu, gpu })) {
    assert.ok(Math.abs(saved[kind === "wall" || kind === "cpu" ? kind : "gpu"] - used) < 1e-9 * (1 + used), kind);
  }
  assert.deepEqual(
    [answered.usage.wallSeconds, answered.usage.cpuSeconds, first.usage.savedByReuseSeconds],
    [0, 0, { wall: 0, cpu: 0, gpu: 0 }],
  );
});

async function evaluated(client: AssayClient, reuse: "EXACT_MATCH" | "NEVER"): Promise<Experiment> {
  const project = await client.project();
  const model = await client.registerModel(project.id, "tiny", { path: join(folder, "tiny") });
  const spec: RobustnessSpec = {
    projectId: project.id,
    name: "reuse",
    modelId: model.id,
    methods: ["SFT", "DPO"],
    tasks: ["KEYWORD_INCLUSION"],
    artifacts: ["FEATURE_AMBIGUITY"],
    spuriousness: [0.9],
    seeds: [7],
    trainer: { blocks: 2, epochs: 1 },
    size: { trainPairs: 24, validationPairs: 8, testPairs: 12, generationItems: 2 },
    options: { reuse },
  };
  const { id } = await client.submitRobustnessExperiment(spec, randomUUID());
  for await (const { experimentState } of client.experimentEvents(id)) {
    if (experimentState !== null && experimentState !== "QUEUED" && experimentState !== "RUNNING") break;
  }
  const experiment = await client.experiment(id);
  assert.equal(experiment.state, "SUCCEEDED");
  return experiment;
}

function digests({ artifacts }: Experiment): string[] {
  return artifacts.map(({ name, digest }) => `${name} ${digest}`);
}

/** Every result and report of an experiment, without what must differ between equal runs: times and the machine. */
function documents(client: AssayClient, { artifacts }: Experiment): Promise<unknown[]> {
  const wanted = artifacts.filter(({ kind }) => ["RESULT", "REPORT_JSON", "ITEMS"].includes(kind));
  return Promise.all(
    wanted.map(async (file) => {
      const text = await client.artifactText(file);
      const said = file.kind === "ITEMS" ? text : JSON.parse(text, withoutTimes);
      return { name: file.name, said };
    }),
  );
}

function withoutTimes(key: string, value: unknown): unknown {
  return ["seconds", "hardware"].includes(key) ? undefined : value;
}
