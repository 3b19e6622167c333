import { Field, Float, ObjectType } from "type-graphql";
import { connectionType } from "../connection.js";
import { type ArtifactKind, ArtifactKindEnum } from "../enums.js";
import { NodeType } from "../node/node.type.js";
import { AbsoluteUrl, Digest } from "../scalars.js";

@ObjectType("Artifact", { implements: NodeType, description: "An immutable file that a run made." })
export class ArtifactType extends NodeType {
  @Field(() => String, { description: "What the run calls it." })
  readonly name!: string;

  @Field(() => ArtifactKindEnum, { description: "What it is." })
  readonly kind!: ArtifactKind;

  @Field(() => Float, { description: "Its size." })
  readonly bytes!: number;

  @Field(() => Digest, { description: "SHA-256 of its bytes." })
  readonly digest!: string;

  @Field(() => AbsoluteUrl, { description: "Where it is downloaded, with the same key in the Authorization header." })
  readonly downloadUrl!: string;
}

export const ArtifactConnection = connectionType("Artifact", () => ArtifactType);
