import { incompleteBeta, normalQuantile } from "./statistics-distributions.js";

// Twins of pods/assay_pods/common/stats.py: the same figures in both languages, held together by one fixture.

/** The two ends of an interval. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** The range of a per-item value, and the pseudo-items that stand beside the items, which may all agree. */
export interface Bounds {
  readonly low: number;
  readonly high: number;
  readonly pseudo: readonly number[];
}

/** Bounds of what a comparison looks at: a difference of two scores, and one of two differences. */
export const boundsOf = {
  difference: { low: -1, high: 1, pseudo: [-1, 1] },
  doubleDifference: { low: -2, high: 2, pseudo: [-1, -1, 1, 1] },
} as const satisfies Readonly<Record<string, Bounds>>;

/** The mean; NaN of nothing. */
export function meanOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i += 1) sum += values[i] ?? 0;
  return sum / values.length;
}

/** The mean squared distance from the mean, divided by n - `less`. */
export function varianceOf(values: ArrayLike<number>, less: 0 | 1): number {
  const mean = meanOf(values);
  let sum = 0;
  for (let i = 0; i < values.length; i += 1) sum += ((values[i] ?? 0) - mean) ** 2;
  return sum / (values.length - less);
}

/** Wilson's score interval of a proportion; `successes` may be fractional, because a tie counts half. Null for no items. */
export function wilson(successes: number, n: number, confidence: number): Interval | null {
  if (n === 0) return null;
  const z2 = normalQuantile((1 + confidence) / 2) ** 2;
  const share = successes / n;
  const centre = (share + z2 / (2 * n)) / (1 + z2 / n);
  const half = (Math.sqrt(z2) * Math.sqrt((share * (1 - share)) / n + z2 / (4 * n * n))) / (1 + z2 / n);
  return { low: Math.min(Math.max(centre - half, 0), share), high: Math.max(Math.min(centre + half, 1), share) };
}

/** How two classifiers differ on the same items. */
export interface McNemar {
  /** Two-sided and exact; null where every item was a tie on some side. */
  readonly pValue: number | null;
  readonly onlyFirst: number;
  readonly onlySecond: number;
  readonly ties: number;
}

/** The exact McNemar test; items that either side scored as a tie are left out and counted in `ties`. */
export function mcnemarExact(first: readonly number[], second: readonly number[]): McNemar {
  if (first.length !== second.length) {
    throw new RangeError(`wanted paired scores, but got ${first.length} and ${second.length}`);
  }
  let [onlyFirst, onlySecond, ties] = [0, 0, 0];
  first.forEach((a, i) => {
    const b = second[i];
    if (a === 0.5 || b === 0.5) ties += 1;
    else if (a === 1 && b === 0) onlyFirst += 1;
    else if (a === 0 && b === 1) onlySecond += 1;
  });
  if (ties === first.length) return { pValue: null, onlyFirst, onlySecond, ties };
  const [fewer, discordant] = [Math.min(onlyFirst, onlySecond), onlyFirst + onlySecond];
  // P(X <= k) of a fair coin tossed n times is an incomplete beta function.
  const below = fewer === discordant ? 1 : incompleteBeta(0.5, discordant - fewer, fewer + 1);
  return { pValue: Math.min(1, 2 * below), onlyFirst, onlySecond, ties };
}

/** Adjusted Wald interval of the mean of per-item values of a known range: Wald's over items and pseudo-items. Null for no items. */
export function boundedMean(values: readonly number[], bounds: Bounds, confidence: number): Interval | null {
  if (values.length === 0) return null;
  const padded = [...values, ...bounds.pseudo];
  const half = normalQuantile((1 + confidence) / 2) * Math.sqrt(varianceOf(padded, 0) / padded.length);
  return clipped(meanOf(padded), half, bounds);
}

/** The interval of `half` on either side of a centre, within the range where there is one. */
export function clipped(centre: number, half: number, bounds: Bounds | null): Interval {
  const [low, high] = [centre - half, centre + half];
  return bounds === null ? { low, high } : { low: Math.max(bounds.low, low), high: Math.min(bounds.high, high) };
}

/** P-values of a family, adjusted after Holm: each is rejected at the level at which its adjusted value lies. */
export function holm(pValues: readonly number[]): number[] {
  const order = pValues.map((_, i) => i).sort((a, b) => (pValues[a] ?? 1) - (pValues[b] ?? 1));
  const adjusted = pValues.map(() => 1);
  let largest = 0;
  order.forEach((place, rank) => {
    largest = Math.max(largest, (pValues.length - rank) * (pValues[place] ?? 1));
    adjusted[place] = Math.min(1, largest);
  });
  return adjusted;
}
