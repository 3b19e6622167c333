import { Field, Float, InputType, Int, ObjectType } from "type-graphql";
import type { Move } from "../../domain/leaderboard.js";
import type { RankedDocument } from "../../domain/receipts.js";
import type { RetrievalSystem } from "../../domain/retrieval-systems.js";
import { connectionType } from "../connection.js";
import { RetrievalSystemEnum } from "../enums.js";
import { RetrievalRowType } from "./leaderboard.type.js";

const maybe = { nullable: true } as const;

@ObjectType("RankedDocument", { description: "A document that a system found." })
export class RankedDocumentType implements RankedDocument {
  @Field(() => String, { description: "Its id in the corpus." })
  readonly document!: string;

  @Field(() => Float, { description: "Its score; scores of different systems have no common scale." })
  readonly score!: number;

  @Field(() => Int, { ...maybe, description: "How relevant it was judged; null where nobody judged it." })
  readonly relevance!: number | null;
}

@ObjectType("QueryScore", { description: "What one system made of one query; figures are means over its seeds." })
export class QueryScoreType extends RetrievalRowType {
  @Field(() => Float, { description: "nDCG@10." })
  readonly ndcgAt10!: number;

  @Field(() => Float, { ...maybe, description: "Reciprocal rank among ten." })
  readonly rrAt10!: number | null;

  @Field(() => Float, { ...maybe, description: "Recall among a hundred." })
  readonly recallAt100!: number | null;

  @Field(() => Float, { ...maybe, description: "Average precision." })
  readonly averagePrecision!: number | null;

  @Field(() => Float, { ...maybe, description: "Share of the first ten that anybody judged." })
  readonly judgedAt10!: number | null;

  @Field(() => Float, { ...maybe, description: "nDCG@10 minus the base encoder's; null of the base itself." })
  readonly delta!: number | null;

  @Field(() => Int, { description: "Seeds behind the figures." })
  readonly seeds!: number;

  @Field(() => [RankedDocumentType], { description: "The first ten, of a trained system those of its first seed." })
  readonly top!: readonly RankedDocument[];
}

@ObjectType("QueryReceipt", { description: "What every system made of one test query." })
export class QueryReceiptType {
  @Field(() => String, { description: "The query's id." })
  readonly query!: string;

  @Field(() => String, { description: "What it asks." })
  readonly text!: string;

  @Field(() => String, { ...maybe, description: "Its group; null where the collection has none." })
  readonly group!: string | null;

  @Field(() => String, { ...maybe, description: "What it was expanded by; null where it was not." })
  readonly expansion!: string | null;

  @Field(() => Boolean, { description: "Whether the distilled encoder is below its base here." })
  readonly lost!: boolean;

  @Field(() => Float, {
    ...maybe,
    description: "Milliseconds that the distilled encoder saves over expanding, at the median.",
  })
  readonly latencySavedMs!: number | null;

  @Field(() => [QueryScoreType], { description: "By system." })
  readonly scores!: readonly QueryScoreType[];
}

export const QueryReceiptConnection = connectionType("QueryReceipt", () => QueryReceiptType);

@InputType({ description: "Which queries are wanted; all that is given must hold." })
export class QueryReceiptFilter {
  @Field(() => Boolean, {
    ...maybe,
    description: "Only those where the distilled encoder is below its base, or only the others.",
  })
  readonly lost?: boolean | null;

  @Field(() => String, { ...maybe, description: "Only this group." })
  readonly group?: string | null;

  @Field(() => String, { ...maybe, description: "Only the query with this id." })
  readonly query?: string | null;
}

@InputType({ description: "A row of the leaderboard." })
export class RetrievalRowInput {
  @Field(() => RetrievalSystemEnum, { description: "The system." })
  readonly system!: RetrievalSystem;

  @Field(() => Float, { ...maybe, description: "For SOFTQE_MIXED, which of its rows." })
  readonly alpha?: number | null;
}

@ObjectType("DocumentMove", { description: "A document that at least one of two systems has among its first ten." })
export class DocumentMoveType implements Move {
  @Field(() => String, { description: "Its id in the corpus." })
  readonly document!: string;

  @Field(() => Int, { ...maybe, description: "How relevant it was judged; null where nobody judged it." })
  readonly relevance!: number | null;

  @Field(() => Int, { ...maybe, description: "The baseline's place for it, from 1; null beyond the first ten." })
  readonly baselineRank!: number | null;

  @Field(() => Int, { ...maybe, description: "The candidate's place for it, from 1; null beyond the first ten." })
  readonly candidateRank!: number | null;
}

@ObjectType("QueryDiff", { description: "What two systems made of one query." })
export class QueryDiffType {
  @Field(() => String, { description: "The query's id." })
  readonly query!: string;

  @Field(() => String, { description: "What it asks." })
  readonly text!: string;

  @Field(() => Float, { description: "The baseline's nDCG@10." })
  readonly baselineNdcgAt10!: number;

  @Field(() => Float, { description: "The candidate's nDCG@10." })
  readonly candidateNdcgAt10!: number;

  @Field(() => Float, { description: "The candidate's minus the baseline's." })
  readonly delta!: number;

  @Field(() => [DocumentMoveType], { description: "Their documents, by the better of their two places." })
  readonly documents!: readonly Move[];
}

export const QueryDiffConnection = connectionType("QueryDiff", () => QueryDiffType);

@ObjectType("RankingDiff", {
  description: "Two rows of the leaderboard held against one another over the queries that both answered.",
})
export class RankingDiffType {
  @Field(() => RetrievalRowType, { description: "What is held against." })
  readonly baseline!: RetrievalRowType;

  @Field(() => RetrievalRowType, { description: "What is held against it." })
  readonly candidate!: RetrievalRowType;

  @Field(() => Int, { description: "Queries that both answered." })
  readonly queryCount!: number;

  @Field(() => Float, { description: "The candidate's mean nDCG@10 minus the baseline's." })
  readonly delta!: number;

  @Field(() => Int, { description: "Queries of which the candidate is better." })
  readonly wins!: number;

  @Field(() => Int, { description: "Queries of which both are the same." })
  readonly ties!: number;

  @Field(() => Int, { description: "Queries of which it is worse." })
  readonly losses!: number;

  @Field(() => Int, { description: "Relevant documents that only the candidate has among its first ten." })
  readonly relevantGained!: number;

  @Field(() => Int, { description: "Relevant documents that only the baseline has there." })
  readonly relevantLost!: number;
}
