import { Field, Float, Int, ObjectType } from "type-graphql";
import type { Compared, PairedTest, Verdict } from "../../domain/comparison.js";
import { connectionType } from "../connection.js";
import { PairedTestEnum, VerdictEnum } from "../enums.js";
import { UserErrorType } from "../error/error.type.js";
import { NodeType } from "../node/node.type.js";
import { ConfidenceIntervalType, RunType } from "../run/run.type.js";
import { ItemResultType } from "./item.type.js";

@ObjectType("Flip", {
  implements: NodeType,
  description: "An item that two runs answered differently: right, wrong or a tie.",
})
export class FlipType extends NodeType {
  @Field(() => String, { description: "The item." })
  readonly itemKey!: string;

  @Field(() => String, { description: "Which render of it." })
  readonly group!: string;

  @Field(() => ItemResultType, { description: "What the baseline made of it." })
  readonly baseline!: object;

  @Field(() => ItemResultType, { description: "What the candidate made of it." })
  readonly candidate!: object;
}

export const FlipConnection = connectionType("Flip", () => FlipType);

@ObjectType("Comparison", {
  description:
    "A candidate held against the baseline, item by item. With one run a side it is about these checkpoints; with several seeds, about the methods that made them.",
})
export class ComparisonType implements Omit<Compared, "interval"> {
  @Field(() => String, { description: "What is compared." })
  readonly metric!: string;

  @Field(() => Boolean, { description: "Whether a candidate with more of it is better." })
  readonly higherIsBetter!: boolean;

  @Field(() => [RunType], { description: "The baseline's runs, by seed." })
  readonly baseline!: readonly object[];

  @Field(() => [RunType], { description: "The candidate's runs, by seed." })
  readonly candidate!: readonly object[];

  @Field(() => Int, { description: "Seeds on each side." })
  readonly seeds!: number;

  @Field(() => Int, { description: "Items that both sides scored, with the same texts, over all seeds." })
  readonly pairedItems!: number;

  @Field(() => Int, { description: "Items that only one side has; no figure looks at them." })
  readonly unpairedItems!: number;

  @Field(() => Float, { description: "The baseline's mean over the paired items." })
  readonly baselineMean!: number;

  @Field(() => Float, { description: "The candidate's mean over the paired items." })
  readonly candidateMean!: number;

  @Field(() => Float, { description: "The candidate's mean minus the baseline's." })
  readonly delta!: number;

  @Field(() => ConfidenceIntervalType, {
    nullable: true,
    description: "Of delta; null where the items cannot bound it.",
  })
  readonly interval!: ConfidenceIntervalType | null;

  @Field(() => PairedTestEnum, { description: "How it was tested." })
  readonly test!: PairedTest;

  @Field(() => Float, {
    nullable: true,
    description: "Two-sided; null where the test says nothing: two to five seeds, or nothing but ties.",
  })
  readonly pValue!: number | null;

  @Field(() => Float, {
    nullable: true,
    description: "Adjusted for all candidates of the request: after Holm, or by the largest under joint sign flips.",
  })
  readonly adjustedPValue!: number | null;

  @Field(() => Int, { description: "Items of which the candidate's figure is better." })
  readonly wins!: number;

  @Field(() => Int, { description: "Items of which it is worse." })
  readonly losses!: number;

  @Field(() => Int, { description: "Items of which it is the same." })
  readonly ties!: number;

  @Field(() => Float, {
    nullable: true,
    description:
      "The smallest true difference that this comparison finds four times in five; null where nothing varies.",
  })
  readonly minimumDetectableEffect!: number | null;

  @Field(() => VerdictEnum, { description: "What it shows." })
  readonly verdict!: Verdict;

  @Field(() => String, { description: "Why." })
  readonly reason!: string;

  @Field(() => [String], {
    description: "What else differs between the two sides; each may be the cause of what is seen.",
  })
  readonly confounders!: readonly string[];
}

@ObjectType({ description: "Answer to compareRuns." })
export class ComparisonPayload {
  @Field(() => [ComparisonType], { description: "One a candidate, in their order; empty where something is wrong." })
  readonly comparisons!: readonly object[];

  @Field(() => [UserErrorType], { description: "What is wrong with the request; empty when it was done." })
  readonly errors!: readonly object[];
}
