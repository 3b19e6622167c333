import { Field, Float, Int, ObjectType } from "type-graphql";
import type { Dataset, DatasetVersion } from "../../domain/dataset.js";
import { DatasetKindEnum } from "../enums.js";
import { NodeType } from "../node/node.type.js";
import { DateTime, Digest } from "../scalars.js";
import { DatasetValidationType } from "./validation.type.js";

@ObjectType("Dataset", { implements: NodeType, description: "A named series of versions." })
export class DatasetType extends NodeType implements Pick<Dataset, "name" | "kind" | "createdAt"> {
  @Field(() => String, { description: "Its name in the project." })
  readonly name!: string;

  @Field(() => DatasetKindEnum, { description: "What its rows are." })
  readonly kind!: Dataset["kind"];

  @Field(() => DateTime, { description: "When its first version came." })
  readonly createdAt!: Date;
}

@ObjectType("DatasetVersion", { implements: NodeType, description: "Immutable rows; the digest is their identity." })
export class DatasetVersionType extends NodeType implements Pick<DatasetVersion, "digest" | "rows" | "createdAt"> {
  @Field(() => DatasetType, { description: "The data set that it is a version of." })
  readonly dataset!: object;

  @Field(() => Digest, { description: "SHA-256 of its bytes." })
  readonly digest!: string;

  @Field(() => Int, { description: "How many rows it has." })
  readonly rows!: number;

  @Field(() => Float, { description: "Its size." })
  readonly bytes!: number;

  @Field(() => DateTime, { description: "When it was completed." })
  readonly createdAt!: Date;

  @Field(() => DatasetValidationType, {
    description: "What checking its rows found; a version exists only if they are in order.",
  })
  readonly validation!: DatasetValidationType;
}
