import { Field, Float, ObjectType } from "type-graphql";

@ObjectType("Usage", { description: "What was used, every attempt counted once." })
export class UsageType {
  @Field(() => Float, { description: "Seconds of attempts." })
  readonly wallSeconds!: number;

  @Field(() => Float, { description: "Seconds of processor time." })
  readonly cpuSeconds!: number;

  @Field(() => Float, { description: "Seconds of a GPU." })
  readonly gpuSeconds!: number;
}
