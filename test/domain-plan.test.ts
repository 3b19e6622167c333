import assert from "node:assert/strict";
import { test } from "node:test";
import { extended } from "../src/domain/extension.js";
import { type RobustnessRequest, RUNS_MAX } from "../src/domain/robustness.js";
import { runCount, runCounts, type TrainCell, trainCells } from "../src/domain/robustness-cells.js";
import { planRobustness } from "../src/domain/robustness-plan.js";
import { defaultSize, defaultTrainer } from "../src/domain/robustness-presets.js";
import type { PlanContext } from "../src/domain/robustness-specs.js";
import type { PlannedRun } from "../src/domain/run.js";
import { everyStep, planContext, smokeRequest } from "./support/robustness.js";

const request: RobustnessRequest = smokeRequest;

function digestsOf(runs: readonly PlannedRun[], step: string): string[] {
  return runs.filter((run) => run.step === step).map(({ digest }) => digest);
}

const specOf = ({ spec }: PlannedRun): Record<string, unknown> => JSON.parse(spec);

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

test("each family and seed has its own controls, and a warm-up adds its own start", () => {
  const cells = trainCells({ ...everyStep, artifacts: ["FEATURE_AMBIGUITY", "DISTRIBUTIONAL_NARROWNESS"] });
  for (const task of ["MATH_REASONING", "DOCUMENT_GROUNDED_QA"]) {
    for (const artifact of ["FEATURE_AMBIGUITY", "DISTRIBUTIONAL_NARROWNESS"]) {
      for (const seed of [101, 102]) {
        const own = cells.filter((cell) => cell.task === task && cell.artifact === artifact && cell.seed === seed);
        const names = own.map(({ method, spuriousness, variant }) =>
          `${method} ${spuriousness} ${variant?.kind ?? ""}`.trim(),
        );
        const narrow = artifact === "DISTRIBUTIONAL_NARROWNESS" ? ["SFT 0.9 SIZE_CONTROL", "DPO 0.9 SIZE_CONTROL"] : [];
        assert.deepEqual(
          names.sort(),
          ["BASE null", "START null", "SFT 0", "SFT 0.9", "DPO 0", "DPO 0.9", "DPO 1", ...narrow].sort(),
        );
      }
    }
  }
});

test("narrow data has a size control for every method and asked rate, but none where no row is free", () => {
  const narrow: RobustnessRequest = {
    ...request,
    tasks: ["MATH_REASONING"],
    artifacts: ["DISTRIBUTIONAL_NARROWNESS"],
    spuriousness: [0, 0.1, 0.9, 1],
  };
  const controls = trainCells(narrow).filter(({ variant }) => variant?.kind === "SIZE_CONTROL");
  assert.deepEqual(
    controls.map(({ method, spuriousness }) => [method, spuriousness]),
    ["SFT", "DPO", "KTO"].flatMap((method) => [0.1, 0.9].map((rate) => [method, rate])),
  );
});

test("mitigations are trained at the highest asked rate and over feature ambiguity alone, each where it is defined", () => {
  const mitigated: RobustnessRequest = {
    ...request,
    tasks: ["MATH_REASONING"],
    artifacts: ["FEATURE_AMBIGUITY", "DISTRIBUTIONAL_NARROWNESS"],
    spuriousness: [0.9, 0.1],
    mitigations: { tieFraction: 0.25, groupBalanced: true, groupDroStepSize: 0.01, rate: null },
  };
  const found = trainCells(mitigated).filter(({ variant }) => variant !== null && variant.kind !== "SIZE_CONTROL");
  const wanted: Partial<TrainCell>[] = [
    { method: "SFT", variant: { kind: "GROUP_BALANCED" } },
    { method: "SFT", variant: { kind: "GROUP_DRO", stepSize: 0.01 } },
    { method: "DPO", variant: { kind: "TIES", fraction: 0.25 } },
    { method: "DPO", variant: { kind: "GROUP_BALANCED" } },
    { method: "KTO", variant: { kind: "GROUP_BALANCED" } },
  ];
  const shared = {
    task: "MATH_REASONING",
    artifact: "FEATURE_AMBIGUITY",
    spuriousness: 0.9,
    learningRate: 2e-4,
    seed: 101,
  };
  assert.deepEqual(
    found,
    wanted.map((cell) => ({ ...shared, ...cell })),
  );
  const withOne = trainCells({ ...mitigated, spuriousness: [0.9, 1] });
  assert.deepEqual(
    new Set(withOne.filter(({ variant }) => variant !== null).map((cell) => cell.spuriousness)),
    new Set([0.9]),
  );
});

