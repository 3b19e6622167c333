import { Field, Float, Int, ObjectType } from "type-graphql";
import type { CancelMode, RunState } from "../../domain/run.js";
import type { ReceiptSums, RunReceipt } from "../../store/receipts.js";
import { ArtifactType } from "../artifact/artifact.type.js";
import { connectionType } from "../connection.js";
import { CancelModeEnum, RunStateEnum } from "../enums.js";
import { RunType } from "../run/run.type.js";
import { DateTime } from "../scalars.js";
import { ActorType } from "../viewer/actor.type.js";

type Seconds = "secondsReserved" | "secondsUsed" | "secondsReturned";

@ObjectType("CancelledRun", { description: "What a cancel made of one run that had not ended before it." })
export class CancelledRunType implements Pick<RunReceipt, Seconds | "state" | "lastStep"> {
  @Field(() => RunType, { description: "The run." })
  readonly run!: object;

  @Field(() => RunStateEnum, {
    description: "CANCELLING until its pod has stopped; then CANCELLED, or SUCCEEDED with a partial result.",
  })
  readonly state!: RunState;

  @Field(() => Float, {
    nullable: true,
    description:
      "The last step that its pod said was done, of training where the run trains; null where none was heard of.",
  })
  readonly lastStep!: number | null;

  @Field(() => Float, { description: "Compute seconds that its attempts set aside." })
  readonly secondsReserved!: number;

  @Field(() => Float, { description: "Compute seconds that its attempts used." })
  readonly secondsUsed!: number;

  @Field(() => Float, {
    description: "Compute seconds that went back to the quota; negative where more were used than set aside.",
  })
  readonly secondsReturned!: number;

  @Field(() => [ArtifactType], { description: "Files of it that stay." })
  readonly files!: readonly object[];
}

export const CancelledRunConnection = connectionType("CancelledRun", () => CancelledRunType);

@ObjectType("Cancellation", {
  description: "The receipt of a cancel: what was stopped, what it cost and what came back.",
})
export class CancellationType implements Pick<ReceiptSums, Seconds | "runCount" | "filesKept"> {
  @Field(() => CancelModeEnum, { description: "How the experiment was asked to end; the last mode where two asked." })
  readonly mode!: CancelMode;

  @Field(() => String, { nullable: true, description: "Why." })
  readonly reason!: string | null;

  @Field(() => DateTime, { description: "When it was first asked for." })
  readonly requestedAt!: Date;

  @Field(() => ActorType, { nullable: true, description: "Whose key asked." })
  readonly requestedBy!: object | null;

  @Field(() => Boolean, { description: "Whether every run has ended; until then the figures may still change." })
  readonly complete!: boolean;

  @Field(() => Int, { description: "Runs that had not ended before it." })
  readonly runCount!: number;

  @Field(() => Float, { description: "Compute seconds that those runs' attempts set aside." })
  readonly secondsReserved!: number;

  @Field(() => Float, { description: "Compute seconds that they used." })
  readonly secondsUsed!: number;

  @Field(() => Float, { description: "Compute seconds that went back to the quota." })
  readonly secondsReturned!: number;

  @Field(() => Int, { description: "Files of those runs that stay." })
  readonly filesKept!: number;
}
