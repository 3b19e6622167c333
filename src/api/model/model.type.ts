import { Field, ObjectType } from "type-graphql";
import type { Model, ModelSource } from "../../domain/model.js";
import { ModelSourceKindEnum } from "../enums.js";
import { NodeType } from "../node/node.type.js";
import { DateTime, Digest } from "../scalars.js";

@ObjectType("Model", { implements: NodeType, description: "A registered language model; its digest is its identity." })
export class ModelType extends NodeType implements Pick<Model, "name" | "revision" | "digest" | "createdAt"> {
  @Field(() => String, { description: "What its project calls it." })
  readonly name!: string;

  @Field(() => String, {
    description: "Version of the package, commit of the repository, or the first digits of the folder's digest.",
  })
  readonly revision!: string;

  @Field(() => Digest, { description: "Digest of its files, or of repository and commit." })
  readonly digest!: string;

  @Field(() => ModelSourceKindEnum, { description: "Where its files come from." })
  readonly sourceKind!: ModelSource["kind"];

  @Field(() => DateTime, { description: "When it was registered." })
  readonly createdAt!: Date;
}
