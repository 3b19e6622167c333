/** Whether the figures of a cell may be read, and as what; `pods/assay_pods/robustness/report_cells.py` decides. */
export const cellVerdicts = [
  "MEASURED",
  "NO_DIFFERENCE_SHOWN",
  "BASE_EXPLAINS_GAP",
  "TEXT_TOO_FEW",
  "SCORES_DISAGREE",
  "CORE_NOT_LEARNED",
  "CONTROL_FAILED",
  "INCOMPLETE",
] as const;
export type CellVerdict = (typeof cellVerdicts)[number];

/** Verdicts under which a cell has no derived figures. */
export const unreadable: readonly CellVerdict[] = ["CORE_NOT_LEARNED", "CONTROL_FAILED", "INCOMPLETE"];

/** What became of the accuracy between two rates. */
export const degradationVerdicts = ["LOWER", "HIGHER", "EQUIVALENT", "NO_DIFFERENCE_SHOWN", "NOT_MEASURABLE"] as const;
export type DegradationVerdict = (typeof degradationVerdicts)[number];

/** The controls of a report. */
export const controlKinds = ["UNTRAINED_BASE", "RATE_ZERO", "RATE_ONE"] as const;
export type ControlKind = (typeof controlKinds)[number];

/** One comparison of two methods within a family: whether the first is better, worse, or neither was shown. */
export interface MethodPair {
  readonly method: string;
  readonly against: string;
  readonly verdict: string;
}

/** Where a method may stand among those that were compared, 1 the best. */
export interface Rank {
  readonly method: string;
  readonly rankLow: number;
  readonly rankHigh: number;
  readonly tiedWith: readonly string[];
}

const compared = ["BETTER", "WORSE", "INCONCLUSIVE"];

/**
 * The ranks that comparisons of pairs allow: a method stands behind those that were shown to be better and before those that were
 * shown to be worse; what was not shown leaves a range. Empty where nothing was compared.
 */
export function ranksOf(pairs: readonly MethodPair[]): Rank[] {
  const made = pairs.filter(({ verdict }) => compared.includes(verdict));
  const methods = [...new Set(made.flatMap(({ method, against }) => [method, against]))].sort();
  const beats = (one: string, other: string): boolean =>
    made.some(
      ({ method, against, verdict }) =>
        (method === one && against === other && verdict === "BETTER") ||
        (method === other && against === one && verdict === "WORSE"),
    );
  return methods.map((method) => {
    const others = methods.filter((other) => other !== method);
    const better = others.filter((other) => beats(other, method)).length;
    const worse = others.filter((other) => beats(method, other)).length;
    const tiedWith = others.filter((other) => !beats(method, other) && !beats(other, method));
    return { method, rankLow: 1 + better, rankHigh: methods.length - worse, tiedWith };
  });
}