test("an extension with a higher rate keeps the mitigated cells that there are", () => {
  const mitigations = { tieFraction: 0.25, groupBalanced: false, groupDroStepSize: null, rate: null };
  const before: RobustnessRequest = { ...request, spuriousness: [0.1, 0.5], mitigations };
  const larger = extended(before, { addSeeds: [], addSpuriousness: [0.9] });
  const mitigated = (wish: RobustnessRequest): (number | null)[] =>
    trainCells(wish).flatMap((cell) => (cell.variant === null ? [] : [cell.spuriousness]));
  assert.deepEqual(mitigated(larger), mitigated(before));
  assert.deepEqual(mitigated(extended(larger, { addSeeds: [], addSpuriousness: [0.95] })), mitigated(before));
});

test("stages follow one another without a gap, whichever of them a request has", () => {
  const stepsOf = (wish: RobustnessRequest): string[] => {
    const { runs, stageCount } = planRobustness(wish, planContext());
    const steps = Array.from({ length: stageCount }, (_, stage) =>
      [...new Set(runs.filter((run) => run.stage === stage).map(({ step }) => step))].join(),
    );
    assert.equal(runs.length, runCount(wish));
    for (const [step, count] of Object.entries(runCounts(wish))) {
      assert.equal(runs.filter((run) => run.step === step).length, count, step);
    }
    return steps;
  };
  assert.deepEqual(stepsOf(request), ["prepare", "train", "report"]);
  assert.deepEqual(stepsOf(everyStep), ["prepare", "warmup", "tune", "select", "train", "report"]);
  assert.deepEqual(stepsOf({ ...everyStep, warmup: null }), ["prepare", "tune", "select", "train", "report"]);
  assert.deepEqual(stepsOf({ ...request, warmup: everyStep.warmup }), ["prepare", "warmup", "train", "report"]);
});

test("inputs point only to runs of an earlier stage of the same plan", () => {
  for (const wish of [{ ...request, seeds: [1, 2, 3] }, everyStep]) {
    const plan = planRobustness(wish, planContext());
    const stageOf = new Map(plan.runs.map((run) => [run.id, run.stage]));
    for (const run of plan.runs) {
      for (const { from } of run.inputs) {
        if (from.kind === "RUN") assert.ok((stageOf.get(from.runId) ?? 99) < run.stage);
      }
    }
  }
});

test("each run gets what its step reads: cells start from the warm-up and the selection, the base from neither", () => {
  const { runs } = planRobustness(everyStep, planContext());
  const inputsOf = (wanted: (run: PlannedRun) => boolean): string[][] =>
    [...new Set(runs.filter(wanted).map(({ inputs }) => inputs.map(({ name }) => name).join()))].map((names) =>
      names.split(","),
    );
  const isMethod = (method: string) => (run: PlannedRun) => run.step === "train" && specOf(run)["method"] === method;
  assert.deepEqual(inputsOf(isMethod("BASE")), [["records", "trunk"]]);
  assert.deepEqual(inputsOf(isMethod("START")), [["records", "trunk", "start", "start-reference"]]);
  assert.deepEqual(inputsOf(isMethod("SFT")), [["records", "trunk", "start", "start-reference", "selection"]]);
  assert.deepEqual(
    inputsOf(({ step }) => step === "tune"),
    [["records", "trunk", "start", "start-reference"]],
  );
  const four = ["items:0", "result:0", "items:1", "result:1", "items:2", "result:2", "items:3", "result:3"];
  assert.deepEqual(
    inputsOf(({ step }) => step === "select"),
    [four],
  );
  const report = runs.at(-1)?.inputs.map(({ name }) => name) ?? [];
  assert.equal(report.filter((name) => name.startsWith("items:")).length, trainCells(everyStep).length);
  assert.deepEqual(report.slice(-6), [
    "prepared:0",
    "prepared:1",
    "prepared:2",
    "prepared:3",
    "selection:0",
    "selection:1",
  ]);
});

