import { Field, Float, Int, ObjectType } from "type-graphql";
import type { Verdict } from "../../domain/comparison.js";
import type { DistillationVerdict } from "../../domain/leaderboard.js";
import type { RetrievalRow, RetrievalSystem } from "../../domain/retrieval-systems.js";
import { DistillationVerdictEnum, RetrievalSystemEnum, VerdictEnum } from "../enums.js";
import { MetricEstimateType } from "../run/run.type.js";

const ALPHA = "The weight of distillation in the loss, 0 to 1; null of what is not trained by it.";
const maybe = { nullable: true } as const;

@ObjectType("RetrievalRow", { description: "A row of a leaderboard." })
export class RetrievalRowType implements RetrievalRow {
  @Field(() => RetrievalSystemEnum, { description: "The system." })
  readonly system!: RetrievalSystem;

  @Field(() => Float, { ...maybe, description: ALPHA })
  readonly alpha!: number | null;
}

@ObjectType("LatencyPercentiles", {
  description: "How long one query takes by itself, in milliseconds, after a warm-up.",
})
export class LatencyPercentilesType {
  @Field(() => Float, { description: "Half of the queries took at most this." })
  readonly p50!: number;

  @Field(() => Float, { description: "95 of 100 queries took at most this." })
  readonly p95!: number;
}

@ObjectType("QueryLatency", {
  description: "The parts of a query's way; null where a system has no such part or it was not measured.",
})
export class QueryLatencyType {
  @Field(() => LatencyPercentilesType, { ...maybe, description: "Encoding the query." })
  readonly encoder!: LatencyPercentilesType | null;

  @Field(() => LatencyPercentilesType, { ...maybe, description: "Searching the corpus." })
  readonly search!: LatencyPercentilesType | null;

  @Field(() => LatencyPercentilesType, {
    ...maybe,
    description: "Both; an LLM that expands at query time comes on top.",
  })
  readonly total!: LatencyPercentilesType | null;
}

@ObjectType("BaseDifference", { description: "A system against the base encoder, query by query." })
export class BaseDifferenceType {
  @Field(() => MetricEstimateType, { ...maybe, description: "Its nDCG@10 minus the base encoder's." })
  readonly delta!: MetricEstimateType | null;

  @Field(() => Int, { description: "Queries of which it is better." })
  readonly wins!: number;

  @Field(() => Int, { description: "Queries of which it is the same." })
  readonly ties!: number;

  @Field(() => Int, { description: "Queries of which it is worse." })
  readonly losses!: number;
}

@ObjectType("RetrievalGroup", { description: "What a system made of one group of queries." })
export class RetrievalGroupType {
  @Field(() => String, {
    description: "Which: seen and unseen topics of a planted collection, or a group of the upload.",
  })
  readonly group!: string;

  @Field(() => MetricEstimateType, { ...maybe, description: "Its nDCG@10." })
  readonly ndcgAt10!: MetricEstimateType | null;

  @Field(() => MetricEstimateType, { ...maybe, description: "Its nDCG@10 minus the base encoder's." })
  readonly delta!: MetricEstimateType | null;
}

@ObjectType("RetrievalSystemScore", { description: "What one system made of the test queries." })
export class RetrievalSystemScoreType extends RetrievalRowType {
  @Field(() => [Int], {
    description:
      "Seeds that it was trained with; a query's value is the mean over them. Empty where nothing is trained.",
  })
  readonly seeds!: readonly number[];

  @Field(() => MetricEstimateType, { ...maybe, description: "Its nDCG@10, as trec_eval counts it." })
  readonly ndcgAt10!: MetricEstimateType | null;

  @Field(() => MetricEstimateType, {
    ...maybe,
    description: "The reciprocal rank of the first relevant document among ten.",
  })
  readonly rrAt10!: MetricEstimateType | null;

  @Field(() => MetricEstimateType, {
    ...maybe,
    description: "The share of relevant documents among the first hundred.",
  })
  readonly recallAt100!: MetricEstimateType | null;

  @Field(() => MetricEstimateType, { ...maybe, description: "Average precision." })
  readonly averagePrecision!: MetricEstimateType | null;

  @Field(() => MetricEstimateType, {
    ...maybe,
    description: "The share of the first ten that anybody judged: where it is low, other figures say little.",
  })
  readonly judgedAt10!: MetricEstimateType | null;

  @Field(() => Float, { ...maybe, description: "Standard deviation of nDCG@10 over seeds; null below two." })
  readonly seedDeviation!: number | null;

  @Field(() => BaseDifferenceType, { ...maybe, description: "Against the base encoder; null of the base itself." })
  readonly againstBase!: BaseDifferenceType | null;

  @Field(() => [RetrievalGroupType], { description: "By group of queries; empty where there are none." })
  readonly groups!: readonly RetrievalGroupType[];

  @Field(() => QueryLatencyType, { ...maybe, description: "How long a query takes; null where it was not measured." })
  readonly latency!: QueryLatencyType | null;

  @Field(() => Float, {
    ...maybe,
    description: "Tokens that an LLM reads for 1,000 queries; null where none is asked or nobody counted.",
  })
  readonly promptTokensPerThousand!: number | null;

  @Field(() => Float, { ...maybe, description: "Tokens that it writes for 1,000 queries." })
  readonly completionTokensPerThousand!: number | null;

  @Field(() => Float, { ...maybe, description: "What these cost at the prices that were declared." })
  readonly pricePerThousand!: number | null;
}

@ObjectType("RetrievalTest", {
  description: "A test of the confirmatory family, which was declared before anything ran.",
})
export class RetrievalTestType {
  @Field(() => RetrievalRowType, { description: "What is tested." })
  readonly candidate!: RetrievalRowType;

