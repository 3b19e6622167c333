import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Holder, idOf, testApi } from "./support/api.js";
import { doRobustness, ended, startWork } from "./support/fixture.js";
import { data, ERRORS, registerModel, submit } from "./support/requests.js";

const test = await testApi();
const { holder, databases } = test;
const order: string[] = [];
await startWork(test, (task) => {
  order.push(task.spec["purpose"] === "TUNE" ? "tune" : String(task.spec["step"]));
  return doRobustness(task);
});

async function presetSpec(preset: string, of: Holder = holder): Promise<Record<string, unknown>> {
  const { model } = await registerModel(test, of);
  return { projectId: idOf("Project", of.caller.projectId), name: preset, modelId: model.id, preset };
}

const ESTIMATE = `query ($input: RobustnessInput!) { estimateRobustness(input: $input) {
  estimate { runs reusable fitsQuota smallestP warnings memoryBytes { low high } artifactBytes { low high } seconds { low high }
    steps { step runs reusable basis seconds { low high } }
    contrasts { declared method task artifact scope minimumDetectableEffect items seeds seedSd seedSdAssumed } }
  ${ERRORS} } }`;

/** Tables that anything spent or stored would show in. */
async function stored(): Promise<unknown> {
  const count = (table: string): string => `(select count(*) from ${table})::int as ${table}`;
  return databases.query(`select ${["experiment", "run", "ledger", "event", "outbox"].map(count).join(", ")}`);
}

describe("estimateRobustness", () => {
  it("plans full on the demo's model, tells what it takes and what it could show, and spends and stores nothing", async () => {
    const spec = await presetSpec("FULL");
    const before = await stored();
    const { estimate, errors } = (await data(test, holder, ESTIMATE, { input: spec })).estimateRobustness;
    assert.deepEqual(errors, []);
    assert.deepEqual(await stored(), before);
    // 3 tasks x 2 artifacts x 6 seeds: the base, 3 methods at 0, .1 and .9, DPO at 1; narrow data with two size controls a method.
    const cells = 6 * (6 * 11 + 3 * 6);
    const runs = { prepare: 36, tune: 54, select: 6, train: cells, report: 1 };
    assert.deepEqual(
      Object.fromEntries(estimate.steps.map((step: { step: string; runs: number }) => [step.step, step.runs])),
      runs,
    );
    assert.equal(estimate.smallestP, 0.03125);
    assert.equal(estimate.contrasts.length, 18);
    for (const contrast of estimate.contrasts) {
      assert.equal(contrast.scope, "METHOD");
      assert.equal(contrast.seedSdAssumed, true);
      assert.ok(
        contrast.minimumDetectableEffect > 0.14 && contrast.minimumDetectableEffect < 0.17,
        JSON.stringify(contrast),
      );
    }
    for (const range of [estimate.seconds, estimate.memoryBytes, estimate.artifactBytes]) {
      assert.ok(range.low > 0 && range.high > range.low, JSON.stringify(range));
    }
    assert.ok(!estimate.warnings.some((words: string) => words.includes("cannot reach significance")));
  });

  it("says that few seeds cannot reach significance, and that what was done before is not done again", async () => {
    const other = await test.newHolder();
    const spec = { ...(await presetSpec("SMOKE", other)), options: { reuse: "EXACT_MATCH" } };
    const estimated = async () => (await data(test, other, ESTIMATE, { input: spec })).estimateRobustness.estimate;
    const before = await estimated();
    assert.equal(before.runs, 13);
    assert.equal(before.reusable, 0);
    assert.equal(before.steps[0].basis, "FORMULA");
    assert.ok(before.warnings.some((words: string) => /cannot reach significance: 1 seeds .* at least 6/.test(words)));
    const { experiment } = await submit(test, other, { spec, idempotencyKey: "smoke" });
    assert.equal(await ended(test, other, experiment.id), "SUCCEEDED");
    const after = await estimated();
    assert.equal(after.reusable, 13);
    assert.deepEqual(after.seconds, { low: 0, high: 0 });
  });

  it("answers every fault that a submission would", async () => {
    const contrast = {
      method: "DPO",
      from: 0.1,
      to: 0.9,
      task: "MATH_REASONING",
      artifact: "FEATURE_AMBIGUITY",
      scope: "METHOD",
    };
    const input = { ...(await presetSpec("LAPTOP")), contrast, practicalThreshold: 2 };
    const { estimate, errors } = (await data(test, holder, ESTIMATE, { input })).estimateRobustness;
    assert.equal(estimate, null);
    assert.deepEqual(
      errors.map(({ __typename, path }: { __typename: string; path: string[] }) => [__typename, path.join(".")]),
      [
        ["InvalidInputError", "input.practicalThreshold"],
        ["ClaimUnsupportedError", "input.contrast.scope"],
      ],
    );
  });
});

describe("a preset", () => {
  it("LAPTOP is worked on stage by stage: prepare, a warm-up that is asked for, learning rates, selection, cells, report", async () => {
    const other = await test.newHolder();
    order.length = 0;
    const warmup = { pairs: 96, epochs: 1, learningRate: 2e-4 };
    const spec = { ...(await presetSpec("LAPTOP", other)), warmup, tasks: ["MATH_REASONING"], seeds: [101, 102] };
    const { experiment, errors } = await submit(test, other, { spec, idempotencyKey: "laptop" });
    assert.deepEqual(errors, []);
    assert.equal(await ended(test, other, experiment.id), "SUCCEEDED");
    const own = order.filter((step, i) => i === 0 || step !== order[i - 1]);
    assert.deepEqual(own, ["prepare", "warmup", "tune", "select", "train", "report"]);
  });

  it("is accepted as it is, FULL too, and gives way to every field that is given", async () => {
    const other = await test.newHolder();
    const accepted = await submit(test, other, { spec: await presetSpec("FULL", other), idempotencyKey: "full" });
    assert.deepEqual(accepted.errors, []);
    const grid = { methods: ["SFT"], tasks: ["MATH_REASONING"], seeds: [7], spuriousness: [0.5] };
    const spec = {
      ...(await presetSpec("LAPTOP", other)),
      ...grid,
      warmup: { pairs: 0 },
      trainer: { learningRate: 1e-4 },
    };
    const given = await submit(test, other, { spec, idempotencyKey: "given" });
    assert.deepEqual(given.errors, []);
    assert.deepEqual(given.experiment.grid, { ...grid, artifacts: ["FEATURE_AMBIGUITY"] });
    // One prepare run, the base and SFT at 0, .5 and 1, and the report: no warm-up and no search for learning rates is left.
    assert.equal(given.experiment.progress.total, 6);
  });
});
