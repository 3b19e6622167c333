import { Field, InputType, Int } from "type-graphql";
import { defaultOptions, type ReusePolicy, type SubmitOptions } from "../../domain/options.js";
import { ReusePolicyEnum } from "../enums.js";

@InputType("SubmitOptions", {
  description: "How an experiment's runs are served; what they answer does not depend on it.",
})
export class SubmitOptionsInput {
  @Field(() => Int, {
    nullable: true,
    description:
      "Higher is served sooner among your own runs, -100 to 100; one is worth ten minutes of waiting. Default 0.",
  })
  readonly priority?: number | null;

  @Field(() => ReusePolicyEnum, {
    nullable: true,
    description: "Whether equal work is answered from an earlier run of the project. Default EXACT_MATCH.",
  })
  readonly reuse?: ReusePolicy | null;

  @Field(() => Int, { nullable: true, description: "Tries of a run before it is given up, 1 to 10. Default 3." })
  readonly maxAttempts?: number | null;
}

/** The options with every default filled in. */
export function submitOptionsOf(input: SubmitOptionsInput | null | undefined): SubmitOptions {
  return {
    priority: input?.priority ?? defaultOptions.priority,
    reuse: input?.reuse ?? defaultOptions.reuse,
    maxAttempts: input?.maxAttempts ?? defaultOptions.maxAttempts,
  };
}