test("learning rates are tried with the first seed at rate 0, read from the selection by cells, and named by cells of a whole grid", () => {
  const selected = planRobustness(everyStep, planContext()).runs;
  const tried = selected.filter(({ step }) => step === "tune").map(specOf);
  assert.deepEqual(
    tried
      .slice(0, 4)
      .map(({ purpose, step, method, spuriousness, learningRate, seed }) => [
        purpose,
        step,
        method,
        spuriousness,
        learningRate,
        seed,
      ]),
    [
      ["TUNE", "train", "SFT", 0, 1e-4, 101],
      ["TUNE", "train", "SFT", 0, 2e-4, 101],
      ["TUNE", "train", "DPO", 0, 1e-5, 101],
      ["TUNE", "train", "DPO", 0, 2e-5, 101],
    ],
  );
  const cells = selected.filter(({ step }) => step === "train").map(specOf);
  for (const cell of cells) {
    const trained = cell["method"] === "SFT" || cell["method"] === "DPO";
    assert.equal(cell["learningRate"], trained ? null : undefined);
  }
  const whole: RobustnessRequest = {
    ...everyStep,
    learningRates: { ...everyStep.learningRates, policy: "WHOLE_GRID" },
  };
  const grid = planRobustness(whole, planContext())
    .runs.filter(({ step }) => step === "train")
    .map(specOf);
  assert.ok(grid.filter(({ method }) => method === "DPO").every(({ curve }) => curve === true));
  assert.equal(
    grid.filter(({ method }) => method === "DPO").length,
    2 * cells.filter(({ method }) => method === "DPO").length,
  );
});

test("equal requests give runs of equal digests under new ids, and any change of what matters changes them", () => {
  const plan = planRobustness(request, planContext());
  const again = planRobustness(request, planContext());
  assert.deepEqual(
    plan.runs.map(({ digest }) => digest),
    again.runs.map(({ digest }) => digest),
  );
  assert.notDeepEqual(
    plan.runs.map(({ id }) => id),
    again.runs.map(({ id }) => id),
  );
  const context = planContext();
  const changed: [RobustnessRequest, PlanContext][] = [
    [{ ...request, size: { ...defaultSize, testPairs: 61 } }, context],
    [{ ...request, trainer: { ...defaultTrainer, blocks: 4 } }, context],
    [{ ...request, trainer: { ...defaultTrainer, maxLength: 256 } }, context],
    [{ ...request, rateMode: "PREVALENCE" }, context],
    [{ ...request, precision: "BF16" }, context],
    [request, planContext({ codeDigest: "d".repeat(64) })],
    [{ ...request, source: { kind: "PREFERENCE" }, tasks: [] }, planContext({ datasetDigest: "e".repeat(64) })],
    [request, planContext({ model: { ...context.model, digest: "b".repeat(64) } })],
  ];
  for (const [other, otherContext] of changed) {
    const plans = planRobustness(other, otherContext);
    plans.runs.forEach((run, i) => {
      assert.notEqual(run.digest, plan.runs[i]?.digest);
    });
  }
});

test("what is prepared depends neither on learning rates nor on methods, rates, epochs or beta", () => {
  const prepared = (wish: RobustnessRequest): string[] =>
    digestsOf(planRobustness(wish, planContext()).runs, "prepare");
  const same: RobustnessRequest[] = [
    { ...everyStep, learningRates: request.learningRates },
    { ...everyStep, learningRates: { ...everyStep.learningRates, policy: "WHOLE_GRID" } },
    { ...everyStep, warmup: { pairs: 32, epochs: 4, learningRate: 5e-4 } },
    { ...everyStep, methods: ["KTO"], spuriousness: [0.3] },
    { ...everyStep, trainer: { ...defaultTrainer, epochs: 7, beta: 0.5 } },
  ];
  for (const wish of same) assert.deepEqual(prepared(wish), prepared(everyStep));
  assert.notDeepEqual(prepared({ ...everyStep, warmup: null }), prepared(everyStep));
  // Another learning rate is another training all the same.
  const [first = everyStep] = same;
  const [named, selected] = [first, everyStep].map((wish) =>
    planRobustness(wish, planContext()).runs.filter((run) => run.step === "train" && specOf(run)["method"] !== "BASE"),
  );
  const known = new Set(named?.map(({ digest }) => digest));
  assert.ok(selected !== undefined && selected.length > 0);
  const trained = selected.filter((run) => specOf(run)["method"] !== "START");
  assert.ok(trained.every(({ digest }) => !known.has(digest)));
});

