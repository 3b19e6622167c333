import { Field, InterfaceType, ObjectType } from "type-graphql";
import type { ErrorClass } from "../../domain/run.js";
import type { Typed } from "../node/node.type.js";

/** What every failure of work says. */
@InterfaceType("RunFailure", {
  description: "Why work failed, and what may be done about it.",
  resolveType: (value: Typed) => value.__typename,
})
export abstract class RunFailureType {
  @Field(() => String, { description: "For programs." })
  readonly code!: string;

  @Field(() => String, { description: "For people." })
  readonly message!: string;

  @Field(() => String, { description: "What was being done." })
  readonly stage!: string;

  @Field(() => Boolean, { description: "Whether another attempt may succeed." })
  readonly retryable!: boolean;

  @Field(() => String, { description: "What may be done about it." })
  readonly remedy!: string;
}

@ObjectType("DataFailure", { implements: RunFailureType, description: "What the run was given cannot be worked on." })
export class DataFailureType extends RunFailureType {}

@ObjectType("OutOfMemoryFailure", {
  implements: RunFailureType,
  description: "The memory of the host or the device ran out.",
})
export class OutOfMemoryFailureType extends RunFailureType {}

@ObjectType("WorkFailure", { implements: RunFailureType, description: "The work broke off for another reason." })
export class WorkFailureType extends RunFailureType {}

/** Every concrete failure, for the schema's list of types that are only reached through the interface. */
export const runFailureTypes = [DataFailureType, OutOfMemoryFailureType, WorkFailureType] as const;

/** What a run or an attempt says of its failure. */
export interface FailureFacts {
  readonly errorClass: ErrorClass | null;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
  readonly errorStage: string | null;
}

/** A pod that is lost says no class; its run's code and message are there all the same. */
const kinds: Readonly<
  Record<ErrorClass | "LOST", { readonly type: string; readonly retryable: boolean; readonly remedy: string }>
> = {
  BAD_INPUT: { type: "DataFailure", retryable: false, remedy: "Change what the message names and submit again." },
  OOM: {
    type: "OutOfMemoryFailure",
    retryable: true,
    remedy: "Lower promptsPerStep or train fewer blocks, or give the pod fewer slots.",
  },
  POISON: {
    type: "WorkFailure",
    retryable: true,
    remedy: "The run's process died; if it does so again, look into the pod's log.",
  },
  TRANSIENT: {
    type: "WorkFailure",
    retryable: true,
    remedy: "Nothing while it has tries left; once it is given up, retryRuns tries it again.",
  },
  OVERLOAD: { type: "WorkFailure", retryable: true, remedy: "Nothing: it waits for a pod with room." },
  LOST: {
    type: "WorkFailure",
    retryable: true,
    remedy: "Nothing: it is tried again by itself, up to 20 times; then look into why pods go away.",
  },
  UNKNOWN: { type: "WorkFailure", retryable: true, remedy: "Look into the pod's log at the time of the failure." },
};

/** The published failure, or null where nothing failed. */
export function failureOf(facts: FailureFacts): (RunFailureType & Typed) | null {
  const errorClass = facts.errorClass ?? (facts.errorCode === null ? null : "LOST");
  if (errorClass === null) return null;
  const { type, retryable, remedy } = kinds[errorClass];
  return {
    __typename: type,
    code: facts.errorCode ?? errorClass,
    message: facts.errorMessage ?? "The pod gave no reason.",
    stage: facts.errorStage ?? "unknown",
    retryable,
    remedy,
  };
}
