import { Field, Float, Int, ObjectType } from "type-graphql";
import type { RobustnessTask, SpuriousArtifact, TuningMethod } from "../../domain/robustness.js";
import type { CellVerdict, ControlKind, DegradationVerdict } from "../../domain/surface.js";
import {
  CellVerdictEnum,
  ControlKindEnum,
  DegradationVerdictEnum,
  RobustnessTaskEnum,
  SpuriousArtifactEnum,
  TuningMethodEnum,
} from "../enums.js";
import { MetricEstimateType, RobustnessCellType } from "../run/run.type.js";

@ObjectType("GroupEstimate", { description: "A figure of one group of items." })
export class GroupEstimateType {
  @Field(() => String, { description: "Which group: aligned, conflicting, inSlice and so on." })
  readonly group!: string;

  @Field(() => MetricEstimateType, { description: "Its accuracy." })
  readonly estimate!: MetricEstimateType;
}

@ObjectType("ControlResult", { description: "Whether a control came out as it must for figures to mean anything." })
export class ControlResultType {
  @Field(() => ControlKindEnum, { description: "What it is." })
  readonly kind!: ControlKind;

  @Field(() => TuningMethodEnum, { description: "Of which method." })
  readonly method!: TuningMethod;

  @Field(() => Boolean, { description: "Whether it passed; false also where it has no full result." })
  readonly passed!: boolean;

  @Field(() => String, { description: "Why." })
  readonly reason!: string;

  @Field(() => MetricEstimateType, {
    nullable: true,
    description: "The figure that it rests on; null without a full result.",
  })
  readonly estimate!: MetricEstimateType | null;
}

@ObjectType("RobustnessPoint", { description: "What was measured of one cell of the grid, over its seeds." })
export class RobustnessPointType {
  @Field(() => RobustnessCellType, { description: "The cell." })
  readonly cell!: RobustnessCellType;

  @Field(() => [Int], { description: "Seeds that gave a result." })
  readonly seeds!: readonly number[];

  @Field(() => CellVerdictEnum, { description: "Whether its figures may be read, and as what." })
  readonly verdict!: CellVerdict;

  @Field(() => String, { description: "Why." })
  readonly reason!: string;

  @Field(() => [GroupEstimateType], { description: "Accuracy by group; a group without items is absent." })
  readonly groups!: readonly GroupEstimateType[];

  @Field(() => MetricEstimateType, {
    nullable: true,
    description: "Aligned minus conflicting, or in slice minus out of it.",
  })
  readonly gap!: MetricEstimateType | null;

  @Field(() => MetricEstimateType, {
    nullable: true,
    description: "The gap minus that at rate 0: the effect of the correlation.",
  })
  readonly controlAdjustedGap!: MetricEstimateType | null;

  @Field(() => MetricEstimateType, {
    nullable: true,
    description: "The gap minus the untrained model's: the effect of training.",
  })
  readonly baseAdjustedGap!: MetricEstimateType | null;

  @Field(() => MetricEstimateType, {
    nullable: true,
    description:
      "What accuracy was lost from the contrast's first rate to this one; null where this is not its second rate.",
  })
  readonly degradation!: MetricEstimateType | null;

  @Field(() => GroupEstimateType, {
    nullable: true,
    description: "The lowest accuracy over groups of 30 items or more; its interval holds for all of them at once.",
  })
  readonly worstGroup!: GroupEstimateType | null;

  @Field(() => MetricEstimateType, {
    nullable: true,
    description: "Share of items that are right with the cue on their side and wrong with it on the other.",
  })
  readonly reliance!: MetricEstimateType | null;

  @Field(() => [ControlResultType], { description: "The controls that the verdict rests on." })
  readonly controls!: readonly ControlResultType[];
}

@ObjectType("UntrainedPoint", { description: "What an untrained model scores; every figure is read against it." })
export class UntrainedPointType {
  @Field(() => RobustnessTaskEnum, { nullable: true, description: "What is asked; null for uploaded data." })
  readonly task!: RobustnessTask | null;

