import { verdicts } from "../../domain/comparison.js";
import type { Json } from "../../domain/digest.js";
import { distillationVerdicts } from "../../domain/leaderboard.js";
import { type RetrievalRow, retrievalSystems, systemKey } from "../../domain/retrieval-systems.js";
import { entriesOf, fieldOf, itemsOf, numberOf, oneOf, textOf } from "../run/json.js";
import type { MetricEstimateType } from "../run/run.type.js";
import { estimateIn } from "../surface/read-estimates.js";
import type {
  BreakEvenType,
  LatencyPercentilesType,
  MissingSystemType,
  QueryLatencyType,
  RecoveredGainType,
  RetrievalGateType,
  RetrievalLeaderboardType,
  RetrievalSystemScoreType,
  RetrievalTestType,
} from "./leaderboard.type.js";

/** The report's schema that is read here. */
export const RETRIEVAL_REPORT_SCHEMA = "assay.retrieval.report/1";

/** A report of another version says so; one of ours is read. */
export type ReadLeaderboard = { readonly schema: string } | { readonly leaderboard: RetrievalLeaderboardType };

/** Reads a report; a text says what is wrong with it. */
export function readLeaderboard(document: Json): ReadLeaderboard | string {
  const schema = textOf(fieldOf(document, "schema"));
  if (schema === null) return "wanted a report with its schema";
  if (schema !== RETRIEVAL_REPORT_SCHEMA) return { schema };
  const verdict = oneOf(fieldOf(document, "verdict"), distillationVerdicts);
  if (verdict === null) return "wanted a verdict that is known";
  const level = numberOf(fieldOf(fieldOf(document, "statistics"), "confidence")) ?? 0.95;
  // Times differ between equal runs, and stand apart.
  const latencies = fieldOf(fieldOf(document, "seconds"), "latencyMs");
  const rows = listIn(document, "leaderboard").map((row) => scoreOf(row, { level, latencies }));
  const tests = listIn(document, "tests").map((test) => testOf(test, level));
  if (rows.includes(null)) return `wanted row ${rows.indexOf(null)} of the leaderboard with a system that is known`;
  if (tests.includes(null)) return `wanted test ${tests.indexOf(null)} of two known systems, with a known verdict`;
  const counts = fieldOf(document, "queries");
  return {
    leaderboard: {
      verdict,
      reason: textOf(fieldOf(document, "reason")) ?? "",
      summary: textsIn(document, "summary"),
      queryCount: countIn(counts, "tested"),
      queriesWithoutRelevant: countIn(counts, "withoutRelevant"),
      rows: rows.filter((row) => row !== null),
      tests: tests.filter((test) => test !== null),
      gate: listIn(document, "gate").map(gateOf),
      recoveredGain: recoveredOf(fieldOf(document, "recoveredGain")),
      breakEven: breakEvenOf(fieldOf(document, "breakEven")),
      missing: listIn(document, "missing").flatMap((row) => missingOf(row) ?? []),
      notShown: textsIn(document, "notShown"),
      caveats: textsIn(document, "caveats"),
    },
  };
}

function rowOf(found: Json, [system, alpha]: readonly [string, string]): RetrievalRow | null {
  const named = oneOf(fieldOf(found, system), retrievalSystems);
  return named === null ? null : { system: named, alpha: numberOf(fieldOf(found, alpha)) };
}

interface ScoreContext {
  readonly level: number;
  /** By the keys of systems. */
  readonly latencies: Json | undefined;
}

function scoreOf(found: Json, { level, latencies }: ScoreContext): RetrievalSystemScoreType | null {
  const row = rowOf(found, ["system", "alpha"]);
  if (row === null) return null;
  const metric = (name: string): MetricEstimateType | null =>
    estimateIn(fieldOf(fieldOf(found, "metrics"), name), name, level);
  const tokens = fieldOf(found, "tokensPerThousand");
  return {
    ...row,
    seeds: listIn(found, "seeds").flatMap((seed) => numberOf(seed) ?? []),
    ndcgAt10: metric("ndcg@10"),
    rrAt10: metric("rr@10"),
    recallAt100: metric("recall@100"),
    averagePrecision: metric("ap"),
    judgedAt10: metric("judged@10"),
    seedDeviation: numberOf(fieldOf(found, "seedSd")),
    againstBase: againstBaseOf(fieldOf(found, "againstBase"), level),
    groups: entriesOf(fieldOf(found, "groups")).map(([group, figures]) => ({
      group,
      ndcgAt10: estimateIn(fieldOf(figures, "ndcg@10"), "ndcg@10", level),
      delta: estimateIn(fieldOf(figures, "delta"), "delta", level),
    })),
    latency: latencyOf(fieldOf(latencies, systemKey(row))),
    promptTokensPerThousand: numberOf(fieldOf(tokens, "prompt")),
    completionTokensPerThousand: numberOf(fieldOf(tokens, "completion")),
    pricePerThousand: numberOf(fieldOf(found, "pricePerThousand")),
  };
}

