/** What a run found for one item in one render. */
export interface ItemResult {
  readonly id: string;
  readonly itemKey: string;
  readonly split: string;
  /** aligned, conflicting, neutral, in_slice and so on. */
  readonly group: string;
  readonly slice: string | null;
  /** 1 for right, 0.5 for a tie, 0 for wrong; null where it was not scored. */
  readonly score: number | null;
  readonly margin: number | null;
  readonly input: string | null;
  readonly expected: string | null;
  readonly output: string | null;
  readonly outputScores: readonly { readonly name: string; readonly value: number }[];
  readonly spuriousFeaturePresent: boolean | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

/** Which items are wanted; all that is given must hold. */
export interface ItemFilter {
  readonly group?: string;
  readonly split?: "validation" | "test";
  readonly maxScore?: number;
  readonly errored?: boolean;
  readonly spuriousFeaturePresent?: boolean;
}

/** What is held against what. */
export interface ComparisonRequest {
  /** A run, or the runs of a cell, one a seed. */
  readonly baseline: readonly string[];
  /** Each a run, or the runs of a cell under the baseline's seeds. */
  readonly candidates: readonly (readonly string[])[];
  /** gap, balanced, a group, or margin:, exact:, f1:, strict: or loose: and a group. */
  readonly metric: string;
  /** A difference up to this does not matter. */
  readonly practicalThreshold?: number;
}

/** A candidate held against the baseline. */
export interface Comparison {
  readonly metric: string;
  readonly higherIsBetter: boolean;
  readonly seeds: number;
  readonly pairedItems: number;
  readonly unpairedItems: number;
  readonly baselineMean: number;
  readonly candidateMean: number;
  /** Candidate minus baseline. */
  readonly delta: number;
  readonly interval: {
    readonly level: number;
    readonly low: number;
    readonly high: number;
    readonly method: string;
  } | null;
  readonly test: "MCNEMAR_EXACT" | "PAIRED_BOOTSTRAP" | "JOINT_SIGN_FLIP";
  readonly pValue: number | null;
  readonly adjustedPValue: number | null;
  readonly wins: number;
  readonly losses: number;
  readonly ties: number;
  readonly minimumDetectableEffect: number | null;
  readonly verdict: "BETTER" | "WORSE" | "EQUIVALENT" | "INCONCLUSIVE";
  readonly reason: string;
  readonly confounders: readonly string[];
}

/** What an experiment can be exported as. */
export type ExportFormat =
  | "REPORT_JSON"
  | "REPORT_TEXT"
  | "REPORT_MARKDOWN"
  | "REPORT_HTML"
  | "LM_EVAL_JSON"
  | "ITEMS_EXPORT"
  | "TREC_RUN"
  | "TREC_QRELS"
  | "ENCODER";
