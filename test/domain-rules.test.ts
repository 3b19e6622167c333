import assert from "node:assert/strict";
import { test } from "node:test";
import { requestOf } from "../src/api/experiment/request.js";
import { type RobustnessRequest, RUNS_MAX } from "../src/domain/robustness.js";
import { METHOD_SEEDS_MIN, smallestP } from "../src/domain/robustness-claims.js";
import { defaultSize, defaultTrainer } from "../src/domain/robustness-presets.js";
import { faultsOf } from "../src/domain/robustness-rules.js";
import { everyStep, smokeRequest } from "./support/robustness.js";

const contrast = {
  method: "DPO",
  from: 0.1,
  to: 0.9,
  task: "KEYWORD_INCLUSION",
  artifact: "FEATURE_AMBIGUITY",
  scope: "CHECKPOINT",
} as const;
const request: RobustnessRequest = { ...smokeRequest, contrast };

test("each broken rule is named with its path, what was wanted and what came", () => {
  const broken: RobustnessRequest = {
    ...request,
    name: " ",
    methods: ["BASE"],
    spuriousness: [0.1, 1.5],
    seeds: [1, 1],
    warmup: { pairs: 1, epochs: 0, learningRate: 0 },
    trainer: { ...defaultTrainer, beta: 0, epochs: 0.5, maxLength: 8 },
    size: { ...defaultSize, testPairs: 0 },
    contrast: { ...contrast, to: 0.3, task: "MATH_REASONING" },
  };
  const faults = faultsOf(broken, ["spec"]);
  const paths = faults.map(({ path }) => path.join("."));
  for (const path of [
    "spec.name",
    "spec.methods",
    "spec.spuriousness.1",
    "spec.seeds",
    "spec.warmup.pairs",
    "spec.warmup.epochs",
    "spec.warmup.learningRate",
    "spec.trainer.beta",
    "spec.trainer.epochs",
    "spec.trainer.maxLength",
    "spec.size.testPairs",
    "spec.contrast.method",
    "spec.contrast.to",
    "spec.contrast.task",
  ]) {
    assert.ok(paths.includes(path), path);
  }
  for (const fault of faults) assert.match(fault.message, /wanted [\s\S]*, but got /);
  assert.deepEqual(faultsOf(request, ["spec"]), []);
  assert.deepEqual(faultsOf(everyStep, ["spec"]), []);
});

test("a warm-up has the two steps that its trainer asks for, and a mitigated rate leaves rows to weigh against the forced ones", () => {
  const groupBalanced = { tieFraction: null, groupBalanced: true, groupDroStepSize: null, rate: null };
  const cases: [Partial<RobustnessRequest>, string[]][] = [
    [{ warmup: { pairs: 15, epochs: 1, learningRate: 1e-4 } }, ["spec.warmup.pairs"]],
    [{ warmup: { pairs: 16, epochs: 1, learningRate: 1e-4 } }, []],
    [{ spuriousness: [1], contrast: null, mitigations: groupBalanced }, ["spec.mitigations"]],
    [{ spuriousness: [0.9, 1], contrast: null, mitigations: groupBalanced }, []],
  ];
  for (const [change, paths] of cases) {
    const found = faultsOf({ ...request, ...change }, ["spec"]).map(({ path }) => path.join("."));
    assert.deepEqual(found, paths, JSON.stringify(change));
  }
});

test("what does not exist together is refused with what does", () => {
  const cases: [Partial<RobustnessRequest>, string, RegExp][] = [
    [
      { artifacts: ["FEATURE_AMBIGUITY", "DISTRIBUTIONAL_NARROWNESS"] },
      "artifacts",
      /KEYWORD_INCLUSION with DISTRIBUTIONAL_NARROWNESS/,
    ],
    [{ core: "FULL" }, "core", /core LAPTOP/],
    [
      { trainer: { ...defaultTrainer, gradientCheckpointing: true } },
      "trainer.gradientCheckpointing",
      /TRL_LORA or TRL_FULL/,
    ],
    [
      { trainer: { ...defaultTrainer, kind: "TRL_LORA", attention: "FLASH_2" } },
      "trainer.attention",
      /FLASH_2 with BF16/,
    ],
    [
      { trainer: { ...defaultTrainer, attention: "FLASH_2" }, precision: "BF16" },
      "trainer.attention",
      /TOP_BLOCKS with SDPA/,
    ],
    [
      {
        methods: ["SFT"],
        contrast: null,
        mitigations: { tieFraction: 0.25, groupBalanced: false, groupDroStepSize: null, rate: null },
      },
      "mitigations.tieFraction",
      /ties with DPO/,
    ],
    [
      {
        methods: ["DPO"],
        mitigations: { tieFraction: null, groupBalanced: false, groupDroStepSize: 0.01, rate: null },
      },
      "mitigations.groupDroStepSize",
      /group DRO with SFT/,
    ],
    [
      {
        tasks: ["MATH_REASONING"],
        artifacts: ["DISTRIBUTIONAL_NARROWNESS"],
        contrast: null,
        mitigations: { tieFraction: null, groupBalanced: true, groupDroStepSize: null, rate: null },
      },
      "mitigations",
      /FEATURE_AMBIGUITY/,
    ],
  ];
  for (const [change, path, words] of cases) {
    const [fault, ...others] = faultsOf({ ...request, ...change }, ["spec"]);
    assert.deepEqual(others, [], path);
    assert.equal(fault?.code, "UNSUPPORTED_COMBINATION", path);
    assert.equal(fault.path.join("."), `spec.${path}`);
    assert.match(fault.message, words);
  }
});

