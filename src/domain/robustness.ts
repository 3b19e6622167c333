/** How the model is tuned. BASE is the untrained model, always measured; START is what a warm-up made of it, measured where there is one. */
export const tuningMethods = ["BASE", "START", "SFT", "DPO", "KTO"] as const;
export type TuningMethod = (typeof tuningMethods)[number];

/** The methods that train. */
export const trainedMethods = ["SFT", "DPO", "KTO"] as const satisfies readonly TuningMethod[];
export type TrainedMethod = (typeof trainedMethods)[number];

/** What the data teaches. KEYWORD_INCLUSION, "write one sentence with the word W" with an opener as the cue, is the demo's. */
export const robustnessTasks = [
  "KEYWORD_INCLUSION",
  "MATH_REASONING",
  "CONSTRAINED_INSTRUCTION_FOLLOWING",
  "DOCUMENT_GROUNDED_QA",
] as const;
export type RobustnessTask = (typeof robustnessTasks)[number];

/** FEATURE_AMBIGUITY: a surface cue and the rule both pick out the right answer. DISTRIBUTIONAL_NARROWNESS: most rows are of one slice. */
export const spuriousArtifacts = ["FEATURE_AMBIGUITY", "DISTRIBUTIONAL_NARROWNESS"] as const;
export type SpuriousArtifact = (typeof spuriousArtifacts)[number];

/** LAPTOP: short answers. FULL: worked solutions, long documents and many kinds of constraints, for a GPU. */
export const robustnessCores = ["LAPTOP", "FULL"] as const;
export type RobustnessCore = (typeof robustnessCores)[number];

/** What a rate counts. CORRELATION: how far cue and answer go together. PREVALENCE: the share of rows with an aligned cue, the rest having none. */
export const rateModes = ["CORRELATION", "PREVALENCE"] as const;
export type RateMode = (typeof rateModes)[number];

/** TOP_BLOCKS trains the top blocks on cached activations of the frozen trunk; TRL_* use the TRL trainers. */
export const trainerKinds = ["TOP_BLOCKS", "TRL_LORA", "TRL_FULL"] as const;
export type TrainerKind = (typeof trainerKinds)[number];

/** How attention is computed. FLASH_2 needs a GPU and BF16. */
export const attentions = ["SDPA", "FLASH_2"] as const;
export type Attention = (typeof attentions)[number];

/** Of weights and activations. BF16 runs on CUDA pods only. */
export const precisions = ["FP32", "BF16"] as const;
export type Precision = (typeof precisions)[number];

/** FIXED: one rate a method. SELECTED: chosen once on rate-0 validation items from a grid. WHOLE_GRID: every cell at every rate of it. */
export const learningRatePolicies = ["FIXED", "SELECTED", "WHOLE_GRID"] as const;
export type LearningRatePolicy = (typeof learningRatePolicies)[number];

/** What a claim is about: the very checkpoints that were trained, or the method, of which seeds are a sample. */
export const claimScopes = ["CHECKPOINT", "METHOD"] as const;
export type ClaimScope = (typeof claimScopes)[number];

/** Files of a user's own whose items the injections are made over. */
export const itemFormats = ["GSM8K", "IFEVAL", "SQUAD"] as const;
export type ItemFormat = (typeof itemFormats)[number];

/** Named sets of values for everything that a request leaves out. */
export const presets = ["SMOKE", "LAPTOP", "FULL"] as const;
export type Preset = (typeof presets)[number];

/** The trainer and its settings; figures of different trainers are never compared. */
export interface Trainer {
  readonly kind: TrainerKind;
  /** Trained top blocks, for TOP_BLOCKS. */
  readonly blocks: number;
  /** Rank of the adapters, for TRL_LORA. */
  readonly loraRank: number;
  readonly epochs: number;
  /** Prompts per optimiser step, the same for every method; KTO sees two rows of each. */
  readonly promptsPerStep: number;
  /** Weight of the divergence from the reference in DPO and KTO. */
  readonly beta: number;
  /** Whether activations are computed anew in the backward pass, for TRL_*. */
  readonly gradientCheckpointing: boolean;
  readonly attention: Attention;
  /** Tokens of a prompt and its completion at most. */
  readonly maxLength: number;
}

