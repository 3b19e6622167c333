import { Field, Float, ID, InputType, Int, ObjectType } from "type-graphql";
import { UserErrorType } from "../error/error.type.js";
import { RunType } from "../run/run.type.js";
import { ExperimentType } from "./experiment.type.js";

const experimentWords = { description: "The experiment." };
const mutationIdWords = { nullable: true, description: "Comes back as it is." };
const keyWords = {
  description:
    "1 to 200 characters. The same key with the same request is done once and answered alike, however often it is sent.",
};

@InputType({ description: "An experiment to pause or resume." })
export class ExperimentActionInput {
  @Field(() => ID, experimentWords)
  readonly experimentId!: string;

  @Field(() => String, mutationIdWords)
  readonly clientMutationId?: string | null;
}

@InputType({ description: "How soon an experiment's runs are served." })
export class SetPriorityInput {
  @Field(() => ID, experimentWords)
  readonly experimentId!: string;

  @Field(() => Int, {
    description: "Higher is served sooner among your own runs, -100 to 100; one is worth ten minutes of waiting.",
  })
  readonly priority!: number;

  @Field(() => String, mutationIdWords)
  readonly clientMutationId?: string | null;
}

@InputType({ description: "Failed runs to try again." })
export class RetryRunsInput {
  @Field(() => ID, experimentWords)
  readonly experimentId!: string;

  @Field(() => [ID], {
    nullable: true,
    description: "Runs that are FAILED or DEAD, at most 10,000; all of them when it is left out.",
  })
  readonly runIds?: string[] | null;

  @Field(() => Boolean, {
    defaultValue: true,
    description: "Whether runs are passed over whose input is at fault, because they would fail again.",
  })
  readonly onlyRetryable!: boolean;

  @Field(() => String, keyWords)
  readonly idempotencyKey!: string;

  @Field(() => String, mutationIdWords)
  readonly clientMutationId?: string | null;
}

@ObjectType({ description: "Answer to retryRuns." })
export class RetryRunsPayload {
  @Field(() => ExperimentType, { nullable: true, description: "The experiment as it now is." })
  readonly experiment!: object | null;

  @Field(() => Int, { description: "How many failed runs are tried again." })
  readonly runCount!: number;

  @Field(() => [RunType], {
    description: "The runs that do their work: the failed ones, or the ones that took their place. The first 100.",
  })
  readonly runs!: readonly object[];

  @Field(() => Boolean, { description: "Whether the idempotency key was seen before; nothing was done then." })
  readonly replayed!: boolean;

  @Field(() => [UserErrorType], { description: "What is wrong with the request; empty when it was done." })
  readonly errors!: readonly object[];

  @Field(() => String, { nullable: true, description: "As it came." })
  readonly clientMutationId!: string | null;
}

@InputType({ description: "Seeds and rates to add to an experiment's grid; at least one." })
export class ExtendExperimentInput {
  @Field(() => ID, experimentWords)
  readonly experimentId!: string;

  @Field(() => [Int], { nullable: true, description: "Seeds that the grid has not yet, each 0 to 2147483647." })
  readonly addSeeds?: number[] | null;

  @Field(() => [Float], {
    nullable: true,
    description: "Spuriousness rates that the grid has not yet, each 0 to 1.",
  })
  readonly addSpuriousness?: number[] | null;

  @Field(() => String, keyWords)
  readonly idempotencyKey!: string;

  @Field(() => String, mutationIdWords)
  readonly clientMutationId?: string | null;
}

@ObjectType({ description: "Answer to extendExperiment." })
export class ExtendExperimentPayload {
  @Field(() => ExperimentType, { nullable: true, description: "The experiment as it now is." })
  readonly experiment!: object | null;

  @Field(() => Boolean, { description: "Whether the idempotency key was seen before; nothing was done then." })
  readonly replayed!: boolean;

  @Field(() => [UserErrorType], { description: "What is wrong with the request; empty when it was done." })
  readonly errors!: readonly object[];

  @Field(() => String, { nullable: true, description: "As it came." })
  readonly clientMutationId!: string | null;
}