  @Field(() => RetrievalRowType, { description: "Against what." })
  readonly baseline!: RetrievalRowType;

  @Field(() => MetricEstimateType, { ...maybe, description: "The candidate's nDCG@10 minus the baseline's." })
  readonly delta!: MetricEstimateType | null;

  @Field(() => Float, { ...maybe, description: "By sign flips over queries, two-sided, of this test alone." })
  readonly pValue!: number | null;

  @Field(() => Float, { ...maybe, description: "After Holm over the family: the figure to read." })
  readonly adjustedPValue!: number | null;

  @Field(() => Float, { ...maybe, description: "By the paired t-test, beside it." })
  readonly pairedTPValue!: number | null;

  @Field(() => Int, { description: "Queries of which the candidate is better." })
  readonly wins!: number;

  @Field(() => Int, { description: "Queries of which both are the same." })
  readonly ties!: number;

  @Field(() => Int, { description: "Queries of which it is worse." })
  readonly losses!: number;

  @Field(() => Float, { ...maybe, description: "The smallest true difference that would be found four times in five." })
  readonly minimumDetectableEffect!: number | null;

  @Field(() => Boolean, { description: "Whether that is more than the difference that was declared to matter." })
  readonly underpowered!: boolean;

  @Field(() => VerdictEnum, { description: "What it shows." })
  readonly verdict!: Verdict;

  @Field(() => String, { description: "Why." })
  readonly reason!: string;
}

@ObjectType("RetrievalGate", {
  description: "Whether the expanded teacher beats the base encoder on dev queries, which decides about distillation.",
})
export class RetrievalGateType {
  @Field(() => Int, { description: "The fold; 0 without cross-fitting." })
  readonly fold!: number;

  @Field(() => Boolean, { description: "Whether the interval's lower end is above 0." })
  readonly open!: boolean;

  @Field(() => Float, { ...maybe, description: "nDCG@10 of the teacher minus that of the base encoder." })
  readonly delta!: number | null;

  @Field(() => Float, { ...maybe, description: "Lower end of its interval." })
  readonly low!: number | null;

  @Field(() => Float, { ...maybe, description: "Upper end." })
  readonly high!: number | null;

  @Field(() => Int, { description: "Dev queries behind it." })
  readonly queries!: number;
}

@ObjectType("RecoveredGain", {
  description: "(SoftQE - base) / (expanded - base): which part of the expansion's gain the student kept.",
})
export class RecoveredGainType {
  @Field(() => Float, { ...maybe, description: "The ratio; null where the expansion's own gain was not shown." })
  readonly value!: number | null;

  @Field(() => Float, { ...maybe, description: "Lower end of its interval, which may be below 0." })
  readonly low!: number | null;

  @Field(() => Float, { ...maybe, description: "Upper end, which may be above 1." })
  readonly high!: number | null;

  @Field(() => String, { ...maybe, description: "Why it is not defined; null where it is." })
  readonly reason!: string | null;
}

@ObjectType("BreakEven", { description: "After how many queries distilling once is cheaper than expanding each." })
export class BreakEvenType {
  @Field(() => Float, { ...maybe, description: "That many; null where it never is, or prices are not known." })
  readonly queries!: number | null;

  @Field(() => String, { description: "From what it is reckoned, or why it is not." })
  readonly reason!: string;
}

@ObjectType("MissingSystem", { description: "A training of the plan that gave no result." })
export class MissingSystemType extends RetrievalRowType {
  @Field(() => Int, { description: "Its fold." })
  readonly fold!: number;

  @Field(() => Int, { ...maybe, description: "Its seed." })
  readonly seed!: number | null;

  @Field(() => String, { description: "Why." })
  readonly reason!: string;
}

@ObjectType("RetrievalLeaderboard", { description: "The report's figures, system by system." })
export class RetrievalLeaderboardType {
  @Field(() => DistillationVerdictEnum, { description: "Whether distillation helped." })
  readonly verdict!: DistillationVerdict;

  @Field(() => String, { description: "Why." })
  readonly reason!: string;

  @Field(() => [String], { description: "What the report says in a few sentences." })
  readonly summary!: readonly string[];

  @Field(() => Int, { description: "Test queries that count: those with a relevant document." })
  readonly queryCount!: number;

  @Field(() => Int, { description: "Test queries without a relevant document; no figure looks at them." })
  readonly queriesWithoutRelevant!: number;

  @Field(() => [RetrievalSystemScoreType], { description: "By nDCG@10, the best first." })
  readonly rows!: readonly RetrievalSystemScoreType[];

  @Field(() => [RetrievalTestType], {
    description: "The confirmatory family; every other comparison is described, not tested.",
  })
  readonly tests!: readonly RetrievalTestType[];

  @Field(() => [RetrievalGateType], { description: "The gate, by fold." })
  readonly gate!: readonly RetrievalGateType[];

  @Field(() => RecoveredGainType, { ...maybe, description: "Which part of the expansion's gain the student kept." })
  readonly recoveredGain!: RecoveredGainType | null;

  @Field(() => BreakEvenType, { ...maybe, description: "When distilling pays." })
  readonly breakEven!: BreakEvenType | null;

  @Field(() => [MissingSystemType], { description: "Trainings of the plan without a result." })
  readonly missing!: readonly MissingSystemType[];

  @Field(() => [String], { description: "What the figures do not show." })
  readonly notShown!: readonly string[];

  @Field(() => [String], { description: "What to keep in mind." })
  readonly caveats!: readonly string[];
}
