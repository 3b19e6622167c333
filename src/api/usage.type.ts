import { Field, Float, ObjectType } from "type-graphql";

@ObjectType("SecondsSaved", { description: "Seconds that were not used because equal work had been done before." })
export class SecondsSavedType {
  @Field(() => Float, { description: "Seconds of attempts." })
  readonly wall!: number;

  @Field(() => Float, { description: "Seconds of processor time." })
  readonly cpu!: number;

  @Field(() => Float, { description: "Seconds of a GPU." })
  readonly gpu!: number;
}

@ObjectType("Usage", { description: "What was used, every attempt counted once." })
export class UsageType {
  @Field(() => Float, { description: "Seconds of attempts." })
  readonly wallSeconds!: number;

  @Field(() => Float, { description: "Seconds of processor time." })
  readonly cpuSeconds!: number;

  @Field(() => Float, { description: "Seconds of a GPU." })
  readonly gpuSeconds!: number;

  @Field(() => Float, { description: "Tokens that language models read, asked for expansions." })
  readonly promptTokens!: number;

  @Field(() => Float, { description: "Tokens that language models wrote." })
  readonly completionTokens!: number;

  @Field(() => Float, { description: "Answers of language models; several to one query count as often." })
  readonly queries!: number;

  @Field(() => SecondsSavedType, {
    description: "What the runs that were answered from earlier ones would have used: as much as those did.",
  })
  readonly savedByReuseSeconds!: SecondsSavedType;
}
