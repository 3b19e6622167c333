// Special functions behind the intervals and tests. A fixture made with SciPy holds them to 1e-9.

const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
] as const;

/** The logarithm of the gamma function for x > 0, by Lanczos' approximation. */
export function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const [first, ...rest]: readonly number[] = LANCZOS;
  const sum = rest.reduce((total, factor, i) => total + factor / (x + i), first ?? 0);
  const t = x + 6.5;
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(sum);
}

const TINY = 1e-300;
const TERMS_MAX = 100_000;

/** The regularised incomplete beta function I_x(a, b) for 0 <= x <= 1, by Lentz' continued fraction. */
export function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  // The fraction converges fast on this side of the mean only.
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x)) / a;
  let [c, d] = [1, 1 / away(1 - ((a + b) * x) / (a + 1))];
  let fraction = d;
  for (let m = 1; m < TERMS_MAX; m += 1) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away(1 + even * d);
    c = away(1 + even / c);
    fraction *= c * d;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away(1 + odd * d);
    c = away(1 + odd / c);
    fraction *= c * d;
    if (Math.abs(c * d - 1) < 1e-16) break;
  }
  return front * fraction;
}

function away(value: number): number {
  return Math.abs(value) < TINY ? TINY : value;
}

/** P(Z <= z) of the standard normal distribution. */
export function normalCdf(z: number): number {
  const tail = 0.5 * upperGammaOfHalf((z * z) / 2);
  return z > 0 ? 1 - tail : tail;
}

/** The regularised upper incomplete gamma function Q(1/2, x), which is erfc of the root of x. */
function upperGammaOfHalf(x: number): number {
  if (x === 0) return 1;
  const front = Math.exp(-x + 0.5 * Math.log(x)) / Math.sqrt(Math.PI);
  if (x < 1.5) {
    let [term, sum] = [2, 2];
    for (let n = 1; Math.abs(term) > 1e-17 * sum; n += 1) {
      term *= x / (0.5 + n);
      sum += term;
    }
    return 1 - front * sum;
  }
  let b = x + 0.5;
  let [c, d] = [1 / TINY, 1 / b];
  let fraction = d;
  for (let i = 1; i < TERMS_MAX; i += 1) {
    const an = -i * (i - 0.5);
    b += 2;
    d = 1 / away(an * d + b);
    c = away(b + an / c);
    fraction *= c * d;
    if (Math.abs(c * d - 1) < 1e-16) break;
  }
  return front * fraction;
}

/** The z with P(Z <= z) = p of the standard normal distribution. */
export function normalQuantile(p: number): number {
  return p < 0.5 ? -upperQuantile(p, normalCdf) : upperQuantile(1 - p, normalCdf);
}

/** P(T <= t) of Student's t distribution; infinitely many degrees of freedom give the normal distribution. */
export function tCdf(t: number, df: number): number {
  if (df === Number.POSITIVE_INFINITY) return normalCdf(t);
  const tail = 0.5 * incompleteBeta(df / (df + t * t), df / 2, 0.5);
  return t > 0 ? 1 - tail : tail;
}

/** The t with P(T <= t) = p of Student's t distribution. */
export function tQuantile(p: number, df: number): number {
  const cdf = (t: number): number => tCdf(t, df);
  return p < 0.5 ? -upperQuantile(p, cdf) : upperQuantile(1 - p, cdf);
}

/** The x >= 0 of a symmetric distribution with P(X <= -x) = tail, by bisection: tails keep their digits, 1 - tail does not. */
function upperQuantile(tail: number, cdf: (x: number) => number): number {
  if (tail <= 0) return Number.POSITIVE_INFINITY;
  if (tail >= 0.5) return 0;
  let high = 1;
  while (cdf(-high) > tail && high < 1e12) high *= 2;
  return bisect([0, high], (x) => cdf(-x) <= tail);
}

/** The least x of a range from which on something holds, to the last bit that bisection can tell. */
export function bisect([from, to]: readonly [number, number], holds: (x: number) => boolean): number {
  let [low, high] = [from, to];
  for (let step = 0; step < 200; step += 1) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) break;
    if (holds(middle)) high = middle;
    else low = middle;
  }
  return (low + high) / 2;
}
