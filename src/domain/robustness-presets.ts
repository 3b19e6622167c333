import type {
  ItemFormat,
  LearningRatePolicy,
  Preset,
  RobustnessCore,
  RobustnessRequest,
  RobustnessTask,
  SampleSize,
  TrainedMethod,
  Trainer,
} from "./robustness.js";

// Every value that a request may leave out, in one place.

/** The settings of a trainer when neither request nor preset names them. */
export const defaultTrainer: Trainer = {
  kind: "TOP_BLOCKS",
  blocks: 6,
  loraRank: 16,
  epochs: 2,
  promptsPerStep: 8,
  beta: 0.1,
  gradientCheckpointing: false,
  attention: "SDPA",
  maxLength: 512,
};

/** Tokens of prompt and completion at most, where the request says nothing of it. */
export const maxLengths: Readonly<Record<RobustnessCore, number>> = { LAPTOP: 512, FULL: 1024 };

/** The sample sizes when neither request nor preset names them. */
export const defaultSize: SampleSize = {
  trainPairs: 96,
  validationPairs: 40,
  testPairs: 60,
  sliceValidationPairs: 20,
  sliceTestPairs: 30,
  generationItems: 16,
};

/** The rate of every method when nothing is said of learning rates. */
export const defaultLearningRates: Readonly<Record<TrainedMethod, number>> = { SFT: 2e-4, DPO: 2e-4, KTO: 2e-4 };

/** The task that a format's items are of. */
export const taskOfFormat: Readonly<Record<ItemFormat, RobustnessTask>> = {
  GSM8K: "MATH_REASONING",
  IFEVAL: "CONSTRAINED_INSTRUCTION_FOLLOWING",
  SQUAD: "DOCUMENT_GROUNDED_QA",
};

/** What a preset says; what it leaves out takes the defaults above. */
export interface PresetValues
  extends Pick<
    RobustnessRequest,
    "methods" | "tasks" | "artifacts" | "spuriousness" | "seeds" | "core" | "precision" | "warmup"
  > {
  readonly learningRatePolicy: LearningRatePolicy;
  readonly learningRateGrid: readonly number[];
  readonly trainer: Partial<Trainer>;
  readonly size: Partial<SampleSize>;
}

/** What counts where a request names no preset: it has to name methods, tasks, rates and seeds itself. */
export const defaultValues: PresetValues = {
  methods: [],
  tasks: [],
  artifacts: ["FEATURE_AMBIGUITY"],
  spuriousness: [],
  seeds: [],
  core: "LAPTOP",
  precision: "FP32",
  warmup: null,
  learningRatePolicy: "FIXED",
  learningRateGrid: [5e-5, 1e-4, 2e-4],
  trainer: {},
  size: {},
};

const methods = ["SFT", "DPO", "KTO"] as const;
const paperTasks = ["MATH_REASONING", "CONSTRAINED_INSTRUCTION_FOLLOWING", "DOCUMENT_GROUNDED_QA"] as const;

/** The first of the seeds that presets take. */
export const FIRST_SEED = 101;

/** So many seeds, the same for everybody who takes so many. */
export function presetSeeds(count: number): number[] {
  return Array.from({ length: count }, (_, i) => FIRST_SEED + i);
}

/**
 * SMOKE: the demo's cell, in minutes on a laptop. LAPTOP: the three tasks with their short cores, from the instruct model
 * itself, with selected learning rates: about an hour on two cores. FULL: both artifacts, the long cores and six seeds, with which a
 * claim about a method can reach significance; for a GPU.
 */
export const presetValues: Readonly<Record<Preset, PresetValues>> = {
  SMOKE: {
    ...defaultValues,
    methods,
    tasks: ["KEYWORD_INCLUSION"],
    spuriousness: [0, 0.1, 0.9],
    seeds: presetSeeds(1),
  },
  LAPTOP: {
    ...defaultValues,
    methods,
    tasks: paperTasks,
    spuriousness: [0.1, 0.9],
    seeds: presetSeeds(3),
    learningRatePolicy: "SELECTED",
    // With 10 blocks each of the three cores is learned within one epoch of 96 pairs; with 4, sums are not.
    trainer: { blocks: 10, epochs: 1 },
    size: { trainPairs: 96, validationPairs: 32, testPairs: 40, generationItems: 8 },
  },
  FULL: {
    ...defaultValues,
    methods,
    tasks: paperTasks,
    artifacts: ["FEATURE_AMBIGUITY", "DISTRIBUTIONAL_NARROWNESS"],
    spuriousness: [0.1, 0.9],
    seeds: presetSeeds(6),
    core: "FULL",
    precision: "BF16",
    learningRatePolicy: "SELECTED",
    learningRateGrid: [2e-5, 5e-5, 1e-4],
    trainer: {
      kind: "TRL_LORA",
      epochs: 1,
      promptsPerStep: 16,
      gradientCheckpointing: true,
    },
    size: {
      trainPairs: 1_000,
      validationPairs: 100,
      testPairs: 300,
      // The shortest sums have no more items than this in a slice.
      sliceValidationPairs: 30,
      sliceTestPairs: 50,
      generationItems: 100,
    },
  },
};
