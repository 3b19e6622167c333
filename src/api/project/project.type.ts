import { Field, ObjectType } from "type-graphql";
import type { Project } from "../../domain/tenant.js";
import { NodeType } from "../node/node.type.js";
import { DateTime } from "../scalars.js";
import { QuotaType } from "./quota.type.js";

@ObjectType("Project", { implements: NodeType, description: "Holds experiments, data sets and models." })
export class ProjectType extends NodeType implements Pick<Project, "slug" | "name" | "createdAt"> {
  @Field(() => String, { description: "Its short name, unique in its organisation." })
  readonly slug!: string;

  @Field(() => String, { description: "Its name." })
  readonly name!: string;

  @Field(() => QuotaType, { description: "What its organisation may have, and has." })
  readonly quota!: QuotaType;

  @Field(() => DateTime, { description: "When it was made." })
  readonly createdAt!: Date;
}
