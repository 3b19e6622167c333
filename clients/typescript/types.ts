import type { RetrievalRow } from "./retrieval.types.js";

/** State of an experiment, derived from its runs. */
export type ExperimentState =
  | "QUEUED"
  | "RUNNING"
  | "PAUSED"
  | "CANCELLING"
  | "SUCCEEDED"
  | "PARTIAL"
  | "FAILED"
  | "CANCELLED";

/** State of a run. */
export type RunState =
  | "WAITING"
  | "QUEUED"
  | "LEASED"
  | "RUNNING"
  | "RETRY_WAIT"
  | "PAUSED"
  | "CANCELLING"
  | "SUCCEEDED"
  | "FAILED"
  | "CANCELLED"
  | "DEAD";

/** How a model is tuned; BASE is the untrained one, START what a warm-up made of it. */
export type TuningMethod = "BASE" | "START" | "SFT" | "DPO" | "KTO";

/** What is taught. */
export type RobustnessTask =
  | "KEYWORD_INCLUSION"
  | "MATH_REASONING"
  | "CONSTRAINED_INSTRUCTION_FOLLOWING"
  | "DOCUMENT_GROUNDED_QA";

/** The kind of spurious correlation. */
export type SpuriousArtifact = "FEATURE_AMBIGUITY" | "DISTRIBUTIONAL_NARROWNESS";

/** Items of a user's own over which injections are made. */
export type ItemFormat = "GSM8K" | "IFEVAL" | "SQUAD";

/** What the rows of an uploaded file are. */
export type DatasetKind = "PREFERENCE" | ItemFormat | "CORPUS" | "QUERIES" | "QRELS" | "EXPANSIONS";

/** How an experiment is ended early. */
export type CancelMode = "GRACEFUL" | "SCORE_PARTIAL" | "IMMEDIATE";

/** What a robustness experiment asks. Fields that are left out take the preset's values, else the service's defaults. */
export interface RobustnessSpec {
  readonly projectId: string;
  readonly name: string;
  readonly modelId: string;
  readonly preset?: "SMOKE" | "LAPTOP" | "FULL";
  /** Needed unless a preset says it; so are rates and seeds. */
  readonly methods?: readonly TuningMethod[];
  readonly tasks?: readonly RobustnessTask[];
  readonly artifacts?: readonly SpuriousArtifact[];
  readonly core?: "LAPTOP" | "FULL";
  readonly spuriousness?: readonly number[];
  readonly rateMode?: "CORRELATION" | "PREVALENCE";
  readonly seeds?: readonly number[];
  /** An uploaded data set in place of a generated one. */
  readonly datasetVersionId?: string;
  /** Items of the hub at a commit of 40 hex digits, in place of generated ones. */
  readonly hub?: {
    readonly format: ItemFormat;
    readonly id: string;
    readonly config?: string;
    readonly split: string;
    readonly revision: string;
  };
  /** 0 pairs: no warm-up where a preset has one. */
  readonly warmup?: { readonly pairs: number; readonly epochs?: number; readonly learningRate?: number };
  readonly learningRates?: {
    readonly policy: "FIXED" | "SELECTED" | "WHOLE_GRID";
    readonly grid?: readonly number[];
    readonly grids?: {
      readonly sft?: readonly number[];
      readonly dpo?: readonly number[];
      readonly kto?: readonly number[];
    };
  };
  /** What to try against the correlation, at the highest rate. */
  readonly mitigations?: {
    readonly tieFraction?: number;
    readonly groupBalanced?: boolean;
    readonly groupDroStepSize?: number;
  };
  /** Named before anything runs: accuracy without the correlation's help at `from` minus at `to`. METHOD needs at least 6 seeds. */
  readonly contrast?: {
    readonly method: TuningMethod;
    readonly from: number;
    readonly to: number;
    readonly task?: RobustnessTask;
    readonly artifact?: SpuriousArtifact;
    readonly scope?: "CHECKPOINT" | "METHOD";
  };
  readonly trainer?: {
    readonly kind?: "TOP_BLOCKS" | "TRL_LORA" | "TRL_FULL";
    readonly blocks?: number;
    readonly loraRank?: number;
    readonly epochs?: number;
    readonly promptsPerStep?: number;
    readonly learningRate?: number;
    readonly learningRates?: { readonly sft?: number; readonly dpo?: number; readonly kto?: number };
    readonly beta?: number;
    readonly gradientCheckpointing?: boolean;
    readonly attention?: "SDPA" | "FLASH_2";
    readonly maxLength?: number;
  };
  readonly precision?: "FP32" | "BF16";
  readonly size?: {
    readonly trainPairs?: number;
    readonly validationPairs?: number;
    readonly testPairs?: number;
    /** For narrow data in place of the two above: of each slice. */
    readonly sliceValidationPairs?: number;
    readonly sliceTestPairs?: number;
    readonly generationItems?: number;
  };
  /** A difference smaller than this does not matter, 0 to 1. */
  readonly practicalThreshold?: number;
  readonly options?: SubmitOptions;
}

/** How an experiment's runs are served; what they answer does not depend on it. */
export interface SubmitOptions {
  /** -100 to 100, higher is served sooner among your own runs. */
  readonly priority?: number;
  /** Whether equal work is answered from an earlier run of the project, as it is by default. */
  readonly reuse?: "EXACT_MATCH" | "NEVER";
  /** Tries of a run before it is given up, 1 to 10. */
  readonly maxAttempts?: number;
}

/** Seconds used, and seconds that were not because equal work had been done before. */
export interface Usage {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly gpuSeconds: number;
  readonly savedByReuseSeconds: { readonly wall: number; readonly cpu: number; readonly gpu: number };
}

