import { Field, ID, InputType, ObjectType } from "type-graphql";
import { ArtifactType } from "../artifact/artifact.type.js";
import { type ExportFormat, ExportFormatEnum } from "../enums.js";
import { UserErrorType } from "../error/error.type.js";

@InputType({ description: "An experiment whose report is wanted in another form." })
export class ExportExperimentInput {
  @Field(() => ID, { description: "The experiment." })
  readonly experimentId!: string;

  @Field(() => ExportFormatEnum, { description: "The form." })
  readonly format!: ExportFormat;

  @Field(() => String, { nullable: true, description: "Comes back as it is." })
  readonly clientMutationId?: string | null;
}

@ObjectType({ description: "Answer to exportExperiment." })
export class ExportExperimentPayload {
  @Field(() => ArtifactType, { nullable: true, description: "The file; null where there is none." })
  readonly artifact!: object | null;

  @Field(() => [UserErrorType], { description: "What is wrong with the request; empty when it was done." })
  readonly errors!: readonly object[];

  @Field(() => String, { nullable: true, description: "As it came." })
  readonly clientMutationId!: string | null;
}
