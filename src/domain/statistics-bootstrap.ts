import { hash } from "node:crypto";
import { type Interval, meanOf } from "./statistics.js";
import { normalCdf, normalQuantile } from "./statistics-distributions.js";

/** How often items are drawn anew. */
export const RESAMPLES = 2_000;

/** Resamples of a mean: their intervals, and the test of whether it is 0. */
export interface BootstrapOfMean {
  readonly percentile: (confidence: number) => Interval;
  /** Bias-corrected and accelerated; null where it is undefined. */
  readonly bca: (confidence: number) => Interval | null;
  /** Share of the resamples, shifted to a mean of 0, that lie as far out as the mean; the data count as one of them. */
  readonly pValue: number;
}

/** A generator of whole numbers below 2^32 that depends on its seed alone: sfc32, started from the seed's SHA-256. */
export function seededWords(seed: string): () => number {
  const state = hash("sha256", seed, "buffer");
  let [a, b, c, counter] = [state.readInt32BE(0), state.readInt32BE(4), state.readInt32BE(8), 1];
  const next = (): number => {
    const word = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + word) | 0;
    return word >>> 0;
  };
  for (let i = 0; i < 12; i += 1) next();
  return next;
}

/** Means of `RESAMPLES` samples of as many items, drawn with replacement. */
export function resampledMeans(values: Float64Array, seed: string): Float64Array {
  const next = seededWords(seed);
  const n = values.length;
  return Float64Array.from({ length: RESAMPLES }, () => {
    let sum = 0;
    for (let i = 0; i < n; i += 1) sum += values[Math.floor((next() / 2 ** 32) * n)] ?? 0;
    return sum / n;
  });
}

/** The pair bootstrap of the mean of per-item differences; null for fewer than two items. Equal seeds draw equally. */
export function bootstrapMean(differences: readonly number[], seed: string): BootstrapOfMean | null {
  if (differences.length < 2) return null;
  const values = Float64Array.from(differences);
  const mean = meanOf(values);
  if (values.every((value) => value === values[0])) {
    const point = { low: mean, high: mean };
    return { percentile: () => point, bca: () => null, pValue: mean === 0 ? 1 : 1 / (RESAMPLES + 1) };
  }
  const drawn = resampledMeans(values, seed);
  // Sums in another order differ in their last bits, and equal distances must count.
  const far = drawn.reduce((count, one) => count + (Math.abs(one - mean) >= Math.abs(mean) - 1e-12 ? 1 : 0), 0);
  const sorted = drawn.toSorted();
  const between = (low: number, high: number): Interval => ({
    low: sortedQuantile(sorted, low),
    high: sortedQuantile(sorted, high),
  });
  const moved = bcaShift(values, sorted);
  return {
    percentile: (confidence) => between((1 - confidence) / 2, (1 + confidence) / 2),
    bca: (confidence) => {
      const [low, high] = [moved((1 - confidence) / 2), moved((1 + confidence) / 2)];
      return Number.isFinite(low) && Number.isFinite(high) ? between(low, high) : null;
    },
    pValue: (1 + far) / (RESAMPLES + 1),
  };
}

/** Efron 1987, JASA 82:171: percentiles are moved for bias and for how the spread changes with the mean. */
function bcaShift(values: Float64Array, sorted: Float64Array): (share: number) => number {
  const mean = meanOf(values);
  const twice = sorted.reduce((count, one) => count + (one < mean ? 2 : one === mean ? 1 : 0), 0);
  const bias = normalQuantile(twice / (2 * sorted.length));
  let [squares, cubes] = [0, 0];
  for (const value of values) {
    // What the mean would gain by leaving this item out, up to a factor that cancels.
    squares += (value - mean) ** 2;
    cubes += (value - mean) ** 3;
  }
  const acceleration = cubes / (6 * squares ** 1.5);
  return (share) => {
    const z = bias + normalQuantile(share);
    return normalCdf(bias + z / (1 - acceleration * z));
  };
}

/** The quantile of sorted values, between neighbours along a straight line. */
function sortedQuantile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const low = sorted[below] ?? Number.NaN;
  const high = sorted[Math.min(below + 1, sorted.length - 1)] ?? Number.NaN;
  return low + (place - below) * (high - low);
}
