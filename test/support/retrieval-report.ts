/** A small report and its receipts, as `docs/contract.md` has them: what the API is held to whoever writes them. */

/** An estimate over four queries. */
export function estimate(value: number, seeds = 1): object {
  return { value, low: value - 0.1, high: value + 0.1, n: 4, seeds, interval: "percentile" };
}

function row(system: string, ndcg: number, more: object = {}): object {
  const metrics = { "ndcg@10": estimate(ndcg), "rr@10": estimate(0.5), "recall@100": null };
  const none = { alpha: null, seeds: [], seedSd: null, groups: {}, pricePerThousand: null };
  return { system, ...none, metrics, againstBase: difference(ndcg - 0.4), tokensPerThousand: null, ...more };
}

function difference(delta: number): object {
  return { delta: estimate(delta), wins: 2, ties: 1, losses: 1 };
}

const trained = { alpha: 1, seeds: [101, 102, 103], seedSd: 0.01 };

/** The report as a document. */
export const retrievalReport = {
  schema: "assay.retrieval.report/1",
  name: "planted",
  summary: ["Distillation helped on these queries.", "It keeps 80 % of the gain."],
  verdict: "HELPED",
  reason: "SoftQE is above base, contrastive and shuffled.",
  statistics: { confidence: 0.95, practicalThreshold: 0.028 },
  queries: { tested: 4, withoutRelevant: 1, judgedDocumentsMissing: 0 },
  gate: [{ fold: 0, open: true, delta: 0.5, low: 0.4, high: 0.6, queries: 20 }],
  leaderboard: [
    row("BASE_EXPANDED", 0.9, {
      tokensPerThousand: { prompt: 70000, completion: 60000 },
      pricePerThousand: 0.12,
    }),
    row("SOFTQE", 0.8, { ...trained, groups: { seen: { "ndcg@10": estimate(0.9, 3), delta: estimate(0.5, 3) } } }),
    row("SOFTQE_MIXED", 0.7, { ...trained, alpha: 0.5 }),
    row("BASE", 0.4, { againstBase: null }),
  ],
  tests: [
    {
      system: "SOFTQE",
      alpha: 1,
      against: "BASE",
      againstAlpha: null,
      ...difference(0.4),
      p: 0.001,
      adjustedP: 0.003,
      tP: 0.002,
      minimumDetectableEffect: 0.05,
      underpowered: true,
      verdict: "BETTER",
      reason: "Its interval lies above 0.",
    },
  ],
  seconds: {
    latencyMs: {
      BASE_EXPANDED: { encoder: { p50: 9, p95: 12 }, search: { p50: 1, p95: 2 }, total: { p50: 10, p95: 14 } },
    },
  },
  recoveredGain: { value: 0.8, low: 0.6, high: 1.1, reason: null },
  breakEven: { queries: 12000, reason: "at the declared prices", oneOff: { promptTokens: 1, completionTokens: 1 } },
  missing: [{ system: "SHUFFLED", alpha: 1, fold: 0, seed: 103, reason: "FAILED: OUT_OF_MEMORY" }],
  notShown: ["That it helps on other collections."],
  caveats: ["Planted data."],
};

interface Found {
  readonly ndcg: number;
  /** Documents in order; a relevant one ends with a plus. */
  readonly top: readonly string[];
}

/** One line of `queries.jsonl`. */
export function receipt(query: string, group: string, found: Readonly<Record<string, Found>>): Record<string, unknown> {
  const base = found["BASE"]?.ndcg ?? 0;
  const entries = Object.entries(found);
  const figures = (ndcg: number): object => ({
    "ndcg@10": ndcg,
    "rr@10": 0.5,
    "recall@100": 1,
    ap: 0.5,
    "judged@10": 1,
  });
  return {
    query,
    text: `what is ${query}`,
    group,
    expansion: `about ${query}`,
    systems: Object.fromEntries(entries.map(([key, { ndcg }]) => [key, { ...figures(ndcg), seeds: 3 }])),
    delta: Object.fromEntries(entries.filter(([key]) => key !== "BASE").map(([key, { ndcg }]) => [key, ndcg - base])),
    lost: (found["SOFTQE"]?.ndcg ?? 0) < base,
    seconds: { latencySavedMs: 4.5 },
    top: Object.fromEntries(entries.map(([key, { top }]) => [key, top.map(ranked)])),
  };
}

function ranked(name: string, place: number): object {
  const relevance = name.endsWith("+") ? 1 : name.endsWith("-") ? 0 : null;
  return { document: name.replace(/[+-]$/, ""), score: 1 - place / 10, relevance };
}

/** Four receipts: two won, one lost, one tied by SOFTQE against BASE. */
export const retrievalReceipts = [
  receipt("q1", "seen", {
    BASE: { ndcg: 0, top: ["a", "b-"] },
    SOFTQE: { ndcg: 1, top: ["c+", "a"] },
    "SOFTQE_MIXED@0.5": { ndcg: 0.5, top: ["a", "c+"] },
  }),
  receipt("q2", "seen", {
    BASE: { ndcg: 0.5, top: ["a", "d+"] },
    SOFTQE: { ndcg: 0.75, top: ["d+", "a"] },
    "SOFTQE_MIXED@0.5": { ndcg: 0.5, top: ["a", "d+"] },
  }),
  receipt("q3", "unseen", {
    BASE: { ndcg: 1, top: ["e+"] },
    SOFTQE: { ndcg: 0.5, top: ["f"] },
    "SOFTQE_MIXED@0.5": { ndcg: 1, top: ["e+"] },
  }),
  receipt("q4", "unseen", {
    BASE: { ndcg: 0.25, top: ["g"] },
    SOFTQE: { ndcg: 0.25, top: ["g"] },
    "SOFTQE_MIXED@0.5": { ndcg: 0.25, top: ["g"] },
  }),
];