  @Field(() => SpuriousArtifactEnum, {
    nullable: true,
    description: "The kind of spurious correlation; null for uploaded data.",
  })
  readonly artifact!: SpuriousArtifact | null;

  @Field(() => Boolean, {
    description: "Whether it had the warm-up that all methods start from; false for the model as it came.",
  })
  readonly warmedUp!: boolean;

  @Field(() => [GroupEstimateType], { description: "Accuracy by group." })
  readonly groups!: readonly GroupEstimateType[];

  @Field(() => MetricEstimateType, { nullable: true, description: "Its gap." })
  readonly gap!: MetricEstimateType | null;
}

@ObjectType("Degradation", { description: "What one method lost between two rates." })
export class DegradationType {
  @Field(() => RobustnessCellType, { description: "The cell at the second rate." })
  readonly cell!: RobustnessCellType;

  @Field(() => Float, { description: "The first rate." })
  readonly from!: number;

  @Field(() => Float, { description: "The second rate." })
  readonly to!: number;

  @Field(() => DegradationVerdictEnum, { description: "What it shows." })
  readonly verdict!: DegradationVerdict;

  @Field(() => String, { nullable: true, description: "Why it cannot be measured; null where it can." })
  readonly reason!: string | null;

  @Field(() => MetricEstimateType, { nullable: true, description: "Accuracy at the first rate minus at the second." })
  readonly estimate!: MetricEstimateType | null;

  @Field(() => Float, {
    nullable: true,
    description: "By joint sign flips over seeds, adjusted for the family; null for fewer than six seeds.",
  })
  readonly adjustedPValue!: number | null;
}

@ObjectType("MissingCell", { description: "A run of the plan that gave no full result." })
export class MissingCellType {
  @Field(() => RobustnessCellType, { description: "Its cell." })
  readonly cell!: RobustnessCellType;

  @Field(() => Int, { description: "Its seed." })
  readonly seed!: number;

  @Field(() => String, { description: "Why." })
  readonly reason!: string;
}

@ObjectType("MethodRank", {
  description: "Where a method may stand among those that were compared in a family; 1 is the best.",
})
export class MethodRankType {
  @Field(() => RobustnessTaskEnum, { nullable: true, description: "The task; null for uploaded data." })
  readonly task!: RobustnessTask | null;

  @Field(() => SpuriousArtifactEnum, {
    nullable: true,
    description: "The kind of spurious correlation; null for uploaded data.",
  })
  readonly artifact!: SpuriousArtifact | null;

  @Field(() => TuningMethodEnum, { description: "The method." })
  readonly method!: TuningMethod;

  @Field(() => Int, { description: "The best place that it may have." })
  readonly rankLow!: number;

  @Field(() => Int, { description: "The worst place that it may have." })
  readonly rankHigh!: number;

  @Field(() => [TuningMethodEnum], { description: "Methods from which no difference was shown." })
  readonly tiedWith!: readonly TuningMethod[];
}

@ObjectType("RobustnessSurface", { description: "The report's figures, cell by cell." })
export class RobustnessSurfaceType {
  @Field(() => [String], { description: "What the report says in a few sentences." })
  readonly summary!: readonly string[];

  @Field(() => [RobustnessPointType], { description: "Every trained cell." })
  readonly points!: readonly RobustnessPointType[];

  @Field(() => [UntrainedPointType], {
    description: "The untrained model, and the warmed-up one where there is a warm-up.",
  })
  readonly untrained!: readonly UntrainedPointType[];

  @Field(() => [DegradationType], { description: "What each method lost between the rates of the contrast." })
  readonly degradations!: readonly DegradationType[];

  @Field(() => [MissingCellType], { description: "Runs of the plan without a full result." })
  readonly missingCells!: readonly MissingCellType[];

  @Field(() => [MethodRankType], {
    description:
      "By task and artifact, only where methods were compared over the whole grid of learning rates; else empty.",
  })
  readonly ranking!: readonly MethodRankType[];

  @Field(() => [String], { description: "What the figures do not show." })
  readonly notShown!: readonly string[];

  @Field(() => [String], { description: "What to keep in mind." })
  readonly caveats!: readonly string[];
}
