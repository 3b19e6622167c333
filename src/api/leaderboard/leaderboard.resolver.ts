import { Arg, Args, Ctx, FieldResolver, Resolver, Root } from "type-graphql";
import type { ArtifactStore } from "../../artifacts/store.js";
import type { Experiment } from "../../domain/experiment.js";
import { type QueryDiff, rankingDiffs, relevantMoves } from "../../domain/leaderboard.js";
import { type Receipt, readReceipt } from "../../domain/receipts.js";
import { type RetrievalRow, rowOfKey, systemKey } from "../../domain/retrieval-systems.js";
import { AssayError, invalidInput } from "../../errors.js";
import { type Connection, connectionOf, numberCursor, PageArgs, pageOf, sliceByNumber } from "../connection.js";
import type { Context } from "../context.js";
import { RetrievalExperimentType } from "../experiment/experiment.type.js";
import { DigestCache, jsonDocumentOf, jsonLinesOf } from "../item/digest-cache.js";
import type { Reads } from "../reads.js";
import { RetrievalLeaderboardType } from "./leaderboard.type.js";
import { RETRIEVAL_REPORT_SCHEMA, type ReadLeaderboard, readLeaderboard } from "./read-leaderboard.js";
import {
  QueryDiffConnection,
  type QueryDiffType,
  QueryReceiptConnection,
  QueryReceiptFilter,
  type QueryReceiptType,
  RankingDiffType,
  RetrievalRowInput,
} from "./receipt.type.js";

const REPORTS_BYTES_MAX = 64 * 2 ** 20;
const RECEIPTS_BYTES_MAX = 128 * 2 ** 20;

const baselineArgument = { description: "The row that is held against." } as const;
const candidateArgument = { description: "The row that is held against it." } as const;
const queryArgument = { nullable: true, description: "Only the query with this id." } as const;

/** The report of a retrieval experiment: its figures, and its receipts query by query. */
@Resolver(() => RetrievalExperimentType)
export class LeaderboardResolver {
  readonly #reports: DigestCache<ReadLeaderboard>;
  readonly #receipts: DigestCache<readonly Receipt[]>;

  constructor(artifacts: ArtifactStore) {
    this.#reports = new DigestCache(artifacts, jsonDocumentOf(readLeaderboard), REPORTS_BYTES_MAX);
    this.#receipts = new DigestCache(artifacts, jsonLinesOf(readReceipt), RECEIPTS_BYTES_MAX);
  }

  @FieldResolver(() => RetrievalLeaderboardType, {
    nullable: true,
    description: "The figures of its report; null until there is one.",
  })
  async leaderboard(
    @Root() experiment: Experiment,
    @Ctx() { reads }: Context,
  ): Promise<RetrievalLeaderboardType | null> {
    const file = await reads.report(experiment.id);
    if (file === null) return null;
    const read = await this.#reports.get(file.sha256);
    if ("leaderboard" in read) return read.leaderboard;
    const message = `wanted a report of ${RETRIEVAL_REPORT_SCHEMA}, but this one is of ${read.schema}`;
    const detail = { supported: [RETRIEVAL_REPORT_SCHEMA] };
    throw new AssayError("UNSUPPORTED_COMBINATION", message, { path: ["leaderboard"], detail });
  }

  @FieldResolver(() => QueryReceiptConnection, {
    description: "What every system made of each test query, by query id; empty until there is a report.",
  })
  async queries(
    @Root() experiment: Experiment,
    @Arg("filter", () => QueryReceiptFilter, { nullable: true, description: "Which of them." })
    filter: QueryReceiptFilter | null,
    @Args(() => PageArgs) args: PageArgs,
    @Ctx() { reads }: Context,
  ): Promise<Connection<QueryReceiptType>> {
    const page = pageOf(args, numberCursor);
    const { lost, group, query } = filter ?? {};
    const kept = (await this.#receiptsOf(experiment, reads)).filter(
      (receipt) =>
        (lost == null || receipt.lost === lost) &&
        (group == null || receipt.group === group) &&
        (query == null || receipt.query === query),
    );
    const cut = sliceByNumber(kept, page, ({ index }) => index);
    const { edges, pageInfo } = connectionOf(cut, numberCursor, ({ index }) => index);
    return { edges: edges.map(({ node, cursor }) => ({ node: publishedReceipt(node), cursor })), pageInfo };
  }