/** An experiment as the service shows it. */
export interface Experiment {
  readonly id: string;
  readonly name: string;
  readonly state: ExperimentState;
  readonly createdAt: string;
  readonly endedAt: string | null;
  readonly progress: { readonly completed: number; readonly total: number; readonly fraction: number };
  readonly usage: Usage;
  readonly artifacts: readonly Artifact[];
  readonly runs: readonly Run[];
}

/** One cell of the grid with one seed, or a step around them. */
export interface Run {
  readonly id: string;
  readonly step: string;
  readonly state: RunState;
  readonly seed: number | null;
  readonly cell: RobustnessCell | RetrievalCell | null;
  readonly failure: { readonly code: string; readonly message: string } | null;
  /** The equal run that it was answered from; null when it was worked on itself. */
  readonly reusedFrom: { readonly id: string } | null;
  /** The later run that does its work, after a retry or an extension; then this one counts no more. */
  readonly supersededBy: { readonly id: string } | null;
}

/** A training of a retrieval experiment. */
export interface RetrievalCell extends RetrievalRow {
  readonly __typename: "RetrievalCell";
  readonly fold: number;
}

/** A cell of a grid. */
export interface RobustnessCell {
  readonly __typename: "RobustnessCell";
  readonly method: TuningMethod;
  /** Null for uploaded preference rows, and so is the artifact. */
  readonly task: RobustnessTask | null;
  readonly artifact: SpuriousArtifact | null;
  /** Null where nothing is trained. */
  readonly spuriousness: number | null;
}

/** An immutable file. */
export interface Artifact {
  readonly id: string;
  readonly name: string;
  readonly kind: string;
  readonly bytes: number;
  readonly digest: string;
  readonly downloadUrl: string;
}

/** Something that happened to an experiment. */
export interface ExperimentEvent {
  readonly sequence: number;
  readonly at: string;
  readonly kind: "STATE" | "LOG" | "METRIC" | "PROGRESS" | "WARNING" | "EXPERIMENT";
  readonly run: { readonly id: string } | null;
  readonly message: string | null;
  readonly state: RunState | null;
  readonly experimentState: ExperimentState | null;
  readonly progress: { readonly stage: string; readonly completed: number; readonly total: number } | null;
}

/** Where a model's files are. */
export type ModelSource =
  | { readonly package: { readonly name: string; readonly version: string } }
  | { readonly path: string }
  | { readonly hub: { readonly id: string; readonly revision: string } };

/** A registered model; its digest is its identity. */
export interface Model {
  readonly id: string;
  readonly name: string;
  readonly digest: string;
}

/** Immutable rows; the digest is their identity. */
export interface DatasetVersion {
  readonly id: string;
  readonly digest: string;
  readonly rows: number;
  readonly validation: {
    /** How many rows are in order but of no use. */
    readonly leftOutCount: number;
    /** How the file is written, for instance a header row; none of it keeps the file from use. */
    readonly notes: readonly { readonly row: number; readonly column: string | null; readonly message: string }[];
  };
}

/** The receipt of a cancel. */
export interface Cancellation {
  readonly mode: CancelMode;
  readonly reason: string | null;
  readonly requestedAt: string;
  /** Whether every run has ended; until then the figures may still change. */
  readonly complete: boolean;
  /** Runs that had not ended before it. */
  readonly runCount: number;
  /** Compute seconds that those runs' attempts set aside, used and gave back. */
  readonly secondsReserved: number;
  readonly secondsUsed: number;
  readonly secondsReturned: number;
  readonly filesKept: number;
  readonly runs: readonly CancelledRun[];
}

/** What a cancel made of one run. */
export interface CancelledRun {
  readonly run: { readonly id: string; readonly step: string };
  readonly state: RunState;
  /** The last step that was done; null where none was heard of. */
  readonly lastStep: number | null;
  readonly secondsReserved: number;
  readonly secondsUsed: number;
  readonly secondsReturned: number;
  readonly files: readonly { readonly name: string; readonly kind: string; readonly digest: string }[];
}

/** What was answered to a retry. */
export interface Retried {
  /** How many failed runs are tried again. */
  readonly runCount: number;
  /** The first 100 of them, or of the runs that took their place. */
  readonly runs: readonly { readonly id: string; readonly state: RunState }[];
  /** Whether the key was seen before; nothing was done then. */
  readonly replayed: boolean;
}

/** What is kept of a run that was given up. */
export interface DeadLetter {
  readonly id: string;
  /** The class of its last error, or POD_LOST. */
  readonly reason: string;
  readonly epoch: number;
  readonly diedAt: string;
  readonly replayedAt: string | null;
  readonly purgedAt: string | null;
  /** The end of what the run said. */
  readonly logTail: string | null;
  readonly experiment: { readonly id: string };
  readonly run: { readonly id: string; readonly state: RunState };
  readonly failure: { readonly code: string; readonly message: string; readonly retryable: boolean };
}

/** Dead letters that match everything that is given. */
export interface DeadLetterFilter {
  readonly experimentId?: string;
  readonly reason?: string;
  readonly code?: string;
  readonly diedBefore?: string;
  readonly replayed?: boolean;
  readonly purged?: boolean;
}

/** Dead letters by their ids, or those that match; an empty filter matches all that the key may control. */
export type DeadLetterChoice = { readonly ids: readonly string[] } | { readonly filter: DeadLetterFilter };

/** What was done with dead letters, or would be. */
export interface DeadLettersDone {
  readonly dryRun: boolean;
  readonly count: number;
  /** The first 100. */
  readonly deadLetters: readonly DeadLetter[];
  readonly replayed: boolean;
}
