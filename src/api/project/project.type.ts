import { Field, ObjectType } from "type-graphql";
import type { Project } from "../../domain/tenant.js";
import { NodeType } from "../node/node.type.js";
import { DateTime } from "../scalars.js";

@ObjectType("Project", { implements: NodeType, description: "Holds experiments, data sets and models." })
export class ProjectType extends NodeType implements Pick<Project, "slug" | "name" | "createdAt"> {
  @Field(() => String, { description: "Its short name, unique in its organisation." })
  readonly slug!: string;

  @Field(() => String, { description: "Its name." })
  readonly name!: string;

  @Field(() => DateTime, { description: "When it was made." })
  readonly createdAt!: Date;
}
