import { createUnionType, Field, Float, Int, ObjectType } from "type-graphql";
import type { RetrievalSystem } from "../../domain/retrieval-systems.js";
import type { RobustnessTask, SpuriousArtifact, TuningMethod } from "../../domain/robustness.js";
import type { Attempt, Run } from "../../domain/run.js";
import type { StateReason } from "../../domain/standing.js";
import { connectionType } from "../connection.js";
import {
  type IntervalMethod,
  IntervalMethodEnum,
  RetrievalSystemEnum,
  RobustnessTaskEnum,
  RunStateEnum,
  SpuriousArtifactEnum,
  StateReasonEnum,
  TuningMethodEnum,
} from "../enums.js";
import { ExperimentType } from "../experiment/experiment.type.js";
import { ModelType } from "../model/model.type.js";
import { NodeType, type Typed } from "../node/node.type.js";
import { DateTime, Digest } from "../scalars.js";
import { UsageType } from "../usage.type.js";
import { RunFailureType } from "./failure.type.js";

@ObjectType("RobustnessCell", { description: "A cell of a robustness grid." })
export class RobustnessCellType {
  @Field(() => TuningMethodEnum, { description: "How the model is tuned." })
  readonly method!: TuningMethod;

  @Field(() => RobustnessTaskEnum, { nullable: true, description: "What is taught; null for uploaded data." })
  readonly task!: RobustnessTask | null;

  @Field(() => SpuriousArtifactEnum, { nullable: true, description: "The kind of spurious correlation." })
  readonly artifact!: SpuriousArtifact | null;

  @Field(() => Float, { nullable: true, description: "The spuriousness rate, 0 to 1; null for the untrained base." })
  readonly spuriousness!: number | null;

  @Field(() => String, {
    nullable: true,
    description: "TIES, GROUP_BALANCED, GROUP_DRO or SIZE_CONTROL; null for plain training.",
  })
  readonly variant!: string | null;

  @Field(() => Float, {
    nullable: true,
    description: "The learning rate, where it is part of the grid; null where each method has one of its own.",
  })
  readonly learningRate!: number | null;

  @Field(() => ModelType, {
    nullable: true,
    description: "The model that is tuned; null when it is no longer registered.",
  })
  readonly model!: object | null;
}

@ObjectType("RetrievalCell", { description: "A training of a retrieval experiment." })
export class RetrievalCellType {
  @Field(() => RetrievalSystemEnum, { description: "The system that is trained." })
  readonly system!: RetrievalSystem;

  @Field(() => Float, {
    nullable: true,
    description: "The weight of distillation in the loss, 0 to 1; null of what is not trained by it.",
  })
  readonly alpha!: number | null;

  @Field(() => Int, { description: "The fold whose queries it never sees; 0 without cross-fitting." })
  readonly fold!: number;

  @Field(() => ModelType, { nullable: true, description: "The encoder; null when it is no longer registered." })
  readonly encoder!: object | null;
}

/** The cell of any capability. */
export const Cell = createUnionType({
  name: "Cell",
  description: "A cell of an experiment's grid.",
  types: () => [RobustnessCellType, RetrievalCellType] as const,
  resolveType: (value) => (value as unknown as Typed).__typename,
});

@ObjectType("RunProgress", { description: "How far a run is, as its pod last said." })
export class RunProgressType {
  @Field(() => String, { description: "What is being done." })
  readonly stage!: string;

  @Field(() => Float, { description: "Steps of it that are done." })
  readonly completed!: number;

  @Field(() => Float, { description: "Steps that it has." })
  readonly total!: number;

  @Field(() => Float, { description: "completed / total, 0 to 1." })
  readonly fraction!: number;

  @Field(() => DateTime, { description: "When the pod said so." })
  readonly at!: string;
}

@ObjectType("Attempt", { description: "One try of a run on one pod." })
export class AttemptType
  implements Pick<Attempt, "epoch" | "startedAt" | "endedAt" | "outcome" | "lastStep" | "resumedFromStep">
{
  @Field(() => Int, { description: "Which try it is, from 1." })
  readonly number!: number;

  @Field(() => Int, {
    description: "The run's epoch while this try held the lease; what a try with an older epoch says does not count.",
  })
  readonly epoch!: number;

  @Field(() => String, {
    nullable: true,
    description: "The pod that worked on it; null if none took it, or none was needed.",
  })
  readonly pod!: string | null;

  @Field(() => DateTime, { description: "When it took the lease." })
  readonly startedAt!: Date;

  @Field(() => DateTime, { nullable: true, description: "When it ended; null while it works." })
  readonly endedAt!: Date | null;

  @Field(() => String, {
    nullable: true,
    description: "SUCCEEDED, FAILED, CANCELLED, LOST, REFUSED, RELEASED or REUSED; null while it works.",
  })
  readonly outcome!: Attempt["outcome"];

  @Field(() => Float, {
    nullable: true,
    description: "Training steps done when it ended, as its pod said; null where none were heard of.",
  })
  readonly lastStep!: number | null;

  @Field(() => Float, {
    nullable: true,
    description: "The step of the checkpoint that it went on from; null when it began at the beginning.",
  })
  readonly resumedFromStep!: number | null;

  @Field(() => RunFailureType, { nullable: true, description: "Why it failed." })
  readonly failure!: object | null;
}