function againstBaseOf(found: Json | undefined, level: number): RetrievalSystemScoreType["againstBase"] {
  return isNothing(found) ? null : { delta: estimateIn(fieldOf(found, "delta"), "delta", level), ...outcomesIn(found) };
}

function outcomesIn(found: Json | undefined): { wins: number; ties: number; losses: number } {
  return { wins: countIn(found, "wins"), ties: countIn(found, "ties"), losses: countIn(found, "losses") };
}

function testOf(found: Json, level: number): RetrievalTestType | null {
  const candidate = rowOf(found, ["system", "alpha"]);
  const baseline = rowOf(found, ["against", "againstAlpha"]);
  const verdict = oneOf(fieldOf(found, "verdict"), verdicts);
  if (candidate === null || baseline === null || verdict === null) return null;
  return {
    candidate,
    baseline,
    verdict,
    delta: estimateIn(fieldOf(found, "delta"), "delta", level),
    pValue: numberOf(fieldOf(found, "p")),
    adjustedPValue: numberOf(fieldOf(found, "adjustedP")),
    pairedTPValue: numberOf(fieldOf(found, "tP")),
    ...outcomesIn(found),
    minimumDetectableEffect: numberOf(fieldOf(found, "minimumDetectableEffect")),
    underpowered: fieldOf(found, "underpowered") === true,
    reason: textOf(fieldOf(found, "reason")) ?? "",
  };
}

function gateOf(found: Json): RetrievalGateType {
  const [delta, low, high] = ["delta", "low", "high"].map((name) => numberOf(fieldOf(found, name)));
  return {
    fold: countIn(found, "fold"),
    open: fieldOf(found, "open") === true,
    delta: delta ?? null,
    low: low ?? null,
    high: high ?? null,
    queries: countIn(found, "queries"),
  };
}

function recoveredOf(found: Json | undefined): RecoveredGainType | null {
  if (isNothing(found)) return null;
  const [value, low, high] = ["value", "low", "high"].map((name) => numberOf(fieldOf(found, name)));
  return { value: value ?? null, low: low ?? null, high: high ?? null, reason: textOf(fieldOf(found, "reason")) };
}

function breakEvenOf(found: Json | undefined): BreakEvenType | null {
  if (isNothing(found)) return null;
  return { queries: numberOf(fieldOf(found, "queries")), reason: textOf(fieldOf(found, "reason")) ?? "" };
}

function missingOf(found: Json): MissingSystemType | null {
  const row = rowOf(found, ["system", "alpha"]);
  const [seed, reason] = [numberOf(fieldOf(found, "seed")), textOf(fieldOf(found, "reason")) ?? ""];
  return row === null ? null : { ...row, fold: countIn(found, "fold"), seed, reason };
}

function latencyOf(found: Json | undefined): QueryLatencyType | null {
  if (isNothing(found)) return null;
  const part = (name: string): LatencyPercentilesType | null => {
    const [p50, p95] = ["p50", "p95"].map((share) => numberOf(fieldOf(fieldOf(found, name), share)));
    return p50 == null || p95 == null ? null : { p50, p95 };
  };
  return { encoder: part("encoder"), search: part("search"), total: part("total") };
}

function isNothing(found: Json | undefined): boolean {
  return found === undefined || found === null;
}

/** A count; GraphQL knows no integers beyond 32 bits, and none of ours comes near. */
function countIn(found: Json | undefined, name: string): number {
  return Math.trunc(numberOf(fieldOf(found, name)) ?? 0);
}

function listIn(value: Json, name: string): readonly Json[] {
  return itemsOf(fieldOf(value, name));
}

function textsIn(value: Json, name: string): string[] {
  return listIn(value, name).flatMap((text) => textOf(text) ?? []);
}
