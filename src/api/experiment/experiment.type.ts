import { Field, Float, Int, InterfaceType, ObjectType } from "type-graphql";
import type { Capability, Experiment, ExperimentState } from "../../domain/experiment.js";
import type { RobustnessTask, SpuriousArtifact, TuningMethod } from "../../domain/robustness.js";
import type { WaveKind } from "../../store/waves.js";
import { ArtifactType } from "../artifact/artifact.type.js";
import { connectionType } from "../connection.js";
import {
  CapabilityEnum,
  ExperimentStateEnum,
  RobustnessTaskEnum,
  SpuriousArtifactEnum,
  TuningMethodEnum,
  WaveKindEnum,
} from "../enums.js";
import { NodeType, type Typed } from "../node/node.type.js";
import { ProjectType } from "../project/project.type.js";
import { DateTime, Digest } from "../scalars.js";
import { UsageType } from "../usage.type.js";
import { ActorType } from "../viewer/actor.type.js";

@ObjectType("ExperimentProgress", { description: "How far an experiment is." })
export class ExperimentProgressType {
  @Field(() => Int, { description: "Runs that have ended, however they did; those that were superseded do not count." })
  readonly completed!: number;

  @Field(() => Int, { description: "Runs that it has." })
  readonly total!: number;

  @Field(() => Float, { description: "completed / total, 0 to 1." })
  readonly fraction!: number;

  @Field(() => Int, { description: "The stage that is open, from 0." })
  readonly stage!: number;

  @Field(() => Int, { description: "Stages that it has." })
  readonly stageCount!: number;
}

@ObjectType("RobustnessGrid", {
  description: "The grid as it was asked for, extensions included; controls are planned beside it.",
})
export class RobustnessGridType {
  @Field(() => [TuningMethodEnum], { description: "How the model is tuned." })
  readonly methods!: readonly TuningMethod[];

  @Field(() => [RobustnessTaskEnum], { description: "What is taught; empty for uploaded data." })
  readonly tasks!: readonly RobustnessTask[];

  @Field(() => [SpuriousArtifactEnum], { description: "The kinds of spurious correlation." })
  readonly artifacts!: readonly SpuriousArtifact[];

  @Field(() => [Float], { description: "The spuriousness rates, 0 to 1." })
  readonly spuriousness!: readonly number[];

  @Field(() => [Int], { description: "The seeds." })
  readonly seeds!: readonly number[];
}

@ObjectType("Wave", { description: "Work that was added to an experiment after it was accepted." })
export class WaveType {
  @Field(() => WaveKindEnum, { description: "Why." })
  readonly kind!: WaveKind;

  @Field(() => DateTime, { description: "When." })
  readonly at!: Date;

  @Field(() => Int, { description: "Failed runs that it tried again; 0 for an extension." })
  readonly retriedRuns!: number;

  @Field(() => [Int], { description: "Seeds that it added." })
  readonly addedSeeds!: readonly number[];

  @Field(() => [Float], { description: "Spuriousness rates that it added." })
  readonly addedSpuriousness!: readonly number[];
}

/** What every experiment says, whatever its capability. */
@InterfaceType("Experiment", {
  implements: NodeType,
  description: "What was submitted: one capability, one grid.",
  resolveType: (value: Typed) => value.__typename,
})
export abstract class ExperimentType
  extends NodeType
  implements Pick<Experiment, "name" | "capability" | "createdAt" | "cancelReason" | "pausedAt" | "endedAt">
{
  @Field(() => ProjectType, { description: "The project that holds it." })
  readonly project!: object;

  @Field(() => String, { description: "Its name." })
  readonly name!: string;

  @Field(() => CapabilityEnum, { description: "What it is about." })
  readonly capability!: Capability;

  @Field(() => DateTime, { description: "When it was accepted." })
  readonly createdAt!: Date;

  @Field(() => ActorType, { description: "Whose key submitted it." })
  readonly createdBy!: object;

  @Field(() => ExperimentStateEnum, { description: "Its state, derived from its runs." })
  readonly state!: ExperimentState;

  @Field(() => ExperimentProgressType, { description: "How far it is." })
  readonly progress!: ExperimentProgressType;

  @Field(() => [WaveType], { description: "What was added to it since, the first first." })
  readonly waves!: readonly WaveType[];

  @Field(() => UsageType, { description: "What its runs used." })
  readonly usage!: UsageType;

  @Field(() => Digest, { description: "Digest of everything that was asked for." })
  readonly specDigest!: string;

  @Field(() => ArtifactType, { nullable: true, description: "The report as JSON; null until there is one." })
  readonly report!: object | null;

  @Field(() => String, { nullable: true, description: "The reason that was given for a cancel." })
  readonly cancelReason!: string | null;

  @Field(() => DateTime, { nullable: true, description: "Since when it is held back; null when it is not." })
  readonly pausedAt!: Date | null;

  @Field(() => DateTime, {
    nullable: true,
    description: "When its last run ended; null while it may still change by itself.",
  })
  readonly endedAt!: Date | null;
}

@ObjectType("RobustnessExperiment", {
  implements: ExperimentType,
  description: "Which of SFT, DPO and KTO keeps working when training data carries a spurious correlation.",
})
export class RobustnessExperimentType extends ExperimentType {
  @Field(() => RobustnessGridType, { description: "The grid as it was asked for." })
  readonly grid!: RobustnessGridType;
}

@ObjectType("RetrievalExperiment", {
  implements: ExperimentType,
  description:
    "Whether a query encoder can learn what query expansion knows, against everything one would pick instead.",
})
export class RetrievalExperimentType extends ExperimentType {}

/** The published type of each capability's experiments. */
export const experimentTypenames: Readonly<Record<Capability, string>> = {
  ROBUSTNESS: "RobustnessExperiment",
  RETRIEVAL: "RetrievalExperiment",
};

export const ExperimentConnection = connectionType("Experiment", () => ExperimentType);