@ObjectType("ConfidenceInterval", { description: "Where the true value lies, at a level of confidence." })
export class ConfidenceIntervalType {
  @Field(() => Float, { description: "The confidence, 0 to 1." })
  readonly level!: number;

  @Field(() => Float, { description: "Lower end." })
  readonly low!: number;

  @Field(() => Float, { description: "Upper end." })
  readonly high!: number;

  @Field(() => IntervalMethodEnum, { description: "How it was made." })
  readonly method!: IntervalMethod;
}

@ObjectType("MetricEstimate", { description: "A figure with its uncertainty." })
export class MetricEstimateType {
  @Field(() => String, { description: "What is measured." })
  readonly name!: string;

  @Field(() => Float, { description: "The estimate." })
  readonly value!: number;

  @Field(() => Int, { description: "Items behind it." })
  readonly items!: number;

  @Field(() => Int, { description: "Seeds behind it." })
  readonly seeds!: number;

  @Field(() => ConfidenceIntervalType, { description: "Its interval." })
  readonly interval!: ConfidenceIntervalType;
}

@ObjectType("Provenance", { description: "Everything that a run's result depends on." })
export class ProvenanceType {
  @Field(() => Digest, { description: "Digest of the run's spec." })
  readonly specDigest!: string;

  @Field(() => [Digest], { description: "Uploaded data that it reads." })
  readonly datasetDigests!: readonly string[];

  @Field(() => [Digest], { description: "Models that it reads." })
  readonly modelDigests!: readonly string[];

  @Field(() => String, { description: "Digest of the capability's source code." })
  readonly codeDigest!: string;

  @Field(() => [Int], { description: "Its seed; empty for a report." })
  readonly seeds!: readonly number[];

  @Field(() => String, { description: "Arithmetic: fp32 or bf16." })
  readonly precision!: string;

  @Field(() => Int, { description: "CPU threads, which change the last digits of sums." })
  readonly threads!: number;
}

@ObjectType("Run", {
  implements: NodeType,
  description: "One cell of the grid with one seed, or a step that serves the others.",
})
export class RunType
  extends NodeType
  implements
    Pick<
      Run,
      | "step"
      | "stage"
      | "seed"
      | "state"
      | "stateReason"
      | "partial"
      | "digest"
      | "acceptedAt"
      | "terminalAt"
      | "priority"
    >
{
  @Field(() => ExperimentType, { description: "The experiment that it is part of." })
  readonly experiment!: object;

  @Field(() => String, { description: "What it does: prepare, train or report." })
  readonly step!: string;

  @Field(() => Int, {
    description: "When it may start: runs of a stage start when those of the stage before have ended.",
  })
  readonly stage!: number;

  @Field(() => Cell, { nullable: true, description: "Its cell of the grid; null for steps that are none." })
  readonly cell!: typeof Cell | null;

  @Field(() => Int, { nullable: true, description: "Its seed; null for a report." })
  readonly seed!: number | null;

  @Field(() => Digest, { description: "Equal digests mean equal work." })
  readonly digest!: string;

  @Field(() => RunStateEnum, { description: "Its state." })
  readonly state!: Run["state"];

  @Field(() => StateReasonEnum, {
    nullable: true,
    description: "Why it is in this state, where there is more to say.",
  })
  readonly stateReason!: StateReason | null;

  @Field(() => Int, {
    nullable: true,
    description:
      "Its place among the organisation's runs that could start now, from 1; null when it is none of them. Runs of other organisations may come between.",
  })
  readonly queuePosition!: number | null;

  @Field(() => DateTime, {
    nullable: true,
    description: "While it waits for another try: not before then. Null where nobody can say.",
  })
  readonly earliestStart!: Date | null;

  @Field(() => RunProgressType, { nullable: true, description: "How far it is; null before its pod first spoke." })
  readonly progress!: RunProgressType | null;

  @Field(() => [AttemptType], { description: "Every try, the first first." })
  readonly attempts!: readonly AttemptType[];

  @Field(() => RunFailureType, { nullable: true, description: "Why it failed, or why its last try did." })
  readonly failure!: object | null;

  @Field(() => Boolean, { description: "Whether some expected item has no result." })
  readonly partial!: boolean;

  @Field(() => [MetricEstimateType], {
    description: "What it measured; empty before it succeeds and for steps that measure nothing.",
  })
  readonly metrics!: readonly MetricEstimateType[];

  @Field(() => ProvenanceType, { description: "Everything that its result depends on." })
  readonly provenance!: ProvenanceType;

  @Field(() => RunType, {
    nullable: true,
    description: "The equal run of the project that it was answered from; null when it was worked on itself.",
  })
  readonly reusedFrom!: object | null;

  @Field(() => UsageType, { description: "What it used." })
  readonly usage!: UsageType;

  @Field(() => Int, { description: "Higher is served sooner; one is worth ten minutes of waiting." })
  readonly priority!: number;

  @Field(() => RunType, {
    nullable: true,
    description: "The later run that does its work, after a retry or an extension; then this one counts no more.",
  })
  readonly supersededBy!: object | null;

  @Field(() => DateTime, { description: "When it was accepted." })
  readonly acceptedAt!: Date;

  @Field(() => DateTime, { nullable: true, description: "When it ended; null while it may still change." })
  readonly terminalAt!: Date | null;
}

export const RunConnection = connectionType("Run", () => RunType);
