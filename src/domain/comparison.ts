import type { ComparisonMetric } from "./comparison-metric.js";
import { type Bounds, boundedMean, holm, type Interval, mcnemarExact, meanOf, varianceOf } from "./statistics.js";
import { bootstrapMean } from "./statistics-bootstrap.js";
import { minimumDetectableEffect, type VariancePart } from "./statistics-power.js";
import { jointSignFlip, MIN_SEEDS_FOR_TEST, nested, type SeedMean, seedInterval, twoWay } from "./statistics-seeds.js";

/** How a difference can be tested. */
export const pairedTests = ["MCNEMAR_EXACT", "PAIRED_BOOTSTRAP", "JOINT_SIGN_FLIP"] as const;
export type PairedTest = (typeof pairedTests)[number];

/** What a comparison can show. */
export const verdicts = ["BETTER", "WORSE", "EQUIVALENT", "INCONCLUSIVE"] as const;
export type Verdict = (typeof verdicts)[number];

const CONFIDENCE = 0.95;
const EQUIVALENCE_CONFIDENCE = 0.9;
const ALPHA = 0.05;
const POWER = 0.8;

/** The numbers of both sides for the items that both have, under one seed. */
export interface PairedSeed {
  readonly seed: number;
  readonly keys: readonly string[];
  readonly baseline: readonly number[];
  readonly candidate: readonly number[];
  /** Items that only one side has. */
  readonly unpaired: number;
}

/** An interval and how it was made. */
export interface ComparedInterval extends Interval {
  readonly level: number;
  readonly method: "ADJUSTED_WALD" | "BOOTSTRAP_ITEMS" | "SEEDS_T" | "SEEDS_AND_ITEMS_T";
}

/** What a comparison found. Differences are candidate minus baseline. */
export interface Compared {
  readonly seeds: number;
  readonly pairedItems: number;
  readonly unpairedItems: number;
  readonly baselineMean: number;
  readonly candidateMean: number;
  readonly delta: number;
  readonly interval: ComparedInterval | null;
  readonly test: PairedTest;
  readonly pValue: number | null;
  readonly adjustedPValue: number | null;
  /** Items, over all seeds, of which the candidate's number is the better one, the worse one, and neither. */
  readonly wins: number;
  readonly losses: number;
  readonly ties: number;
  readonly minimumDetectableEffect: number | null;
  readonly verdict: Verdict;
  readonly reason: string;
}

/** Pairs the items of two runs of one seed. `same` says whether an item's texts are the same on both sides. */
export function pairItems(
  seed: number,
  [baseline, candidate]: readonly [ReadonlyMap<string, number>, ReadonlyMap<string, number>],
  same: (itemKey: string) => boolean,
): PairedSeed {
  const keys = [...baseline.keys()].filter((key) => candidate.has(key) && same(key)).sort();
  const unpaired = baseline.size + candidate.size - 2 * keys.length;
  const valuesIn = (side: ReadonlyMap<string, number>): number[] => keys.map((key) => side.get(key) ?? 0);
  return { seed, keys, baseline: valuesIn(baseline), candidate: valuesIn(candidate), unpaired };
}

/** A family of comparisons with one baseline, and what may be said of it. */
export interface Family {
  readonly metric: ComparisonMetric;
  /** One list of paired seeds a candidate; every list has the same seeds, and at least one pair in each. */
  readonly candidates: readonly (readonly PairedSeed[])[];
  /** A difference up to this does not matter; null where nobody said. */
  readonly practicalThreshold: number | null;
  /** What the resampling depends on. */
  readonly salt: string;
}

/**
 * Compares every candidate with the baseline, and adjusts the p-values for there being several. Each takes a while: `pause` is
 * awaited between them, so that others get their turn.
 */
export async function compareFamily(family: Family, pause: () => Promise<void>): Promise<Compared[]> {
  const measured: Measured[] = [];
  for (const [i, pairs] of family.candidates.entries()) {
    measured.push(measure(pairs, family, `${family.salt}/${i}`));
    await pause();
  }
  const adjusted = adjustedOf(measured, family.candidates);
  return measured.map((one, i) => judged(one, adjusted[i] ?? null, family));
}

/** What is known of one candidate before the family is looked at. */
interface Measured extends Omit<Compared, "adjustedPValue" | "verdict" | "reason"> {
  readonly narrow: Interval | null;
}

function measure(pairs: readonly PairedSeed[], { metric }: Family, salt: string): Measured {
  const rows = pairs.map(differencesOf);
  const one = rows.length === 1 ? overItems(pairs, metric, salt) : overSeeds(pairs, metric.bounds);
  const all = rows.flat().map((difference) => (metric.higherIsBetter ? difference : -difference));
  const count = (holds: (gain: number) => boolean): number => all.filter(holds).length;
  const sideMean = (side: (pair: PairedSeed) => readonly number[]): number =>
    meanOf(pairs.map((pair) => meanOf(side(pair))));
  return {
    ...one,
    seeds: pairs.length,
    pairedItems: all.length,
    unpairedItems: pairs.reduce((sum, { unpaired }) => sum + unpaired, 0),
    baselineMean: sideMean(({ baseline }) => baseline),
    candidateMean: sideMean(({ candidate }) => candidate),
    delta: meanOf(rows.map((row) => meanOf(row))),
    wins: count((gain) => gain > 0),
    losses: count((gain) => gain < 0),
    ties: count((gain) => gain === 0),
  };
}

