import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  type Bounds,
  boundedMean,
  boundsOf,
  holm,
  type Interval,
  mcnemarExact,
  wilson,
} from "../src/domain/statistics.js";
import { bootstrapMean } from "../src/domain/statistics-bootstrap.js";
import { incompleteBeta, normalCdf, normalQuantile, tCdf, tQuantile } from "../src/domain/statistics-distributions.js";
import { minimumDetectableEffect, powerOf } from "../src/domain/statistics-power.js";
import { jointSignFlip, nested, seedInterval, twoWay } from "../src/domain/statistics-seeds.js";
import { projectFolder } from "../src/embedded/project.js";

const fixture: Fixture = JSON.parse(
  readFileSync(join(projectFolder(), "test/support/statistics-fixture.json"), "utf8"),
);

const bounds: Readonly<Record<string, Bounds | null>> = { ...boundsOf, none: null };

describe("statistics agree with SciPy and statsmodels to 1e-9 in", () => {
  const { distributions } = fixture;
  it("the normal and t distributions, their quantiles and the incomplete beta function", () => {
    for (const { z, p } of distributions.normalCdf) near(normalCdf(z), p, `P(Z <= ${z})`);
    for (const { z, p } of distributions.normalQuantile) near(normalQuantile(p), z, `z of ${p}`);
    for (const { t, df, p } of distributions.tCdf) near(tCdf(t, df), p, `P(T <= ${t}), df ${df}`);
    for (const { t, df, p } of distributions.tQuantile) near(tQuantile(p, df), t, `t of ${p}, df ${df}`);
    for (const { x, a, b, p } of distributions.incompleteBeta) near(incompleteBeta(x, a, b), p, `I_${x}(${a}, ${b})`);
  });

  it("Wilson's interval", () => {
    for (const one of fixture.wilson) nearInterval(wilson(one.successes, one.n, one.confidence), one);
  });

  it("the exact McNemar test", () => {
    for (const { first, second, expected } of fixture.mcnemar) {
      const { pValue, ...counts } = mcnemarExact(first, second);
      assert.deepEqual({ ...counts, pValue: expected.pValue }, expected);
      near(pValue ?? -1, expected.pValue ?? -1, "p");
    }
  });

  it("Holm's adjustment", () => {
    for (const { pValues, adjusted } of fixture.holm) nearAll(holm(pValues), adjusted);
  });

  it("adjusted Wald intervals of paired differences", () => {
    for (const one of fixture.boundedMean)
      nearInterval(boundedMean(one.values, required(bounds[one.bounds]), one.confidence), one);
  });

  it("the pair bootstrap, percentile and BCa, over the same draws", () => {
    for (const { values, seed, confidence, percentile, bca, pValue } of fixture.bootstrap) {
      const found = required(bootstrapMean(values, seed));
      nearInterval(found.percentile(confidence), percentile);
      nearInterval(found.bca(confidence), bca);
      near(found.pValue, pValue, "p");
    }
  });

  it("t-intervals over seeds and items, crossed and nested", () => {
    for (const [of, cases] of [
      [twoWay, fixture.twoWay],
      [nested, fixture.nested],
    ] as const)
      for (const one of cases) {
        const limits = bounds[one.bounds] ?? null;
        nearInterval(seedInterval(required(of(one.rows, limits)), one.confidence, limits), one);
      }
  });

  it("the joint sign-flip test with the largest of its family", () => {
    for (const { contrasts, adjusted, smallest } of fixture.signFlip) {
      const found = jointSignFlip(contrasts);
      near(found.smallest, smallest, "smallest p");
      if (adjusted === null) assert.equal(found.adjusted, null);
      else nearAll(required(found.adjusted), adjusted);
    }
  });

  it("power, and the effect that is found with a wanted power", () => {
    for (const { effect, df, power } of fixture.power)
      near(powerOf(effect, [{ variance: 1, df }], 0.05), power, `power at ${effect}, df ${df}`);
    for (const { seeds, effect } of fixture.detectable) {
      const precision = { parts: [{ variance: 1 / seeds, df: seeds - 1 }], alpha: 0.05, power: 0.8 };
      // statsmodels' own solver stops at about 1e-8.
      near(minimumDetectableEffect(precision), effect, `effect at ${seeds} seeds`, 1e-6);
    }
  });

  it("power over seeds and items, each with a quantile of its own, and not with one quantile for both", () => {
    for (const one of fixture.design) {
      const parts = [
        { variance: one.seedSd ** 2 / one.seeds, df: one.seeds - 1 },
        { variance: one.itemSd ** 2 / one.items, df: one.items - 1 },
      ];
      near(powerOf(one.effect, parts, 0.05), one.power, `power at ${one.effect}`);
      near(minimumDetectableEffect({ parts, alpha: 0.05, power: 0.8 }), one.detectable, "detectable effect");
    }
    const [one] = fixture.design;
    assert.ok(one !== undefined);
    const [seeds, items] = [one.seedSd ** 2 / one.seeds, one.itemSd ** 2 / one.items];
    const df = (seeds + items) ** 2 / (seeds ** 2 / (one.seeds - 1) + items ** 2 / (one.items - 1));
    assert.throws(() => near(powerOf(one.effect, [{ variance: seeds + items, df }], 0.05), one.power, "one quantile"));
  });
});

