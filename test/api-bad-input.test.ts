import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { idOf, testApi } from "./support/api.js";
import { specFor, submit } from "./support/requests.js";

const test = await testApi();
const { holder, databases } = test;
const spec = await specFor(test, holder);
const nothing = "00000000-0000-7000-8000-000000000000";

/** How many experiments are stored. */
async function stored(): Promise<number | undefined> {
  const rows = await databases.query<{ n: number }>("select count(*)::int as n from experiment");
  return rows[0]?.n;
}

describe("a request that breaks a rule of the experiment", () => {
  const cases: readonly [string, object, string, string][] = [
    ["a model that is not there", { modelId: idOf("Model", nothing) }, "NotFoundError", "modelId"],
    ["an id of another kind as the model", { modelId: idOf("Project", nothing) }, "NotFoundError", "modelId"],
    ["a project that is not there", { projectId: idOf("Project", nothing) }, "NotFoundError", "projectId"],
    ["a data set that is not there", { tasks: null, datasetVersionId: "x" }, "NotFoundError", "datasetVersionId"],
    ["no method to train", { methods: ["BASE"] }, "InvalidInputError", "methods"],
    ["a method twice", { methods: ["SFT", "SFT"] }, "InvalidInputError", "methods"],
    ["a rate above 1", { spuriousness: [0.1, 1.5] }, "InvalidInputError", "spuriousness.1"],
    ["a rate below 0", { spuriousness: [-0.1] }, "InvalidInputError", "spuriousness.0"],
    ["no rate", { spuriousness: [] }, "InvalidInputError", "spuriousness"],
    ["no seed", { seeds: [] }, "InvalidInputError", "seeds"],
    ["a seed below 0", { seeds: [-1] }, "InvalidInputError", "seeds.0"],
    ["no name", { name: "  " }, "InvalidInputError", "name"],
    ["a name of 201 characters", { name: "n".repeat(201) }, "InvalidInputError", "name"],
    ["no task and no data", { tasks: [] }, "InvalidInputError", "tasks"],
    ["no block to train", { trainer: { blocks: 0 } }, "InvalidInputError", "trainer.blocks"],
    ["a learning rate of 0", { trainer: { learningRate: 0 } }, "InvalidInputError", "trainer.learningRate.SFT"],
    [
      "a learning rate of 0 for one method",
      { trainer: { learningRates: { dpo: 0 } } },
      "InvalidInputError",
      "trainer.learningRate.DPO",
    ],
    ["two training pairs", { size: { trainPairs: 2 } }, "InvalidInputError", "size.trainPairs"],
    ["a contrast with itself", { contrast: { method: "DPO", from: 0.1, to: 0.1 } }, "InvalidInputError", "contrast.to"],
    [
      "a contrast at a rate that is not run",
      { contrast: { method: "DPO", from: 0.3, to: 0.9 } },
      "InvalidInputError",
      "contrast.from",
    ],
    ["a threshold of 2", { practicalThreshold: 2 }, "InvalidInputError", "practicalThreshold"],
  ];
  for (const [name, wish, typename, path] of cases) {
    it(`is told by a typed error, and nothing is stored: ${name}`, async () => {
      const before = await stored();
      const payload = await submit(test, holder, { spec: { ...spec, ...wish }, idempotencyKey: `bad ${name}` });
      assert.equal(payload.experiment, null);
      const paths = payload.errors.map((error: { path: string[] }) => error.path.join("."));
      const at = paths.indexOf(`input.spec.${path}`);
      assert.ok(at >= 0, JSON.stringify(payload.errors));
      assert.equal(payload.errors[at].__typename, typename);
      assert.match(payload.errors[at].message, /wanted .*, but got |no .* with id/);
      assert.equal(await stored(), before);
    });
  }

  it("is told with every other fault of the request at once", async () => {
    const bad = { ...spec, modelId: "x", name: "", spuriousness: [2], seeds: [] };
    const payload = await submit(test, holder, { spec: bad, idempotencyKey: " " });
    const paths = payload.errors.map((error: { path: string[] }) => error.path.slice(1).join("."));
    assert.deepEqual(paths, ["spec.modelId", "idempotencyKey", "spec.name", "spec.spuriousness.0", "spec.seeds"]);
  });

  it("is told for a grid that is too large, however large it is", async () => {
    const seeds = Array.from({ length: 5_000 }, (_, i) => i);
    const payload = await submit(test, holder, { spec: { ...spec, seeds }, idempotencyKey: "huge" });
    assert.equal(payload.errors[0].__typename, "UnsupportedCombinationError");
    const worse = { ...spec, spuriousness: Array.from({ length: 50_000 }, (_, i) => i + 2) };
    const { errors } = await submit(test, holder, { spec: worse, idempotencyKey: "worse" });
    assert.equal(errors.length, 100);
  });

  it("does not use up its idempotency key", async () => {
    const refused = await submit(test, holder, { spec: { ...spec, seeds: [] }, idempotencyKey: "second chance" });
    assert.equal(refused.experiment, null);
    const accepted = await submit(test, holder, { spec, idempotencyKey: "second chance" });
    assert.equal(accepted.replayed, false);
    assert.deepEqual(accepted.errors, []);
  });
});

