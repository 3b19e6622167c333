import { Field, Int, ObjectType } from "type-graphql";
import type { DeadLetter } from "../../domain/dead-letter.js";
import { connectionType } from "../connection.js";
import { ExperimentType } from "../experiment/experiment.type.js";
import { NodeType } from "../node/node.type.js";
import { RunFailureType } from "../run/failure.type.js";
import { RunType } from "../run/run.type.js";
import { DateTime } from "../scalars.js";

@ObjectType("DeadLetter", {
  implements: NodeType,
  description: "What is kept of a run that was given up: one for each time that it became DEAD.",
})
export class DeadLetterType
  extends NodeType
  implements Pick<DeadLetter, "epoch" | "reason" | "logTail" | "replayedAt" | "purgedAt">
{
  @Field(() => ExperimentType, { description: "The experiment of the run." })
  readonly experiment!: object;

  @Field(() => RunType, { description: "The run, as it now is." })
  readonly run!: object;

  @Field(() => Int, { description: "The run's epoch when it died." })
  readonly epoch!: number;

  @Field(() => String, { description: "The class of its last error, or POD_LOST." })
  readonly reason!: string;

  @Field(() => RunFailureType, { description: "Why its last attempt failed; without its words once it was purged." })
  readonly failure!: object;

  @Field(() => String, {
    nullable: true,
    description: "The end of what the run said, at most 64 KiB; null where it said nothing, and once it was purged.",
  })
  readonly logTail!: string | null;

  @Field(() => DateTime, { description: "When the run died." })
  readonly diedAt!: Date;

  @Field(() => DateTime, { nullable: true, description: "When the run was tried again; null while it waits for that." })
  readonly replayedAt!: Date | null;

  @Field(() => DateTime, { nullable: true, description: "When its error and log were erased." })
  readonly purgedAt!: Date | null;
}

export const DeadLetterConnection = connectionType("DeadLetter", () => DeadLetterType);
