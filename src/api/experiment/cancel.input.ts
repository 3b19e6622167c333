import { Field, ID, InputType, ObjectType } from "type-graphql";
import type { CancelMode } from "../../domain/run.js";
import { CancelModeEnum } from "../enums.js";
import { UserErrorType } from "../error/error.type.js";
import { ExperimentType } from "./experiment.type.js";

@InputType({ description: "An experiment to end early." })
export class CancelExperimentInput {
  @Field(() => ID, { description: "The experiment." })
  readonly experimentId!: string;

  @Field(() => CancelModeEnum, { defaultValue: "GRACEFUL", description: "How it ends." })
  readonly mode!: CancelMode;

  @Field(() => String, { nullable: true, description: "Why, for whoever looks later; at most 1000 characters." })
  readonly reason?: string | null;

  @Field(() => String, { nullable: true, description: "Comes back as it is." })
  readonly clientMutationId?: string | null;
}

@ObjectType({ description: "Answer to what is done to an experiment as a whole." })
export class ExperimentActionPayload {
  @Field(() => ExperimentType, { nullable: true, description: "The experiment as it now is." })
  readonly experiment!: object | null;

  @Field(() => Boolean, { description: "False when there was nothing to change: it had ended, or was so already." })
  readonly changed!: boolean;

  @Field(() => [UserErrorType], { description: "What is wrong with the request; empty when it was done." })
  readonly errors!: readonly object[];

  @Field(() => String, { nullable: true, description: "As it came." })
  readonly clientMutationId!: string | null;
}
