import { Field, InterfaceType, ObjectType } from "type-graphql";
import type { Scope } from "../../domain/tenant.js";
import { ScopeEnum } from "../enums.js";
import { NodeType, type Typed } from "../node/node.type.js";
import { ProjectType } from "../project/project.type.js";

/** Whoever can do something. */
@InterfaceType("Actor", {
  implements: NodeType,
  description: "Whoever can do something.",
  resolveType: (value: Typed) => value.__typename,
})
export abstract class ActorType extends NodeType {
  @Field(() => String, { description: "For people." })
  readonly displayName!: string;
}

@ObjectType("ServiceAccount", { implements: ActorType, description: "An API key and what it may do." })
export class ServiceAccountType extends ActorType {
  @Field(() => ProjectType, { description: "The project that the key opens." })
  readonly project!: object;

  @Field(() => [ScopeEnum], { description: "What the key may do." })
  readonly scopes!: readonly Scope[];
}

@ObjectType("Viewer", { description: "Whoever is asking." })
export class ViewerType {
  @Field(() => ActorType, { description: "The key of this request." })
  readonly actor!: object;

  @Field(() => ProjectType, { description: "The project that the key opens." })
  readonly project!: object;
}