describe("the comparison with the fixture", () => {
  for (const [name, wrong] of [
    [
      "Wald in place of Wilson",
      (k: number, n: number): number => k / n - 1.96 * Math.sqrt(((k / n) * (1 - k / n)) / n),
    ],
    ["a rounded z", (k: number, n: number): number => wilsonWith(1.96, k, n)],
  ] as const) {
    it(`finds ${name}`, () => {
      const [one] = fixture.wilson;
      assert.ok(one !== undefined);
      near(wilsonWith(normalQuantile(0.975), one.successes, one.n), one.low, "low");
      assert.throws(() => near(wrong(one.successes, one.n), one.low, "low"), assert.AssertionError);
    });
  }

  it("finds an uncrossed interval in place of the crossed one", () => {
    const one = required(fixture.twoWay.find((known) => known.bounds === "none"));
    assert.throws(
      () => nearInterval(seedInterval(required(nested(one.rows, null)), one.confidence, null), one),
      assert.AssertionError,
    );
  });
});

describe("for any scores", () => {
  const score = fc.constantFrom(0, 0.5, 1);
  const pairs = fc.array(fc.tuple(score, score), { minLength: 1, maxLength: 80 });

  it("McNemar's test does not care which side is first", () => {
    fc.assert(
      fc.property(pairs, (rows) => {
        const [a, b] = [rows.map(([one]) => one), rows.map(([, two]) => two)];
        assert.equal(mcnemarExact(a, b).pValue, mcnemarExact(b, a).pValue);
      }),
    );
  });

  it("the adjusted Wald interval turns round when the sides are swapped", () => {
    fc.assert(
      fc.property(pairs, (rows) => {
        const there = required(
          boundedMean(
            rows.map(([a, b]) => a - b),
            boundsOf.difference,
            0.95,
          ),
        );
        const back = required(
          boundedMean(
            rows.map(([a, b]) => b - a),
            boundsOf.difference,
            0.95,
          ),
        );
        near(there.low, -back.high, "low");
        near(there.high, -back.low, "high");
        assert.ok(there.high > there.low, "items that all agree keep an honest width");
      }),
    );
  });

  it("Holm never lowers a p-value and keeps their order", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 30 }), (family) => {
        const adjusted = holm(family);
        family.forEach((p, i) => {
          assert.ok((adjusted[i] ?? 0) >= p);
          family.forEach((q, j) => {
            if (p < q) assert.ok((adjusted[i] ?? 0) <= (adjusted[j] ?? 0));
          });
        });
      }),
    );
  });

  it("quantiles turn the distribution functions round", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e-6, max: 1 - 1e-6, noNaN: true }),
        fc.double({ min: 1, max: 500, noNaN: true }),
        (p, df) => {
          near(tCdf(tQuantile(p, df), df), p, "t");
          near(normalCdf(normalQuantile(p)), p, "normal");
        },
      ),
    );
  });
});

function wilsonWith(z: number, k: number, n: number): number {
  const share = k / n;
  const half = z * Math.sqrt((share * (1 - share)) / n + (z * z) / (4 * n * n));
  return (share + (z * z) / (2 * n) - half) / (1 + (z * z) / n);
}

function near(got: number, wanted: number, what: string, tolerance = 1e-9): void {
  assert.ok(
    Math.abs(got - wanted) <= tolerance * Math.max(1, Math.abs(wanted)),
    `${what}: wanted ${wanted}, but got ${got}`,
  );
}

function nearAll(got: readonly number[], wanted: readonly number[]): void {
  assert.equal(got.length, wanted.length);
  wanted.forEach((value, i) => {
    near(got[i] ?? Number.NaN, value, `value ${i}`);
  });
}

function nearInterval(got: Interval | null, { low, high }: Interval): void {
  near(got?.low ?? Number.NaN, low, "low");
  near(got?.high ?? Number.NaN, high, "high");
}

function required<T>(value: T | null | undefined): T {
  assert.ok(value !== null && value !== undefined);
  return value;
}

interface Fixture {
  readonly distributions: {
    readonly normalCdf: readonly { readonly z: number; readonly p: number }[];
    readonly normalQuantile: readonly { readonly z: number; readonly p: number }[];
    readonly tCdf: readonly { readonly t: number; readonly df: number; readonly p: number }[];
    readonly tQuantile: readonly { readonly t: number; readonly df: number; readonly p: number }[];
    readonly incompleteBeta: readonly {
      readonly x: number;
      readonly a: number;
      readonly b: number;
      readonly p: number;
    }[];
  };
  readonly wilson: readonly (Interval & {
    readonly successes: number;
    readonly n: number;
    readonly confidence: number;
  })[];
  readonly mcnemar: readonly {
    readonly first: readonly number[];
    readonly second: readonly number[];
    readonly expected: ReturnType<typeof mcnemarExact>;
  }[];
  readonly holm: readonly { readonly pValues: readonly number[]; readonly adjusted: readonly number[] }[];
  readonly boundedMean: readonly (Interval & Bounded & { readonly values: readonly number[] })[];
  readonly bootstrap: readonly {
    readonly values: readonly number[];
    readonly seed: string;
    readonly confidence: number;
    readonly percentile: Interval;
    readonly bca: Interval;
    readonly pValue: number;
  }[];
  readonly twoWay: readonly SeedCase[];
  readonly nested: readonly SeedCase[];
  readonly signFlip: readonly {
    readonly contrasts: readonly (readonly number[])[];
    readonly adjusted: readonly number[] | null;
    readonly smallest: number;
  }[];
  readonly power: readonly { readonly effect: number; readonly df: number; readonly power: number }[];
  readonly detectable: readonly { readonly seeds: number; readonly effect: number }[];
  readonly design: readonly {
    readonly seeds: number;
    readonly items: number;
    readonly seedSd: number;
    readonly itemSd: number;
    readonly effect: number;
    readonly power: number;
    readonly detectable: number;
  }[];
}

interface Bounded {
  readonly bounds: string;
  readonly confidence: number;
}

type SeedCase = Interval & Bounded & { readonly rows: readonly (readonly number[])[] };
