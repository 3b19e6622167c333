import { Field, Float, ID, Int, InterfaceType, ObjectType } from "type-graphql";
import type { Scope } from "../../domain/tenant.js";
import { DatasetValidationType } from "../dataset/validation.type.js";
import { ErrorCodeEnum, ScopeEnum, type UserErrorCode } from "../enums.js";
import type { Typed } from "../node/node.type.js";
import { DateTime } from "../scalars.js";

/** What every error of a payload says. */
@InterfaceType("UserError", {
  description: "What is wrong with a request, said as what was wanted and what came. Nothing was done.",
  resolveType: (value: Typed) => value.__typename,
})
export abstract class UserErrorType {
  @Field(() => String, { description: "For people." })
  readonly message!: string;

  @Field(() => ErrorCodeEnum, { description: "For programs." })
  readonly code!: UserErrorCode;

  @Field(() => [String], {
    nullable: true,
    description: "Path of the input field at fault; null when it is the request as a whole.",
  })
  readonly path!: readonly string[] | null;
}

@ObjectType("InvalidInputError", { implements: UserErrorType, description: "A value is not what its field takes." })
export class InvalidInputErrorType extends UserErrorType {
  @Field(() => String, { description: "What the field takes." })
  readonly constraint!: string;
}

@ObjectType("NotFoundError", { implements: UserErrorType, description: "Nothing with this id is visible to the key." })
export class NotFoundErrorType extends UserErrorType {
  @Field(() => ID, { description: "The id that was given." })
  readonly missingId!: string;
}

@ObjectType("PermissionDeniedError", { implements: UserErrorType, description: "The key lacks the scope for this." })
export class PermissionDeniedErrorType extends UserErrorType {
  @Field(() => ScopeEnum, { description: "The scope that the mutation needs." })
  readonly requiredScope!: Scope;
}

@ObjectType("IdempotencyConflictError", {
  implements: UserErrorType,
  description: "The idempotency key was used before with another request.",
})
export class IdempotencyConflictErrorType extends UserErrorType {
  @Field(() => DateTime, { description: "When the key was first used." })
  readonly firstSeenAt!: Date;
}

@ObjectType("StateConflictError", {
  implements: UserErrorType,
  description: "The thing is in a state that does not allow this.",
})
export class StateConflictErrorType extends UserErrorType {
  @Field(() => String, { description: "The state that it is in." })
  readonly currentState!: string;

  @Field(() => [String], { description: "The states that would allow it." })
  readonly allowedFrom!: readonly string[];
}

@ObjectType("QueueFullError", {
  implements: UserErrorType,
  description: "There is no room for the request's runs just now. Its idempotency key is not used up.",
})
export class QueueFullErrorType extends UserErrorType {
  @Field(() => Int, { description: "Runs that may wait, or be submitted in a minute." })
  readonly limit!: number;

  @Field(() => Int, { description: "Runs that wait, or were submitted in the last minute." })
  readonly used!: number;

  @Field(() => Int, { description: "Runs that the request would add." })
  readonly requested!: number;

  @Field(() => Int, { description: "When asking again makes sense." })
  readonly retryAfterSeconds!: number;
}

@ObjectType("QuotaExceededError", {
  implements: UserErrorType,
  description: "The request alone is larger than the quota; a smaller one, or a larger quota, is needed.",
})
export class QuotaExceededErrorType extends UserErrorType {
  @Field(() => Int, { description: "Runs that may wait, or be submitted in a minute." })
  readonly limit!: number;

  @Field(() => Int, { description: "Runs that the request would add." })
  readonly requested!: number;
}

@ObjectType("DatasetInvalidError", {
  implements: UserErrorType,
  description: "Rows of the data set break the format or its rules.",
})
export class DatasetInvalidErrorType extends UserErrorType {
  @Field(() => DatasetValidationType, { description: "What was found, row by row." })
  readonly validation!: DatasetValidationType;
}

@ObjectType("ModelUnsafeError", {
  implements: UserErrorType,
  description: "The model folder holds something that could run code, or is not safetensors.",
})
export class ModelUnsafeErrorType extends UserErrorType {
  @Field(() => String, { nullable: true, description: "The file at fault; null when one is missing." })
  readonly file!: string | null;
}

@ObjectType("UnsupportedCombinationError", {
  implements: UserErrorType,
  description: "Each value is valid, but not together.",
})
export class UnsupportedCombinationErrorType extends UserErrorType {
  @Field(() => [String], { description: "What is supported in its place." })
  readonly supported!: readonly string[];
}

@ObjectType("ClaimUnsupportedError", {
  implements: UserErrorType,
  description: "The experiment has too few seeds for any outcome of it to support the claim.",
})
export class ClaimUnsupportedErrorType extends UserErrorType {
  @Field(() => Int, { description: "Seeds that such a claim needs." })
  readonly seedsNeeded!: number;

  @Field(() => Int, { description: "Seeds that the request has." })
  readonly seedsGiven!: number;

  @Field(() => Float, { description: "The smallest p that so many seeds can give." })
  readonly smallestP!: number;
}

/** Every concrete error, for the schema's list of types that are only reached through the interface. */
export const userErrorTypes = [
  InvalidInputErrorType,
  NotFoundErrorType,
  PermissionDeniedErrorType,
  IdempotencyConflictErrorType,
  StateConflictErrorType,
  QueueFullErrorType,
  QuotaExceededErrorType,
  DatasetInvalidErrorType,
  ModelUnsafeErrorType,
  UnsupportedCombinationErrorType,
  ClaimUnsupportedErrorType,
] as const;
