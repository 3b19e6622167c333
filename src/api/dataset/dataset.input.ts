import { Field, Float, ID, InputType, Int, ObjectType } from "type-graphql";
import type { DatasetKind } from "../../domain/dataset.js";
import { DatasetKindEnum } from "../enums.js";
import { UserErrorType } from "../error/error.type.js";
import { AbsoluteUrl, Digest } from "../scalars.js";
import { DatasetVersionType } from "./dataset.type.js";

@InputType({ description: "A file that is going to be uploaded." })
export class BeginDatasetUploadInput {
  @Field(() => ID, { description: "The project that will hold it." })
  readonly projectId!: string;

  @Field(() => String, {
    description: "The data set's name in the project, 1 to 200 characters; a known name gets a new version.",
  })
  readonly name!: string;

  @Field(() => DatasetKindEnum, { description: "What the rows are." })
  readonly kind!: DatasetKind;

  @Field(() => Float, { description: "The file's size, at most 268435456 (256 MiB)." })
  readonly bytes!: number;

  @Field(() => Digest, { description: "SHA-256 of the file." })
  readonly digest!: string;

  @Field(() => String, { nullable: true, description: "Comes back as it is." })
  readonly clientMutationId?: string | null;
}

@ObjectType({ description: "Where a part of an upload is sent." })
export class UploadPart {
  @Field(() => Int, { description: "Which part, from 1." })
  readonly number!: number;

  @Field(() => AbsoluteUrl, {
    description: "Takes the bytes by HTTP PUT, with the same key in the Authorization header.",
  })
  readonly url!: string;
}

@ObjectType({ description: "Answer to beginDatasetUpload." })
export class BeginDatasetUploadPayload {
  @Field(() => ID, { nullable: true, description: "Names the upload; null when nothing needs to be sent." })
  readonly uploadId!: string | null;

  @Field(() => [UploadPart], { description: "Where the bytes go; empty when nothing needs to be sent." })
  readonly parts!: readonly UploadPart[];

  @Field(() => DatasetVersionType, {
    nullable: true,
    description: "The version with these very bytes, where the data set has one.",
  })
  readonly existing!: object | null;

  @Field(() => [UserErrorType], { description: "What is wrong with the request; empty when it was done." })
  readonly errors!: readonly object[];

  @Field(() => String, { nullable: true, description: "As it came." })
  readonly clientMutationId!: string | null;
}

@InputType({ description: "An upload whose bytes were sent." })
export class CompleteDatasetUploadInput {
  @Field(() => ID, { description: "The upload, as beginDatasetUpload named it." })
  readonly uploadId!: string;

  @Field(() => [String], {
    nullable: true,
    description: "The ETag that each part was answered with, in order; they may be left out.",
  })
  readonly partTags?: string[] | null;

  @Field(() => String, { nullable: true, description: "Comes back as it is." })
  readonly clientMutationId?: string | null;
}

@ObjectType({ description: "Answer to completeDatasetUpload." })
export class CompleteDatasetUploadPayload {
  @Field(() => DatasetVersionType, { nullable: true, description: "The version, if its rows are in order." })
  readonly version!: object | null;

  @Field(() => [UserErrorType], { description: "What is wrong with the request or the rows; empty when it was done." })
  readonly errors!: readonly object[];

  @Field(() => String, { nullable: true, description: "As it came." })
  readonly clientMutationId!: string | null;
}
