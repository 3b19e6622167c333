import { Field, ID, InputType, Int, ObjectType } from "type-graphql";
import { UserErrorType } from "../error/error.type.js";
import { DateTime } from "../scalars.js";
import { DeadLetterType } from "./dead-letter.type.js";

@InputType("DeadLetterFilter", { description: "Dead letters of the project that match everything that is given." })
export class DeadLetterFilterInput {
  @Field(() => ID, { nullable: true, description: "Only those of this experiment." })
  readonly experimentId?: string | null;

  @Field(() => String, { nullable: true, description: "Only those with this reason, for instance POISON or POD_LOST." })
  readonly reason?: string | null;

  @Field(() => String, { nullable: true, description: "Only those whose failure has this code." })
  readonly code?: string | null;

  @Field(() => DateTime, { nullable: true, description: "Only those of runs that died earlier." })
  readonly diedBefore?: Date | null;

  @Field(() => Boolean, { nullable: true, description: "Only those that were replayed, or only those that were not." })
  readonly replayed?: boolean | null;

  @Field(() => Boolean, { nullable: true, description: "Only those that were purged, or only those that were not." })
  readonly purged?: boolean | null;
}

const idsWords = { nullable: true, description: "These, at most 1,000. Either this or `filter`." } as const;
const filterWords = {
  nullable: true,
  description:
    "Those that match and that the key may control, at most 1,000, the oldest first. An empty one matches all. Either this or `ids`.",
} as const;
const dryRunWords = {
  defaultValue: true,
  description: "Whether to tell only what would be done. Default true.",
} as const;

@InputType({ description: "Dead letters whose runs are to be tried again." })
export class ReplayDeadLettersInput {
  @Field(() => [ID], idsWords)
  readonly ids?: string[] | null;

  @Field(() => DeadLetterFilterInput, filterWords)
  readonly filter?: DeadLetterFilterInput | null;

  @Field(() => Boolean, dryRunWords)
  readonly dryRun!: boolean;

  @Field(() => String, {
    nullable: true,
    description:
      "1 to 200 characters, needed unless it is a dry run. The same key with the same request is done once and answered alike.",
  })
  readonly idempotencyKey?: string | null;

  @Field(() => String, { nullable: true, description: "Comes back as it is." })
  readonly clientMutationId?: string | null;
}

@InputType({ description: "Dead letters whose errors and logs are to be erased." })
export class PurgeDeadLettersInput {
  @Field(() => [ID], idsWords)
  readonly ids?: string[] | null;

  @Field(() => DeadLetterFilterInput, filterWords)
  readonly filter?: DeadLetterFilterInput | null;

  @Field(() => Boolean, dryRunWords)
  readonly dryRun!: boolean;

  @Field(() => String, { nullable: true, description: "Comes back as it is." })
  readonly clientMutationId?: string | null;
}

@ObjectType({ description: "Answer to replayDeadLetters and purgeDeadLetters." })
export class DeadLettersPayload {
  @Field(() => Boolean, { description: "Whether it only tells what would be done." })
  readonly dryRun!: boolean;

  @Field(() => Int, { description: "How many dead letters it is about." })
  readonly count!: number;

  @Field(() => [DeadLetterType], { description: "Those that it is about, as they now are; the first 100." })
  readonly deadLetters!: readonly object[];

  @Field(() => Boolean, { description: "Whether the idempotency key was seen before; nothing was done then." })
  readonly replayed!: boolean;

  @Field(() => [UserErrorType], { description: "What is wrong with the request; empty when it was done." })
  readonly errors!: readonly object[];

  @Field(() => String, { nullable: true, description: "As it came." })
  readonly clientMutationId!: string | null;
}
