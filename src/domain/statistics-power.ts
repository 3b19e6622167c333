import { bisect, logGamma, normalCdf, tQuantile } from "./statistics-distributions.js";

const POINTS = 800;

/**
 * Power of a two-sided t-test: how often it rejects where the mean lies `effect` standard errors from 0. Infinitely many degrees
 * of freedom give the z-test.
 */
export function powerOfT(effect: number, df: number, alpha: number): number {
  const critical = tQuantile(1 - alpha / 2, df);
  const kept = (scale: number): number => normalCdf(critical * scale - effect) - normalCdf(-critical * scale - effect);
  return 1 - (df === Number.POSITIVE_INFINITY ? kept(1) : averageOverScale(kept, df));
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
  readonly standardError: number;
  readonly df: number;
  readonly alpha: number;
  readonly power: number;
}

/** The smallest true difference that a two-sided test finds with the wanted power. */
export function minimumDetectableEffect({ standardError, df, alpha, power }: Precision): number {
  let high = 1;
  while (powerOfT(high, df, alpha) < power && high < 1e6) high *= 2;
  return standardError * bisect([0, high], (effect) => powerOfT(effect, df, alpha) >= power);
}
