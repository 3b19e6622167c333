import type { SubmitOptions } from "./types.js";

/** A way to find documents for a query. */
export type RetrievalSystem =
  | "BM25"
  | "BM25_EXPANDED"
  | "BASE"
  | "BASE_EXPANDED"
  | "VECTOR_PRF"
  | "RRF"
  | "RIDGE"
  | "RIDGE_SHUFFLED"
  | "SOFTQE"
  | "SOFTQE_MIXED"
  | "CONTRASTIVE"
  | "SHUFFLED";

/** A row of a leaderboard. */
export interface RetrievalRow {
  readonly system: RetrievalSystem;
  /** The weight of distillation in the loss; null of what is not trained by it. */
  readonly alpha: number | null;
}

/** A mean over queries with its interval. */
export interface QueryEstimate {
  readonly value: number;
  /** Queries behind it. */
  readonly items: number;
  readonly seeds: number;
  readonly interval: {
    readonly level: number;
    readonly low: number;
    readonly high: number;
    readonly method: string;
  };
}

/** The milliseconds of half and of 95 of 100 queries. */
export interface LatencyPercentiles {
  readonly p50: number;
  readonly p95: number;
}

/** What one system made of the test queries; what was not measured is null. */
export interface RetrievalSystemScore extends RetrievalRow {
  readonly seeds: readonly number[];
  readonly ndcgAt10: QueryEstimate | null;
  readonly rrAt10: QueryEstimate | null;
  readonly recallAt100: QueryEstimate | null;
  readonly averagePrecision: QueryEstimate | null;
  readonly judgedAt10: QueryEstimate | null;
  readonly seedDeviation: number | null;
  readonly againstBase: {
    readonly delta: QueryEstimate | null;
    readonly wins: number;
    readonly ties: number;
    readonly losses: number;
  } | null;
  readonly groups: readonly {
    readonly group: string;
    readonly ndcgAt10: QueryEstimate | null;
    readonly delta: QueryEstimate | null;
  }[];
  readonly latency: {
    readonly encoder: LatencyPercentiles | null;
    readonly search: LatencyPercentiles | null;
    readonly total: LatencyPercentiles | null;
  } | null;
  readonly promptTokensPerThousand: number | null;
  readonly completionTokensPerThousand: number | null;
  readonly pricePerThousand: number | null;
}

/** A test of the confirmatory family. */
export interface RetrievalTest {
  readonly candidate: RetrievalRow;
  readonly baseline: RetrievalRow;
  /** Candidate minus baseline, nDCG@10. */
  readonly delta: QueryEstimate | null;
  readonly pValue: number | null;
  /** After Holm over the family: the figure to read. */
  readonly adjustedPValue: number | null;
  readonly pairedTPValue: number | null;
  readonly wins: number;
  readonly ties: number;
  readonly losses: number;
  readonly minimumDetectableEffect: number | null;
  readonly underpowered: boolean;
  readonly verdict: "BETTER" | "WORSE" | "EQUIVALENT" | "INCONCLUSIVE";
  readonly reason: string;
}

/** The figures of a retrieval experiment's report. */
export interface Leaderboard {
  readonly verdict: "HELPED" | "NOT_ATTRIBUTABLE" | "NO_DIFFERENCE_SHOWN" | "WORSE" | "GATE_CLOSED" | "NOT_TESTED";
  readonly reason: string;
  readonly summary: readonly string[];
  readonly queryCount: number;
  readonly queriesWithoutRelevant: number;
  /** By nDCG@10, the best first. */
  readonly rows: readonly RetrievalSystemScore[];
  readonly tests: readonly RetrievalTest[];
  readonly gate: readonly {
    readonly fold: number;
    readonly open: boolean;
    readonly delta: number | null;
    readonly low: number | null;
    readonly high: number | null;
    readonly queries: number;
  }[];
  readonly recoveredGain: {
    readonly value: number | null;
    readonly low: number | null;
    readonly high: number | null;
    readonly reason: string | null;
  } | null;
  readonly breakEven: { readonly queries: number | null; readonly reason: string } | null;
  readonly missing: readonly (RetrievalRow & {
    readonly fold: number;
    readonly seed: number | null;
    readonly reason: string;
  })[];
  readonly notShown: readonly string[];
  readonly caveats: readonly string[];
}

