import { randomBytes } from "node:crypto";
import { GraphQLError, type GraphQLFormattedError } from "graphql";
import type { Scope } from "../domain/tenant.js";
import { AssayError, catalogue, type ErrorCode } from "../errors.js";
import { type Log, reasonOf } from "../log.js";
import type { Context } from "./context.js";
import { type UserErrorCode, userErrorCodes } from "./enums.js";
import type { Typed } from "./node/node.type.js";

/** Several errors of one request, so that all can be told together. */
export class Faults extends Error {
  readonly faults: readonly AssayError[];

  constructor(faults: readonly AssayError[]) {
    super(faults.map((fault) => fault.message).join("; "));
    this.faults = faults;
  }
}

const FAULTS_MAX = 100;

/** What every payload carries beside its own fields. */
export interface Answer {
  readonly errors: readonly object[];
  readonly clientMutationId: string | null;
}

/**
 * Does a mutation and makes its payload. What is wrong with the request comes back under `errors`, with `nothing` in place
 * of the other fields; whatever else is thrown ends the request.
 */
export async function answered<Fields extends object>(
  input: { readonly clientMutationId?: string | null },
  nothing: Fields,
  act: () => Promise<Fields>,
): Promise<Fields & Answer> {
  const clientMutationId = input.clientMutationId ?? null;
  try {
    return { ...(await act()), errors: [], clientMutationId };
  } catch (thrown) {
    const faults = thrown instanceof Faults ? thrown.faults : thrown instanceof AssayError ? [thrown] : [];
    const errors = faults.slice(0, FAULTS_MAX).map(userError);
    if (errors.length === 0 || errors.includes(null)) throw thrown;
    return { ...nothing, errors: errors.filter((error) => error !== null), clientMutationId };
  }
}

/** Throws PERMISSION_DENIED unless the caller's key has the scope. */
export function demand(context: Context, scope: Scope): void {
  if (context.caller.scopes.includes(scope)) return;
  throw new AssayError(
    "PERMISSION_DENIED",
    `wanted a key with the scope ${scope}, but this one has ${context.caller.scopes.join(", ") || "none"}`,
    {
      detail: { requiredScope: scope },
    },
  );
}

const typenames: Readonly<Record<UserErrorCode, string>> = {
  INVALID_INPUT: "InvalidInputError",
  NOT_FOUND: "NotFoundError",
  PERMISSION_DENIED: "PermissionDeniedError",
  IDEMPOTENCY_CONFLICT: "IdempotencyConflictError",
  STATE_CONFLICT: "StateConflictError",
  QUEUE_FULL: "QueueFullError",
  QUOTA_EXCEEDED: "QuotaExceededError",
  DATASET_INVALID: "DatasetInvalidError",
  MODEL_UNSAFE: "ModelUnsafeError",
  UNSUPPORTED_COMBINATION: "UnsupportedCombinationError",
  CLAIM_UNSUPPORTED: "ClaimUnsupportedError",
};

/** The published error, or null when the fault is not the user's. */
function userError(error: AssayError): Typed | null {
  const code = userErrorCodes.find((known) => known === error.code);
  if (code === undefined) return null;
  const path = error.path.length === 0 ? null : error.path;
  const published = { ...error.detail, __typename: typenames[code], message: error.message, code, path };
  return published;
}

/** An error that ends a request, as the client sees it. */
export interface PublicError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly path: readonly string[];
  /** By which our log line about it is found; null for errors that need none. */
  readonly traceId: string | null;
}

/** What a client may know of anything that was thrown. Faults that are not the client's are logged, and masked. */
export function publicError(thrown: unknown, log: Log): PublicError {
  if (thrown instanceof AssayError && catalogue[thrown.code].http < 500) {
    return { code: thrown.code, message: thrown.message, path: thrown.path, traceId: null };
  }
  const code = thrown instanceof AssayError ? thrown.code : "INTERNAL";
  const traceId = randomBytes(8).toString("hex");
  const cause = thrown instanceof Error && thrown.cause !== undefined ? reasonOf(thrown.cause) : null;
  const stack = thrown instanceof Error ? (thrown.stack ?? null) : null;
  log.error("request failed", { traceId, code, reason: reasonOf(thrown), cause, stack });
  return { code, message: catalogue[code].sentence, path: [], traceId };
}

/** What stands under `extensions` of an error. */
export function extensionsOf({ code, path, traceId }: PublicError): Record<string, unknown> {
  return { code, ...(path.length > 0 ? { input: path } : {}), ...(traceId === null ? {} : { traceId }) };
}

/** Codes of Apollo and graphql-js in words of the catalogue. */
const foreignCodes: Readonly<Record<string, ErrorCode>> = {
  BAD_USER_INPUT: "INVALID_INPUT",
  BAD_REQUEST: "MALFORMED_REQUEST",
  GRAPHQL_PARSE_FAILED: "MALFORMED_REQUEST",
  GRAPHQL_VALIDATION_FAILED: "MALFORMED_REQUEST",
  OPERATION_RESOLUTION_FAILURE: "MALFORMED_REQUEST",
  PERSISTED_QUERY_NOT_FOUND: "MALFORMED_REQUEST",
  PERSISTED_QUERY_NOT_SUPPORTED: "MALFORMED_REQUEST",
};

/** A top-level error as it leaves: no stack, no text of ours, no name of the schema that the client did not write. */
export function presentError(formatted: GraphQLFormattedError, thrown: unknown, log: Log): GraphQLFormattedError {
  const { path, locations } = formatted;
  const place = { ...(locations === undefined ? {} : { locations }), ...(path === undefined ? {} : { path }) };
  const error = clientsFault(formatted, thrown) ?? publicError(causeOf(thrown), log);
  return { message: error.message, ...place, extensions: extensionsOf(error) };
}

/** What Apollo and graphql-js find wrong with a request; null for what was thrown while it was being answered. */
function clientsFault({ message, path, extensions }: GraphQLFormattedError, thrown: unknown): PublicError | null {
  if (causeOf(thrown) instanceof AssayError) return null;
  const known = foreignCodes[String(extensions?.["code"])];
  // Errors of syntax, validation and variables have no path and no cause; those of execution have both.
  const bare = path === undefined && causeOf(thrown) instanceof GraphQLError ? "MALFORMED_REQUEST" : undefined;
  const code = known ?? bare;
  return code === undefined ? null : { code, message: withoutSuggestion(message), path: [], traceId: null };
}

/**
 * Wraps an error of the catalogue on its way through graphql-js, which would take our `path`, of an input, for its own, of
 * the answer.
 */
export function located(thrown: unknown): unknown {
  return thrown instanceof AssayError ? new GraphQLError(thrown.message, { originalError: thrown }) : thrown;
}

function causeOf(thrown: unknown): unknown {
  return thrown instanceof GraphQLError && thrown.originalError !== undefined ? causeOf(thrown.originalError) : thrown;
}

function withoutSuggestion(message: string): string {
  return message.replace(/ Did you mean .*$/s, "");
}