test("a claim about a method is refused below the seeds that can reach significance, and says how many it needs", () => {
  assert.equal(METHOD_SEEDS_MIN, 6);
  assert.equal(smallestP(5), 0.0625);
  const seeds = [1, 2, 3, 4, 5, 6];
  const claim = (count: number, scope: "METHOD" | "CHECKPOINT") =>
    faultsOf({ ...request, seeds: seeds.slice(0, count), contrast: { ...contrast, scope } }, ["spec"]);
  const [fault] = claim(5, "METHOD");
  assert.equal(fault?.code, "CLAIM_UNSUPPORTED");
  assert.equal(fault.path.join("."), "spec.contrast.scope");
  assert.deepEqual(fault.detail, { seedsNeeded: 6, seedsGiven: 5, smallestP: 0.0625 });
  assert.match(fault.message, /wanted at least 6 seeds .* but got 5/);
  assert.deepEqual(claim(6, "METHOD"), []);
  assert.deepEqual(claim(1, "CHECKPOINT"), []);
});

test("every method searches as many learning rates as the others, and each rate once", () => {
  const searching = (grid: Partial<RobustnessRequest["learningRates"]["grid"]>): string[] =>
    faultsOf(
      {
        ...everyStep,
        learningRates: { ...everyStep.learningRates, grid: { ...everyStep.learningRates.grid, ...grid } },
      },
      ["spec"],
    ).map(({ message }) => message);
  assert.match(searching({ DPO: [1e-5, 2e-5, 5e-5] })[0] ?? "", /as many learning rates for each method/);
  assert.match(searching({ SFT: [1e-4, 1e-4] })[0] ?? "", /grid\.SFT: wanted 2 to 20 learning rates, each once/);
  assert.match(searching({ KTO: [1e-5, 2] })[0] ?? "", /grid\.KTO\.1: wanted a rate above 0 and at most 1, but got 2/);
  assert.equal(searching({ SFT: [1e-5], DPO: [1e-5], KTO: [1e-5] }).length, 3);
});

test("more pairs than the demo's cell has words for, or fewer than two steps of them, are refused before anything runs", () => {
  const uploaded = { source: { kind: "PREFERENCE" }, tasks: [], contrast: null } as const;
  const sized = (size: Partial<typeof defaultSize>, data: Partial<RobustnessRequest> = {}): string[] =>
    faultsOf({ ...request, ...data, size: { ...defaultSize, ...size } }, ["spec"]).map(({ message }) => message);
  assert.match(
    sized({ trainPairs: 109 })[0] ?? "",
    /spec\.size\.trainPairs: wanted an integer from 16 to 108, but got 109/,
  );
  assert.match(sized({ trainPairs: 15 })[0] ?? "", /but got 15/);
  assert.match(sized({ testPairs: 101 })[0] ?? "", /from 2 to 100/);
  assert.deepEqual(sized({ trainPairs: 5000, testPairs: 500 }, uploaded), []);
});

test("a task beside preference rows, no task at all, a task that a format has not, and a grid over the limit are refused", () => {
  const firstFault = (change: Partial<RobustnessRequest>) =>
    faultsOf({ ...request, contrast: null, ...change }, ["spec"])[0];
  assert.equal(firstFault({ source: { kind: "PREFERENCE" } })?.path.join("."), "spec.tasks");
  assert.equal(firstFault({ tasks: [] })?.path.join("."), "spec.tasks");
  const format = firstFault({ source: { kind: "ITEMS", format: "SQUAD" }, tasks: ["MATH_REASONING"] });
  assert.match(format?.message ?? "", /spec\.tasks: wanted DOCUMENT_GROUNDED_QA/);
  const seeds = Array.from({ length: RUNS_MAX }, (_, i) => i);
  assert.equal(firstFault({ seeds })?.code, "UNSUPPORTED_COMBINATION");
});

test("slices over items of a user's own are refused before anything is stored, and a preset asks for none", () => {
  const items = {
    ...request,
    source: { kind: "ITEMS", format: "SQUAD" },
    tasks: ["DOCUMENT_GROUNDED_QA"],
    artifacts: ["FEATURE_AMBIGUITY", "DISTRIBUTIONAL_NARROWNESS"],
  } as const;
  const [fault, ...others] = faultsOf({ ...items, contrast: null }, ["spec"]);
  assert.deepEqual([fault?.code, fault?.path, others], ["UNSUPPORTED_COMBINATION", ["spec", "artifacts"], []]);
  const full = { projectId: "", modelId: "", name: "mine", datasetVersionId: "one", preset: "FULL" } as const;
  assert.deepEqual(requestOf(full, "SQUAD").artifacts, ["FEATURE_AMBIGUITY"]);
});

test("a hub data set is taken at a full commit alone", () => {
  const hub = {
    kind: "HUB",
    format: "SQUAD",
    id: "rajpurkar/squad",
    config: null,
    split: "validation",
    revision: "f".repeat(40),
  } as const;
  const faults = (change: object): string[] =>
    faultsOf({ ...request, contrast: null, tasks: ["DOCUMENT_GROUNDED_QA"], source: { ...hub, ...change } }, [
      "spec",
    ]).map(({ path }) => path.join("."));
  assert.deepEqual(faults({}), []);
  assert.deepEqual(faults({ revision: "main" }), ["spec.hub.revision"]);
  assert.deepEqual(faults({ id: "../squad" }), ["spec.hub.id"]);
  assert.deepEqual(faults({ split: "train/../x", config: "a b" }), ["spec.hub.split", "spec.hub.config"]);
});
