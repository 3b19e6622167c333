import { Field, Float, Int, ObjectType } from "type-graphql";
import { DateTime } from "../scalars.js";

@ObjectType("RunAllowance", { description: "How many runs there may be at once." })
export class RunAllowanceType {
  @Field(() => Int, { nullable: true, description: "Null for no bound." })
  readonly limit!: number | null;

  @Field(() => Int, { description: "How many there are." })
  readonly used!: number;
}

@ObjectType("ComputeAllowance", { description: "Compute seconds of a day by UTC." })
export class ComputeAllowanceType {
  @Field(() => Float, { nullable: true, description: "Null for no bound." })
  readonly limit!: number | null;

  @Field(() => Float, { description: "Seconds of attempts that have ended today." })
  readonly used!: number;

  @Field(() => Float, { description: "Seconds that are set aside for runs in work." })
  readonly reserved!: number;

  @Field(() => DateTime, { description: "When the next day begins." })
  readonly resetsAt!: Date;
}

@ObjectType("Quota", { description: "What the organisation may have, over all its projects, and what it has." })
export class QuotaType {
  @Field(() => Float, { description: "Its part of the pods beside those of other organisations; 1 is usual." })
  readonly fairShareWeight!: number;

  @Field(() => RunAllowanceType, {
    description: "Runs that wait: for their stage, a pod, another try or to be resumed.",
  })
  readonly queuedRuns!: RunAllowanceType;

  @Field(() => RunAllowanceType, { description: "Runs that pods work on." })
  readonly concurrentRuns!: RunAllowanceType;

  @Field(() => ComputeAllowanceType, { description: "Compute seconds of the day." })
  readonly computeSeconds!: ComputeAllowanceType;

  @Field(() => Int, { nullable: true, description: "Runs that may be submitted in a minute; null for no bound." })
  readonly submitsPerMinute!: number | null;
}