describe("a request that is accepted", () => {
  it("takes the service's defaults for what it leaves out", async () => {
    const { artifacts: _artifacts, ...bare } = spec;
    const payload = await submit(test, holder, { spec: bare, idempotencyKey: "defaults" });
    assert.deepEqual(payload.errors, []);
    assert.deepEqual(payload.experiment.grid.artifacts, ["FEATURE_AMBIGUITY"]);
  });

  it("hands its trainer, size and contrast to the runs", async () => {
    const wish = {
      trainer: {
        kind: "TRL_LORA",
        loraRank: 4,
        epochs: 1,
        promptsPerStep: 4,
        learningRate: 1e-3,
        learningRates: { kto: 5e-4 },
        beta: 0.2,
      },
      size: { trainPairs: 24, validationPairs: 4, testPairs: 6, generationItems: 0 },
      contrast: { method: "DPO", from: 0.1, to: 0.9 },
    };
    const payload = await submit(test, holder, { spec: { ...spec, ...wish }, idempotencyKey: "trainer" });
    assert.deepEqual(payload.errors, []);
    const id = Buffer.from(payload.experiment.id, "base64url").toString("utf8").split(":")[1];
    const [report] = await databases.query<{ spec: string }>(
      "select spec from run where experiment_id = $1 and step = 'report'",
      [id],
    );
    const { trainer, size, contrast } = JSON.parse(report?.spec ?? "{}");
    const { learningRate, learningRates: _each, ...rest } = wish.trainer;
    const defaults = { gradientCheckpointing: false, attention: "SDPA", maxLength: 512 };
    const rates = { SFT: learningRate, DPO: learningRate, KTO: 5e-4 };
    assert.deepEqual(trainer, { ...rest, ...defaults, learningRate: rates });
    assert.deepEqual(size, wish.size);
    const family = { task: "KEYWORD_INCLUSION", artifact: "FEATURE_AMBIGUITY" };
    assert.deepEqual(contrast, { ...wish.contrast, ...family, scope: "CHECKPOINT" });
  });

  it("may have text of any script in its name, and every byte comes back", async () => {
    const names = [
      "Ω ≈ ç √ ∫ 你好 🙂",
      "‮evil‬",
      '"; drop table run; --',
      "a\r\nb\u001b[31m",
      "{{7*7}} <script>alert(1)</script>",
    ];
    for (const name of names) {
      const payload = await submit(test, holder, { spec: { ...spec, name }, idempotencyKey: `name ${name}` });
      assert.equal(payload.experiment.name, name);
    }
  });
});