test("a grid that grows by a seed or a rate keeps every run that it had but the report, the selection among them", () => {
  const before = planRobustness(everyStep, planContext()).runs;
  for (const grown of [
    { ...everyStep, seeds: [...everyStep.seeds, 103] },
    { ...everyStep, spuriousness: [...everyStep.spuriousness, 0.5] },
  ]) {
    const after = new Set(planRobustness(grown, planContext()).runs.map(({ digest }) => digest));
    const lost = before.filter(({ digest }) => !after.has(digest));
    assert.deepEqual(
      lost.map(({ step }) => step),
      ["report"],
    );
  }
});

test("a name, a preset, a threshold and a contrast change no run but the report", () => {
  const plan = planRobustness(request, planContext());
  const contrast = { method: "DPO", from: 0.1, to: 0.9, task: null, artifact: null, scope: "CHECKPOINT" } as const;
  for (const change of [{ name: "other" }, { preset: "SMOKE" }, { practicalThreshold: 0.1 }, { contrast }] as const) {
    const renamed = planRobustness({ ...request, ...change }, planContext());
    const differing = plan.runs.filter((run, i) => run.digest !== renamed.runs[i]?.digest);
    assert.deepEqual(
      differing.map(({ step }) => step),
      ["report"],
    );
  }
});

test("narrow data takes its sizes of each slice, and data with a cue takes those of the whole", () => {
  const both: RobustnessRequest = {
    ...request,
    tasks: ["MATH_REASONING"],
    artifacts: ["FEATURE_AMBIGUITY", "DISTRIBUTIONAL_NARROWNESS"],
    size: { ...defaultSize, validationPairs: 40, testPairs: 60, sliceValidationPairs: 7, sliceTestPairs: 9 },
  };
  const sizes = planRobustness(both, planContext())
    .runs.filter(({ step }) => step === "prepare")
    .map((run) => specOf(run)["size"]);
  const { trainPairs, generationItems } = defaultSize;
  assert.deepEqual(sizes, [
    { trainPairs, generationItems, validationPairs: 40, testPairs: 60 },
    { trainPairs, generationItems, validationPairs: 7, testPairs: 9 },
  ]);
});

test("items of a user's own are named by format and digest, those of the hub by their commit", () => {
  const items: RobustnessRequest = {
    ...request,
    tasks: ["MATH_REASONING"],
    source: { kind: "ITEMS", format: "GSM8K" },
  };
  const [uploaded] = planRobustness(items, planContext({ datasetDigest: "e".repeat(64) })).runs;
  assert.ok(uploaded !== undefined);
  const family = { task: "MATH_REASONING", artifact: "FEATURE_AMBIGUITY", core: "LAPTOP" };
  assert.deepEqual(specOf(uploaded)["data"], { kind: "ITEMS", format: "GSM8K", digest: "e".repeat(64), ...family });
  assert.deepEqual(
    uploaded.inputs.map(({ name, from }) => [name, from.kind]),
    [["upload", "ARTIFACT"]],
  );
  const source = {
    kind: "HUB",
    format: "GSM8K",
    id: "openai/gsm8k",
    config: "main",
    split: "train",
    revision: "f".repeat(40),
  } as const;
  const [fetched] = planRobustness({ ...items, source }, planContext()).runs;
  assert.ok(fetched !== undefined);
  assert.deepEqual(specOf(fetched)["data"], { ...source, ...family });
  assert.deepEqual(fetched.inputs, []);
});

test("the largest plan that is accepted is counted without being made", () => {
  const seeds = Array.from({ length: RUNS_MAX }, (_, i) => i);
  assert.equal(runCount({ ...request, seeds }), 12 * RUNS_MAX + 1);
});
