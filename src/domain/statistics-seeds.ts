import { type Bounds, clipped, type Interval, meanOf, varianceOf } from "./statistics.js";
import { seededWords } from "./statistics-bootstrap.js";
import { squaredWidth, type VariancePart } from "./statistics-power.js";

// Twins of pods/assay_pods/common/stats_seeds.py: what is said about a method rather than about one checkpoint.

/** With fewer seeds no sign-flip test can reach .05: its smallest p-value is 2/2^S. */
export const MIN_SEEDS_FOR_TEST = 6;

const MAX_EXACT_SEEDS = 16;
const RANDOM_FLIPS = 20_000;

/** A mean over seeds with the parts of its variance, from which interval and power follow. */
export interface SeedMean {
  readonly centre: number;
  readonly parts: readonly VariancePart[];
}

/**
 * The mean over seeds (rows) that all share the same items (columns). Seeds and items are crossed, so
 * v = s2(seed means)/S + s2(item means)/n - s2(residual)/(S n), at least the larger of its first two terms. The interval has a part
 * for the seeds and one for the items (decision 19). With bounds, the item term
 * is that of items and pseudo-items. Null for fewer than two items.
 */
export function twoWay(rows: readonly (readonly number[])[], bounds: Bounds | null): SeedMean | null {
  const [seeds, n] = [rows.length, rows[0]?.length ?? 0];
  if (seeds < 2) throw new RangeError(`wanted two seeds or more, but got ${seeds}`);
  if (n < 2) return null;
  const seedMeans = rows.map((row) => meanOf(row));
  const itemMeans = Array.from({ length: n }, (_, i) => meanOf(rows.map((row) => row[i] ?? 0)));
  const mean = meanOf(seedMeans);
  let squares = 0;
  rows.forEach((row, s) => {
    row.forEach((value, i) => {
      squares += (value - (seedMeans[s] ?? 0) - (itemMeans[i] ?? 0) + mean) ** 2;
    });
  });
  const vSeed = varianceOf(seedMeans, 1) / seeds;
  const vResidual = squares / ((seeds - 1) * (n - 1)) / (seeds * n);
  const padded = bounds === null ? itemMeans : [...itemMeans, ...bounds.pseudo];
  const vItem = varianceOf(padded, bounds === null ? 1 : 0) / padded.length;
  const ofSeeds = Math.max(vSeed - vResidual, 0);
  return {
    centre: bounds === null ? mean : meanOf(padded),
    parts: [
      { variance: ofSeeds, df: seeds - 1 },
      { variance: ofSeeds > 0 ? vItem : Math.max(vItem, vSeed), df: n - 1 },
    ],
  };
}

/** The mean over seeds whose items differ: the items' share is then part of the seeds' spread. Null where a seed has no items. */
export function nested(perSeed: readonly (readonly number[])[], bounds: Bounds | null): SeedMean | null {
  const seeds = perSeed.length;
  if (seeds < 2) throw new RangeError(`wanted two seeds or more, but got ${seeds}`);
  if (perSeed.some((values) => values.length === 0)) return null;
  const means = perSeed.map((values) => meanOf(values));
  const vSeed = varianceOf(means, 1) / seeds;
  if (bounds !== null) {
    const padded = [...perSeed.flat(), ...bounds.pseudo];
    const floor = varianceOf(padded, 0) / padded.length;
    if (floor > vSeed) return ofOnePart(meanOf(padded), floor, padded.length - 1);
  }
  return ofOnePart(meanOf(means), vSeed, seeds - 1);
}

function ofOnePart(centre: number, variance: number, df: number): SeedMean {
  return { centre, parts: [{ variance, df }] };
}

/** The t-interval of a mean over seeds. */
export function seedInterval({ centre, parts }: SeedMean, confidence: number, bounds: Bounds | null): Interval {
  const square = parts.reduce((sum, part) => sum + squaredWidth(part, 1 - confidence), 0);
  return clipped(centre, Math.sqrt(square), bounds);
}

/** The joint sign-flip test of a family of contrasts. */
export interface SignFlip {
  /** One p-value a contrast, adjusted for the family; null for fewer than six seeds. */
  readonly adjusted: readonly number[] | null;
  /** The smallest that could have come out. */
  readonly smallest: number;
}

/**
 * Tests every contrast of a family (rows) over the seeds (columns) that they share. A seed's sign is flipped in all contrasts at
 * once; each |mean| is divided by sqrt(q/2 + q_bar/2), q its mean square over seeds and q_bar the mean of q over the family, and
 * compared with the largest in the family (Westfall and Young 1993). Exact up to 16 seeds, over 20,000 random flips beyond.
 */
export function jointSignFlip(contrasts: readonly (readonly number[])[]): SignFlip {
  const seeds = contrasts[0]?.length ?? 0;
  const smallest = Math.min(1, 2 / 2 ** seeds);
  if (seeds < MIN_SEEDS_FOR_TEST) return { adjusted: null, smallest };
  const squares = contrasts.map((row) => meanOf(row.map((value) => value ** 2)));
  const overall = meanOf(squares);
  const scales = squares.map((q) => Math.sqrt(0.5 * q + 0.5 * overall));
  if (!scales.some((scale) => scale > 0)) return { adjusted: contrasts.map(() => 1), smallest };
  const scaled = contrasts.map((row, c) => row.map((value) => value / (scales[c] || 1)));
  const observed = scaled.map((row) => Math.abs(meanOf(row)));
  const reached = contrasts.map(() => 0);
  let flips = 0;
  for (const signs of signsOf(seeds)) {
    flips += 1;
    let largest = 0;
    for (const row of scaled) largest = Math.max(largest, Math.abs(flippedMean(row, signs)));
    // Flips that equal the observed signs give the same sum up to rounding and must count.
    observed.forEach((mean, c) => {
      if (largest >= mean - 1e-12) reached[c] = (reached[c] ?? 0) + 1;
    });
  }
  return { adjusted: reached.map((count) => count / flips), smallest: Math.max(smallest, 1 / flips) };
}

/** A bit a seed: all patterns, or the one that flips nothing and random ones. */
function* signsOf(seeds: number): Generator<(seed: number) => boolean, void, undefined> {
  if (seeds <= MAX_EXACT_SEEDS) {
    for (let pattern = 0; pattern < 2 ** seeds; pattern += 1) yield (seed) => ((pattern >>> seed) & 1) === 1;
    return;
  }
  yield () => false;
  const next = seededWords(`sign flips of ${seeds} seeds`);
  for (let flip = 0; flip < RANDOM_FLIPS; flip += 1) {
    const pattern = Array.from({ length: seeds }, () => next() >= 2 ** 31);
    yield (seed) => pattern[seed] === true;
  }
}

function flippedMean(row: readonly number[], flipped: (seed: number) => boolean): number {
  return row.reduce((sum, value, seed) => sum + (flipped(seed) ? -value : value), 0) / row.length;
}