  @FieldResolver(() => RankingDiffType, {
    nullable: true,
    description: "Two rows of the leaderboard held against one another, query by query; null until there is a report.",
  })
  async rankingDiff(
    @Root() experiment: Experiment,
    @Arg("baseline", () => RetrievalRowInput, baselineArgument) baseline: RetrievalRowInput,
    @Arg("candidate", () => RetrievalRowInput, candidateArgument) candidate: RetrievalRowInput,
    @Arg("query", () => String, queryArgument) query: string | null | undefined,
    @Ctx() { reads }: Context,
  ): Promise<DiffOfRows | null> {
    const all = await this.#receiptsOf(experiment, reads);
    if (all.length === 0) return null;
    const [mine, theirs] = [rowIn(all, baseline, "baseline"), rowIn(all, candidate, "candidate")];
    const wanted = query == null ? all : all.filter((receipt) => receipt.query === query);
    if (wanted.length === 0) throw invalidInput(["query"], "the id of a test query", query);
    const keys = { baseline: systemKey(mine), candidate: systemKey(theirs) };
    return diffOf(rankingDiffs(wanted, keys), { baseline: mine, candidate: theirs });
  }

  async #receiptsOf(experiment: Experiment, reads: Reads): Promise<readonly Receipt[]> {
    const files = await reads.reportFiles(experiment.id);
    const file = files?.find(({ kind }) => kind === "ITEMS_EXPORT");
    return file === undefined ? [] : this.#receipts.get(file.sha256);
  }
}

/** A ranking diff with the queries behind it, of which a page is asked for. */
type DiffOfRows = RankingDiffType & { readonly diffs: readonly QueryDiff[] };

function diffOf(
  diffs: readonly QueryDiff[],
  rows: { readonly baseline: RetrievalRow; readonly candidate: RetrievalRow },
): DiffOfRows {
  const { gained, lost } = relevantMoves(diffs);
  const wins = diffs.filter(({ delta }) => delta > 0).length;
  const losses = diffs.filter(({ delta }) => delta < 0).length;
  const sum = diffs.reduce((total, { delta }) => total + delta, 0);
  return {
    ...rows,
    diffs,
    queryCount: diffs.length,
    delta: diffs.length === 0 ? 0 : sum / diffs.length,
    wins,
    ties: diffs.length - wins - losses,
    losses,
    relevantGained: gained,
    relevantLost: lost,
  };
}

/** The row of the leaderboard that is meant; alpha may be left out wherever the system has one row. */
function rowIn(receipts: readonly Receipt[], { system, alpha }: RetrievalRowInput, name: string): RetrievalRow {
  const keys = [...(receipts[0]?.systems.keys() ?? [])];
  const rows = keys.flatMap((key) => rowOfKey(key) ?? []);
  const found = rows.filter((row) => row.system === system && (alpha == null || row.alpha === alpha));
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  throw invalidInput([name], `one of the rows ${keys.join(", ")}`, { system, alpha: alpha ?? null });
}

function publishedReceipt({ systems, ...receipt }: Receipt): QueryReceiptType {
  const scores = [...systems.values()].flatMap(({ key, ndcg, rr, recall, ap, judged, ...rest }) => {
    const row = rowOfKey(key);
    const figures = { ndcgAt10: ndcg, rrAt10: rr, recallAt100: recall, averagePrecision: ap, judgedAt10: judged };
    return row === null ? [] : [{ ...row, ...figures, ...rest }];
  });
  return { ...receipt, scores };
}

/** The queries of a ranking diff, a page at a time. */
@Resolver(() => RankingDiffType)
export class RankingDiffResolver {
  @FieldResolver(() => QueryDiffConnection, { description: "Its queries, those with the largest differences first." })
  queries(@Root() { diffs }: DiffOfRows, @Args(() => PageArgs) args: PageArgs): Connection<QueryDiffType> {
    const placed = diffs.map((diff, place) => ({ diff, place }));
    const cut = sliceByNumber(placed, pageOf(args, numberCursor), ({ place }) => place);
    const { edges, pageInfo } = connectionOf(cut, numberCursor, ({ place }) => place);
    return { edges: edges.map(({ node, cursor }) => ({ node: publishedDiff(node.diff), cursor })), pageInfo };
  }
}

function publishedDiff({ receipt, baselineNdcg, candidateNdcg, delta, moves }: QueryDiff): QueryDiffType {
  const { query, text } = receipt;
  return { query, text, baselineNdcgAt10: baselineNdcg, candidateNdcgAt10: candidateNdcg, delta, documents: moves };
}
