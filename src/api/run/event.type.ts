import { Field, Float, Int, ObjectType } from "type-graphql";
import type { EventKind, ExperimentEvent, ExperimentState } from "../../domain/experiment.js";
import type { RunState } from "../../domain/run.js";
import { connectionType } from "../connection.js";
import { ExperimentStateEnum, RunEventKindEnum, RunStateEnum } from "../enums.js";
import { NodeType } from "../node/node.type.js";
import { DateTime } from "../scalars.js";
import { RunType } from "./run.type.js";

@ObjectType("MetricPoint", { description: "A figure of the work at one step." })
export class MetricPointType {
  @Field(() => String, { description: "What is measured." })
  readonly name!: string;

  @Field(() => Float, { nullable: true, description: "The figure; null when it is no finite number." })
  readonly value!: number | null;

  @Field(() => Int, { description: "The step." })
  readonly step!: number;
}

@ObjectType("EventProgress", { description: "How far the run is." })
export class EventProgressType {
  @Field(() => String, { description: "What is being done." })
  readonly stage!: string;

  @Field(() => Float, { description: "Steps of it that are done." })
  readonly completed!: number;

  @Field(() => Float, { description: "Steps that it has." })
  readonly total!: number;
}

@ObjectType("RunEvent", {
  implements: NodeType,
  description: "Something that happened to an experiment or one of its runs.",
})
export class RunEventType extends NodeType implements Pick<ExperimentEvent, "kind" | "at"> {
  @Field(() => RunType, {
    nullable: true,
    description: "The run that it is about; null for the experiment as a whole.",
  })
  readonly run!: object | null;

  @Field(() => Int, { description: "Its number in the experiment, rising; the order of commits." })
  readonly sequence!: number;

  @Field(() => DateTime, { description: "When it was written down." })
  readonly at!: Date;

  @Field(() => RunEventKindEnum, { description: "What it tells." })
  readonly kind!: EventKind;

  @Field(() => String, {
    nullable: true,
    description: "For LOG and WARNING: what was said. For STATE: why, where there is more to say.",
  })
  readonly message!: string | null;

  @Field(() => RunStateEnum, { nullable: true, description: "For STATE: the run's new state." })
  readonly state!: RunState | null;

  @Field(() => ExperimentStateEnum, { nullable: true, description: "For EXPERIMENT: the experiment's new state." })
  readonly experimentState!: ExperimentState | null;

  @Field(() => [MetricPointType], { description: "For METRIC: the figures; else empty." })
  readonly metrics!: readonly MetricPointType[];

  @Field(() => EventProgressType, { nullable: true, description: "For PROGRESS: how far the run is." })
  readonly progress!: EventProgressType | null;
}

export const RunEventConnection = connectionType("RunEvent", () => RunEventType);
