import { Field, Float, Int, ObjectType } from "type-graphql";
import type { ClaimScope, RobustnessTask, SpuriousArtifact, TuningMethod } from "../../domain/robustness.js";
import type { ContrastEstimate, EstimateBasis, Range, StepEstimate } from "../../domain/robustness-estimate.js";
import {
  ClaimScopeEnum,
  EstimateBasisEnum,
  RobustnessTaskEnum,
  SpuriousArtifactEnum,
  TuningMethodEnum,
} from "../enums.js";
import { UserErrorType } from "../error/error.type.js";

@ObjectType("EstimateRange", { description: "A figure between two ends." })
export class EstimateRangeType implements Range {
  @Field(() => Float, { description: "Lower end." })
  readonly low!: number;

  @Field(() => Float, { description: "Upper end." })
  readonly high!: number;
}

@ObjectType("StepEstimate", { description: "Runs of one step, before anything is spent." })
export class StepEstimateType implements StepEstimate {
  @Field(() => String, { description: "prepare, warmup, tune, select, train or report." })
  readonly step!: StepEstimate["step"];

  @Field(() => Int, { description: "Runs that the plan has." })
  readonly runs!: number;

  @Field(() => Int, { description: "Of these, runs that an equal one of the project answers." })
  readonly reusable!: number;

  @Field(() => EstimateRangeType, {
    nullable: true,
    description: "Seconds of one pod for the runs that are left; null where nothing is known.",
  })
  readonly seconds!: Range | null;

  @Field(() => EstimateBasisEnum, { description: "What the seconds rest on." })
  readonly basis!: EstimateBasis;
}

@ObjectType("ContrastEstimate", { description: "What a contrast could show." })
export class ContrastEstimateType implements ContrastEstimate {
  @Field(() => Boolean, {
    description: "False for the degradations that the report tests together where none is declared.",
  })
  readonly declared!: boolean;

  @Field(() => TuningMethodEnum, { description: "The method." })
  readonly method!: TuningMethod;

  @Field(() => Float, { description: "The first rate." })
  readonly from!: number;

  @Field(() => Float, { description: "The second rate." })
  readonly to!: number;

  @Field(() => RobustnessTaskEnum, { nullable: true, description: "Null for uploaded preference rows." })
  readonly task!: RobustnessTask | null;

  @Field(() => SpuriousArtifactEnum, { nullable: true, description: "Null for uploaded preference rows." })
  readonly artifact!: SpuriousArtifact | null;

  @Field(() => ClaimScopeEnum, { description: "What it is about: of a method, seeds are the sample." })
  readonly scope!: ClaimScope;

  @Field(() => Float, { description: "The smallest true difference that is found with a power of 0.8." })
  readonly minimumDetectableEffect!: number;

  @Field(() => Int, { description: "Items behind it." })
  readonly items!: number;

  @Field(() => Int, { description: "Seeds behind it." })
  readonly seeds!: number;

  @Field(() => Float, { description: "The standard deviation over seeds that it rests on." })
  readonly seedSd!: number;

  @Field(() => Boolean, { description: "Whether that is assumed." })
  readonly seedSdAssumed!: boolean;
}

@ObjectType("RobustnessEstimate", { description: "What a robustness experiment would take and could show." })
export class RobustnessEstimateType {
  @Field(() => Int, { description: "Runs of its plan." })
  readonly runs!: number;

  @Field(() => Int, { description: "Runs that equal ones of the project answer." })
  readonly reusable!: number;

  @Field(() => [StepEstimateType], { description: "Step by step, in the order of the stages." })
  readonly steps!: readonly StepEstimate[];

  @Field(() => EstimateRangeType, { nullable: true, description: "Seconds of one pod for all that is left." })
  readonly seconds!: Range | null;

  @Field(() => EstimateRangeType, {
    nullable: true,
    description: "Memory of one run at its peak, in bytes, by the formula.",
  })
  readonly memoryBytes!: Range | null;

  @Field(() => EstimateRangeType, {
    nullable: true,
    description: "Bytes of the files that its runs leave, by the formula.",
  })
  readonly artifactBytes!: Range | null;

  @Field(() => Boolean, {
    description: "Whether the queue has room for its runs, and the day for its lower end of seconds, just now.",
  })
  readonly fitsQuota!: boolean;

  @Field(() => [ContrastEstimateType], {
    description: "The declared contrast, or else each degradation that the report tests.",
  })
  readonly contrasts!: readonly ContrastEstimate[];

  @Field(() => Float, {
    description: "The smallest p that its number of seeds can give, whatever the size of the family.",
  })
  readonly smallestP!: number;

  @Field(() => [String], { description: "What to know before these figures are believed." })
  readonly warnings!: readonly string[];
}

@ObjectType({ description: "Answer to estimateRobustness." })
export class EstimateRobustnessPayload {
  @Field(() => RobustnessEstimateType, { nullable: true, description: "Null where the request cannot be planned." })
  readonly estimate!: object | null;

  @Field(() => [UserErrorType], { description: "What is wrong with the request; empty where it could be submitted." })
  readonly errors!: readonly object[];
}
