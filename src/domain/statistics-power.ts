import { bisect, logGamma, normalCdf, tQuantile } from "./statistics-distributions.js";

const POINTS = 800;

/** A part of the variance of a mean, with degrees of freedom of its own; infinitely many where it is taken for known. */
export interface VariancePart {
  readonly variance: number;
  readonly df: number;
}

/**
 * Power of the two-sided test that an interval makes when it excludes 0 (decision 19; twin of pods/assay_pods/common/stats_power.py).
 * The edge of rejection adds up the parts, each with its own quantile; the mean over its standard error follows a noncentral t of
 * Satterthwaite's degrees of freedom. One part gives the t-test, or with infinitely many degrees of freedom the z-test.
 */
export function powerOf(effect: number, parts: readonly VariancePart[], alpha: number): number {
  const variance = sumOf(parts, (part) => part.variance);
  const edge = Math.sqrt(sumOf(parts, (part) => squaredWidth(part, alpha)) / variance);
  const df = variance ** 2 / sumOf(parts, (part) => part.variance ** 2 / part.df);
  const shift = effect / Math.sqrt(variance);
  const kept = (scale: number): number => normalCdf(edge * scale - shift) - normalCdf(-edge * scale - shift);
  return 1 - (df === Number.POSITIVE_INFINITY ? kept(1) : averageOverScale(kept, df));
}

/** What a part adds to the square of half the width of an interval at confidence 1 - alpha. */
export function squaredWidth({ variance, df }: VariancePart, alpha: number): number {
  return variance > 0 ? variance * tQuantile(1 - alpha / 2, df) ** 2 : 0;
}

function sumOf(parts: readonly VariancePart[], of: (part: VariancePart) => number): number {
  return parts.reduce((sum, part) => sum + of(part), 0);
}

/**
 * The average of a function of s = sqrt(chi2(df)/df), the estimated over the true standard error. Over log s the integrand is smooth
 * and falls off at both ends, where the trapezoidal rule is exact to many digits.
 */
function averageOverScale(of: (scale: number) => number, df: number): number {
  const logFront = Math.log(2) + (df / 2) * Math.log(df / 2) - logGamma(df / 2);
  const low = -38 / df - 8 / Math.sqrt(df);
  const high = Math.log1p(10 / Math.sqrt(df));
  const step = (high - low) / POINTS;
  let sum = 0;
  for (let i = 0; i <= POINTS; i += 1) {
    const u = low + i * step;
    const density = Math.exp(logFront + df * u - (df * Math.exp(2 * u)) / 2);
    sum += (i === 0 || i === POINTS ? 0.5 : 1) * density * of(Math.exp(u));
  }
  return sum * step;
}

/** What a comparison could have shown. */
export interface Precision {
  readonly parts: readonly VariancePart[];
  readonly alpha: number;
  readonly power: number;
}

/** The smallest true difference that the test finds with the wanted power; 0 where nothing varies. */
export function minimumDetectableEffect({ parts, alpha, power }: Precision): number {
  const standardError = Math.sqrt(sumOf(parts, (part) => part.variance));
  if (standardError === 0) return 0;
  const reached = (shift: number): boolean => powerOf(shift * standardError, parts, alpha) >= power;
  let high = 1;
  while (!reached(high) && high < 1e6) high *= 2;
  return standardError * bisect([0, high], reached);
}
