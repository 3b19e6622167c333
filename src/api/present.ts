import { GraphQLError, type GraphQLFormattedError } from "graphql";
import { randomBytes } from "node:crypto";
import { catalogue, AssayError, type ErrorCode } from "../errors.js";
import { type Log, reasonOf } from "../log.js";
import type { Scope } from "../domain/tenant.js";
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
  throw new AssayError("PERMISSION_DENIED", `wanted a key with the scope ${scope}, but this one has ${context.caller.scopes.join(", ") || "none"}`, {
    detail: { requiredScope: scope },
  });
}

const typenames: Readonly<Record<UserErrorCode, string>> = {
  INVALID_INPUT: "InvalidInputError",
  NOT_FOUND: "NotFoundError",
  PERMISSION_DENIED: "PermissionDeniedError",
  IDEMPOTENCY_CONFLICT: "IdempotencyConflictError",
  STATE_CONFLICT: "StateConflictError",
  DATASET_INVALID: "DatasetInvalidError",
  MODEL_UNSAFE: "ModelUnsafeError",
  UNSUPPORTED_COMBINATION: "UnsupportedCombinationError",
};

/** The published error, or null when the fault is not the user's. */
function userError(error: AssayError): Typed | null {
  const code = userErrorCodes.find((known) => known === error.code);
  if (code === undefined) return null;
  const path = error.path.length === 0 ? null : error.path;
  const published = { ...error.detail, __typename: typenames[code], message: error.message, code, path };
  return published;
}

/** A name for one request, by which its log lines are found. */
export function newTraceId(): string {
  return randomBytes(8).toString("hex");
}

/** An error that ends a request, as the client sees it. */
export interface PublicError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly path: readonly string[];
}

/** What a client may know of anything that was thrown. What is not from the catalogue is logged and masked. */
export function publicError(thrown: unknown, log: Log, traceId: string): PublicError {
  if (thrown instanceof AssayError && catalogue[thrown.code].http < 500) {
    return { code: thrown.code, message: thrown.message, path: thrown.path };
  }
  const code = thrown instanceof AssayError ? thrown.code : "INTERNAL";
  const cause = thrown instanceof Error && thrown.cause !== undefined ? reasonOf(thrown.cause) : null;
  log.error("request failed", { traceId, code, reason: reasonOf(thrown), cause, stack: stackOf(thrown) });
  return { code, message: catalogue[code].sentence, path: [] };
}

function stackOf(thrown: unknown): string | null {
  return thrown instanceof Error ? (thrown.stack ?? null) : null;
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
export function presentError(formatted: GraphQLFormattedError, thrown: unknown, log: Log, traceId: string): GraphQLFormattedError {
  const { message, path, locations } = formatted;
  const place = { ...(locations === undefined ? {} : { locations }), ...(path === undefined ? {} : { path }) };
  const original = thrown instanceof GraphQLError && thrown.originalError !== undefined ? thrown.originalError : thrown;
  const known = foreignCodes[String(formatted.extensions?.["code"])];
  if (known !== undefined && !(original instanceof AssayError)) {
    return { message: withoutSuggestion(message), ...place, extensions: { code: known, traceId } };
  }
  // graphql-js reports by bare GraphQLErrors what is wrong with a document or with a value that a client sent.
  // Those of syntax, validation and variables have no path; those of execution have one and are ours.
  if (original instanceof GraphQLError && path === undefined) {
    return { message: withoutSuggestion(message), ...place, extensions: { code: "MALFORMED_REQUEST", traceId } };
  }
  const error = publicError(original, log, traceId);
  const input = error.path.length > 0 ? { input: error.path } : {};
  return { message: error.message, ...place, extensions: { code: error.code, traceId, ...input } };
}

function withoutSuggestion(message: string): string {
  return message.replace(/ Did you mean [^]*$/, "");
}
