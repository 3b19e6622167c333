import type { RankedDocument, Receipt } from "./receipts.js";

/** What a report says of distillation; `pods/assay_pods/retrieval` decides. */
export const distillationVerdicts = [
  "HELPED",
  "NOT_ATTRIBUTABLE",
  "NO_DIFFERENCE_SHOWN",
  "WORSE",
  "GATE_CLOSED",
  "NOT_TESTED",
] as const;
export type DistillationVerdict = (typeof distillationVerdicts)[number];

/** A document that one of two systems has among its first. */
export interface Move {
  readonly document: string;
  /** How relevant it was judged; null where nobody judged it. */
  readonly relevance: number | null;
  /** Places from 1; null where the system does not have it among its first. */
  readonly baselineRank: number | null;
  readonly candidateRank: number | null;
}

/** What two systems found for one query. */
export interface QueryDiff {
  readonly receipt: Receipt;
  readonly baselineNdcg: number;
  readonly candidateNdcg: number;
  readonly delta: number;
  readonly moves: readonly Move[];
}

/** What two systems found, over queries that both answered; the largest differences of nDCG@10 first. */
export function rankingDiffs(
  receipts: readonly Receipt[],
  { baseline, candidate }: { readonly baseline: string; readonly candidate: string },
): QueryDiff[] {
  const diffs = receipts.flatMap((receipt) => {
    const [mine, theirs] = [receipt.systems.get(baseline), receipt.systems.get(candidate)];
    if (mine === undefined || theirs === undefined) return [];
    const [baselineNdcg, candidateNdcg] = [mine.ndcg, theirs.ndcg];
    const moves = movesBetween(mine.top, theirs.top);
    return [{ receipt, baselineNdcg, candidateNdcg, delta: candidateNdcg - baselineNdcg, moves }];
  });
  return diffs.toSorted((a, b) => Math.abs(b.delta) - Math.abs(a.delta));
}

/** Documents by the better of their two places, the candidate's first where these are equal. */
function movesBetween(mine: readonly RankedDocument[], theirs: readonly RankedDocument[]): Move[] {
  const [before, after] = [ranksIn(mine), ranksIn(theirs)];
  const relevances = new Map([...mine, ...theirs].map(({ document, relevance }) => [document, relevance]));
  const best = ({ baselineRank, candidateRank }: Move): number =>
    Math.min(baselineRank ?? Number.POSITIVE_INFINITY, candidateRank ?? Number.POSITIVE_INFINITY);
  return [...relevances]
    .map(([document, relevance]) => ({
      document,
      relevance,
      baselineRank: before.get(document) ?? null,
      candidateRank: after.get(document) ?? null,
    }))
    .toSorted((a, b) => best(a) - best(b) || (a.candidateRank ?? 99) - (b.candidateRank ?? 99));
}

function ranksIn(top: readonly RankedDocument[]): ReadonlyMap<string, number> {
  return new Map(top.map(({ document }, i) => [document, i + 1]));
}

/** Relevant documents that stand only among the candidate's first, and only among the baseline's. */
export function relevantMoves(diffs: readonly QueryDiff[]): { readonly gained: number; readonly lost: number } {
  const relevant = diffs.flatMap(({ moves }) => moves).filter(({ relevance }) => relevance !== null && relevance > 0);
  const gained = relevant.filter(({ baselineRank }) => baselineRank === null).length;
  const lost = relevant.filter(({ candidateRank }) => candidateRank === null).length;
  return { gained, lost };
}
