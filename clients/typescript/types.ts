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

/** How a model is tuned; BASE is the untrained one. */
export type TuningMethod = "BASE" | "SFT" | "DPO" | "KTO";

/** How an experiment is ended early. */
export type CancelMode = "GRACEFUL" | "IMMEDIATE";

/** What a robustness experiment asks. Fields that are left out take the service's defaults. */
export interface RobustnessSpec {
  readonly projectId: string;
  readonly name: string;
  readonly modelId: string;
  readonly methods: readonly TuningMethod[];
  readonly tasks?: readonly "KEYWORD_INCLUSION"[];
  readonly artifacts?: readonly "FEATURE_AMBIGUITY"[];
  readonly spuriousness: readonly number[];
  readonly seeds: readonly number[];
  /** An uploaded data set in place of a generated one. */
  readonly datasetVersionId?: string;
  /** Named before anything runs: conflicting accuracy at `from` minus at `to`. */
  readonly contrast?: { readonly method: TuningMethod; readonly from: number; readonly to: number };
  readonly trainer?: {
    readonly kind?: "TOP_BLOCKS" | "TRL_LORA" | "TRL_FULL";
    readonly blocks?: number;
    readonly loraRank?: number;
    readonly epochs?: number;
    readonly promptsPerStep?: number;
    readonly learningRate?: number;
    readonly learningRates?: { readonly sft?: number; readonly dpo?: number; readonly kto?: number };
    readonly beta?: number;
  };
  readonly size?: {
    readonly trainPairs?: number;
    readonly validationPairs?: number;
    readonly testPairs?: number;
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
  readonly cell: { readonly method: TuningMethod; readonly spuriousness: number | null } | null;
  readonly failure: { readonly code: string; readonly message: string } | null;
  /** The equal run that it was answered from; null when it was worked on itself. */
  readonly reusedFrom: { readonly id: string } | null;
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
}