/** What every system made of one test query. */
export interface QueryReceipt {
  readonly query: string;
  readonly text: string;
  readonly group: string | null;
  readonly expansion: string | null;
  /** Whether the distilled encoder is below its base here. */
  readonly lost: boolean;
  readonly latencySavedMs: number | null;
  readonly scores: readonly (RetrievalRow & {
    readonly ndcgAt10: number;
    readonly rrAt10: number | null;
    readonly recallAt100: number | null;
    readonly averagePrecision: number | null;
    readonly judgedAt10: number | null;
    readonly delta: number | null;
    readonly seeds: number;
    readonly top: readonly {
      readonly document: string;
      readonly score: number;
      readonly relevance: number | null;
    }[];
  })[];
}

/** Which queries are wanted; all that is given must hold. */
export interface QueryReceiptFilter {
  readonly lost?: boolean;
  readonly group?: string;
  readonly query?: string;
}

/** A row that is asked for; alpha only where the system has several. */
export interface RetrievalRowChoice {
  readonly system: RetrievalSystem;
  readonly alpha?: number;
}

/** Two rows of the leaderboard held against one another. */
export interface RankingDiff {
  readonly baseline: RetrievalRow;
  readonly candidate: RetrievalRow;
  readonly queryCount: number;
  /** Candidate minus baseline, mean nDCG@10. */
  readonly delta: number;
  readonly wins: number;
  readonly ties: number;
  readonly losses: number;
  readonly relevantGained: number;
  readonly relevantLost: number;
  /** Those with the largest differences first. */
  readonly queries: readonly QueryDiff[];
}

/** What two systems made of one query. */
export interface QueryDiff {
  readonly query: string;
  readonly text: string;
  readonly baselineNdcgAt10: number;
  readonly candidateNdcgAt10: number;
  readonly delta: number;
  /** Places from 1; null beyond the first ten. */
  readonly documents: readonly {
    readonly document: string;
    readonly relevance: number | null;
    readonly baselineRank: number | null;
    readonly candidateRank: number | null;
  }[];
}

/** What a retrieval experiment asks. Fields that are left out take the service's defaults. */
export interface RetrievalSpec {
  readonly projectId: string;
  readonly name: string;
  /** A registered model: a SentenceTransformer in safetensors. */
  readonly encoderId: string;
  readonly encoder?: {
    readonly maxLength?: number;
    readonly queryPrompt?: string;
    readonly documentPrompt?: string;
    readonly pooling?: "MEAN" | "CLS";
  };
  readonly collection: {
    readonly kind: "PLANTED" | "STDLIB" | "UPLOADED";
    readonly planted?: {
      readonly topics?: number;
      readonly unseenTopics?: number;
      readonly phrasings?: number;
      readonly documentsPerTopic?: number;
      readonly seed?: number;
    };
    /** The files of an uploaded collection, as versions of data sets. */
    readonly corpusVersionId?: string;
    readonly queriesVersionId?: string;
    readonly qrelsVersionId?: string;
    readonly qrelsTrainVersionId?: string;
    readonly qrelsDevVersionId?: string;
  };
  readonly split?: {
    readonly kind: "HASH" | "GIVEN" | "CROSS_FIT";
    readonly dev?: number;
    readonly test?: number;
    readonly folds?: number;
  };
  /** Needed where a relevance code is negative. */
  readonly gains?: readonly { readonly code: number; readonly gain: number }[];
  readonly dropIdenticalIds?: boolean;
  readonly expansion?: {
    readonly kind: "PLANTED" | "UPLOADED" | "PRF" | "RELEVANT_DOCUMENT" | "ENDPOINT" | "LOCAL";
    readonly versionId?: string;
    /** For LOCAL: a registered language model. */
    readonly modelId?: string;
    readonly documents?: number;
    readonly words?: number;
    readonly url?: string;
    readonly model?: string;
    readonly prompt?: string;
    readonly samples?: number;
    readonly temperature?: number;
    readonly maxTokens?: number;
    readonly secretEnv?: string;
    readonly pricePerMillionPromptTokens?: number;
    readonly pricePerMillionCompletionTokens?: number;
  };
  readonly shards?: number;
  readonly storage?: "FLOAT32" | "FLOAT16";
  readonly approximate?: "HNSW" | "IVF_PQ";
  readonly student?: {
    readonly mixedAlphas?: readonly number[];
    readonly layers?: number;
    readonly epochs?: number;
    readonly batch?: number;
    readonly learningRate?: number;
    readonly temperature?: number;
    readonly hardNegatives?: number;
  };
  readonly seeds?: readonly number[];
  readonly gate?: "ENFORCE" | "REPORT";
  readonly practicalThreshold?: number;
  readonly options?: SubmitOptions;
}