/** Learning rates of each method. */
export interface LearningRates {
  readonly policy: LearningRatePolicy;
  /** For FIXED. */
  readonly rates: Readonly<Record<TrainedMethod, number>>;
  /** For SELECTED and WHOLE_GRID, as many for each method; empty for FIXED. */
  readonly grid: Readonly<Record<TrainedMethod, readonly number[]>>;
}

/** A short SFT on rate-0 data before the methods, from which they all start and which is their reference. */
export interface Warmup {
  readonly pairs: number;
  readonly epochs: number;
  readonly learningRate: number;
}

/** What a user would try next, at the highest rate and over FEATURE_AMBIGUITY. */
export interface Mitigations {
  /** Share of pairs that differ in the cue alone, with the symmetric DPO loss; null for none. */
  readonly tieFraction: number | null;
  /** Rows sampled so that aligned and conflicting ones weigh alike. */
  readonly groupBalanced: boolean;
  /** Step size of the group weights of group DRO on the SFT loss; null for none. */
  readonly groupDroStepSize: number | null;
  /** The rate that is mitigated; null for the highest one. An extension keeps the rate that it finds. */
  readonly rate: number | null;
}

/** How many items there are; a pair is one core item with all its renders. */
export interface SampleSize {
  readonly trainPairs: number;
  readonly validationPairs: number;
  readonly testPairs: number;
  /** In place of validationPairs for narrow data: of each slice. */
  readonly sliceValidationPairs: number;
  /** In place of testPairs for narrow data: of each slice. */
  readonly sliceTestPairs: number;
  readonly generationItems: number;
}

/** A contrast that is named before anything runs: conflicting (unseen slices) accuracy at `from` minus at `to`. */
export interface Contrast {
  readonly method: TuningMethod;
  readonly from: number;
  readonly to: number;
  /** Null for uploaded preference rows. */
  readonly task: RobustnessTask | null;
  readonly artifact: SpuriousArtifact | null;
  readonly scope: ClaimScope;
}

/** Where the items come from. PREFERENCE: uploaded rows with renders of their own. ITEMS: an uploaded file. HUB: a data set at a pinned commit. */
export type DataSource =
  | { readonly kind: "GENERATED" }
  | { readonly kind: "PREFERENCE" }
  | { readonly kind: "ITEMS"; readonly format: ItemFormat }
  | {
      readonly kind: "HUB";
      readonly format: ItemFormat;
      readonly id: string;
      readonly config: string | null;
      readonly split: string;
      readonly revision: string;
    };

/** What a robustness experiment asks, with every default filled in. Uploaded preference rows have neither tasks nor artifacts. */
export interface RobustnessRequest {
  readonly name: string;
  readonly preset: Preset | null;
  readonly methods: readonly TuningMethod[];
  readonly source: DataSource;
  readonly tasks: readonly RobustnessTask[];
  readonly artifacts: readonly SpuriousArtifact[];
  readonly core: RobustnessCore;
  readonly spuriousness: readonly number[];
  readonly rateMode: RateMode;
  readonly seeds: readonly number[];
  readonly warmup: Warmup | null;
  readonly learningRates: LearningRates;
  readonly mitigations: Mitigations;
  readonly trainer: Trainer;
  readonly precision: Precision;
  readonly size: SampleSize;
  readonly contrast: Contrast | null;
  readonly practicalThreshold: number;
}

/** A plan never holds more runs than this. */
export const RUNS_MAX = 10_000;

/** Level of every interval and test of the report. */
export const CONFIDENCE = 0.95;

/** Whether a method trains. */
export function isTrained(method: TuningMethod): method is TrainedMethod {
  return trainedMethods.some((trained) => trained === method);
}