type Found = Pick<Measured, "interval" | "narrow" | "test" | "pValue" | "minimumDetectableEffect">;

/** One checkpoint on each side: the chance is in the items. */
function overItems(pairs: readonly PairedSeed[], { bounds, decided }: ComparisonMetric, salt: string): Found {
  const [pair] = pairs;
  const differences = pair === undefined ? [] : differencesOf(pair);
  const drawn = decided && bounds !== null ? null : bootstrapMean(differences, salt);
  const at = (confidence: number): Interval | null =>
    bounds === null
      ? (drawn?.bca(confidence) ?? drawn?.percentile(confidence) ?? null)
      : boundedMean(differences, bounds, confidence);
  const test = decided ? "MCNEMAR_EXACT" : "PAIRED_BOOTSTRAP";
  const pValue = decided ? mcnemarExact(pair?.baseline ?? [], pair?.candidate ?? []).pValue : (drawn?.pValue ?? null);
  const wide = at(CONFIDENCE);
  const interval =
    wide && ({ ...wide, level: CONFIDENCE, method: bounds === null ? "BOOTSTRAP_ITEMS" : "ADJUSTED_WALD" } as const);
  const padded = [...differences, ...(bounds?.pseudo ?? [])];
  const variance = varianceOf(padded, 0) / padded.length;
  return {
    interval,
    narrow: at(EQUIVALENCE_CONFIDENCE),
    test,
    pValue,
    minimumDetectableEffect: detectable([{ variance, df: Number.POSITIVE_INFINITY }]),
  };
}

/** Several seeds on each side: the chance is in the training as well. */
function overSeeds(pairs: readonly PairedSeed[], bounds: Bounds | null): Found {
  const rows = pairs.map(differencesOf);
  const crossed = pairs.every(
    ({ keys }) => keys.length === pairs[0]?.keys.length && keys.every((key, i) => key === pairs[0]?.keys[i]),
  );
  const mean: SeedMean | null = crossed ? twoWay(rows, bounds) : nested(rows, bounds);
  const method = crossed ? "SEEDS_AND_ITEMS_T" : "SEEDS_T";
  return {
    interval: mean && { ...seedInterval(mean, CONFIDENCE, bounds), level: CONFIDENCE, method },
    narrow: mean && seedInterval(mean, EQUIVALENCE_CONFIDENCE, bounds),
    test: "JOINT_SIGN_FLIP",
    pValue: jointSignFlip([rows.map((row) => meanOf(row))]).adjusted?.[0] ?? null,
    minimumDetectableEffect: mean && detectable(mean.parts),
  };
}

function detectable(parts: readonly VariancePart[]): number | null {
  const varies = parts.some(({ variance }) => variance > 0);
  return varies ? minimumDetectableEffect({ parts, alpha: ALPHA, power: POWER }) : null;
}

function differencesOf({ baseline, candidate }: PairedSeed): number[] {
  return candidate.map((value, i) => value - (baseline[i] ?? 0));
}

function adjustedOf(measured: readonly Measured[], candidates: Family["candidates"]): readonly (number | null)[] {
  if (measured[0]?.test === "JOINT_SIGN_FLIP") {
    const contrasts = candidates.map((pairs) => pairs.map((pair) => meanOf(differencesOf(pair))));
    return jointSignFlip(contrasts).adjusted ?? measured.map(() => null);
  }
  // A comparison without a test was made all the same, and counts as one that showed nothing.
  const adjusted = holm(measured.map(({ pValue }) => pValue ?? 1));
  return measured.map(({ pValue }, i) => (pValue === null ? null : (adjusted[i] ?? null)));
}

function judged({ narrow, ...found }: Measured, adjustedPValue: number | null, family: Family): Compared {
  const { interval, delta, seeds } = found;
  const { practicalThreshold: threshold, metric } = family;
  const say = (verdict: Verdict, reason: string): Compared => ({ ...found, adjustedPValue, verdict, reason });
  if (threshold !== null && narrow !== null && -threshold < narrow.low && narrow.high < threshold) {
    return say("EQUIVALENT", `the 90 % interval of the difference lies within ${threshold} on both sides of 0`);
  }
  if (seeds > 1 && seeds < MIN_SEEDS_FOR_TEST) {
    return say(
      "INCONCLUSIVE",
      `${seeds} seeds cannot reach .05 (the smallest p is 2/2^${seeds}); it takes ${MIN_SEEDS_FOR_TEST}`,
    );
  }
  if (interval === null || adjustedPValue === null)
    return say("INCONCLUSIVE", "too few items are told apart for a test");
  if (adjustedPValue > ALPHA || (interval.low <= 0 && 0 <= interval.high)) {
    return say("INCONCLUSIVE", "no difference shown at this size");
  }
  const over = seeds === 1 ? "of these checkpoints, over items" : `over ${seeds} seeds`;
  const verdict = delta > 0 === metric.higherIsBetter ? "BETTER" : "WORSE";
  return say(verdict, `a difference ${over}: the adjusted p is at most .05 and the interval excludes 0`);
}
