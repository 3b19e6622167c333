/**
 * The catalogue of everything that can go wrong on purpose: one stable code, its sentence, and what each edge makes of it.
 * `docs/errors.md` is made from it and a test holds the two together.
 */

interface Entry {
  /** What the code means, for people. */
  readonly sentence: string;
  /** Status when the error ends an HTTP request. */
  readonly http: number;
  /** gRPC status name when it crosses to or from a pod. */
  readonly grpc: string;
  /** Exit code of the `assay` command. */
  readonly exit: number;
  /** Whether the same request may succeed later. */
  readonly retriable: boolean;
}

/** Every code with what the edges make of it. */
export const catalogue = {
  UNAUTHENTICATED: {
    sentence: "The API key is missing, malformed, unknown, expired or revoked.",
    http: 401,
    grpc: "UNAUTHENTICATED",
    exit: 77,
    retriable: false,
  },
  PERMISSION_DENIED: {
    sentence: "The key lacks the scope for this.",
    http: 403,
    grpc: "PERMISSION_DENIED",
    exit: 77,
    retriable: false,
  },
  NOT_FOUND: {
    sentence: "Nothing with this id is visible to the key.",
    http: 404,
    grpc: "NOT_FOUND",
    exit: 66,
    retriable: false,
  },
  INVALID_INPUT: {
    sentence: "A value is not what its field takes.",
    http: 400,
    grpc: "INVALID_ARGUMENT",
    exit: 65,
    retriable: false,
  },
  UNSUPPORTED_COMBINATION: {
    sentence: "Each value is valid, but not together.",
    http: 400,
    grpc: "INVALID_ARGUMENT",
    exit: 65,
    retriable: false,
  },
  CLAIM_UNSUPPORTED: {
    sentence: "The experiment has too few seeds for any outcome of it to support the claim.",
    http: 400,
    grpc: "INVALID_ARGUMENT",
    exit: 65,
    retriable: false,
  },
  DATASET_INVALID: {
    sentence: "Rows of the data set break the format or its rules.",
    http: 400,
    grpc: "FAILED_PRECONDITION",
    exit: 65,
    retriable: false,
  },
  MODEL_UNSAFE: {
    sentence: "The model folder holds something that could run code, or is not safetensors.",
    http: 400,
    grpc: "FAILED_PRECONDITION",
    exit: 65,
    retriable: false,
  },
  IDEMPOTENCY_CONFLICT: {
    sentence: "The idempotency key was used before with another request.",
    http: 409,
    grpc: "ALREADY_EXISTS",
    exit: 65,
    retriable: false,
  },
  STATE_CONFLICT: {
    sentence: "The thing is in a state that does not allow this.",
    http: 409,
    grpc: "FAILED_PRECONDITION",
    exit: 65,
    retriable: false,
  },
  QUEUE_FULL: {
    sentence: "The organisation has as many runs waiting, or has submitted as many in the last minute, as it may.",
    http: 429,
    grpc: "RESOURCE_EXHAUSTED",
    exit: 75,
    retriable: true,
  },
  QUOTA_EXCEEDED: {
    sentence: "The request alone is larger than the organisation's quota.",
    http: 403,
    grpc: "FAILED_PRECONDITION",
    exit: 65,
    retriable: false,
  },
  QUERY_TOO_COMPLEX: {
    sentence: "The GraphQL document is over a limit of depth, aliases, tokens or page size.",
    http: 400,
    grpc: "RESOURCE_EXHAUSTED",
    exit: 65,
    retriable: false,
  },
  PAYLOAD_TOO_LARGE: {
    sentence: "The request body is over its limit.",
    http: 413,
    grpc: "RESOURCE_EXHAUSTED",
    exit: 65,
    retriable: false,
  },
  MALFORMED_REQUEST: {
    sentence: "The request is not well-formed HTTP, JSON or GraphQL.",
    http: 400,
    grpc: "INVALID_ARGUMENT",
    exit: 65,
    retriable: false,
  },
  STALE_EPOCH: {
    sentence: "The attempt no longer holds the run's lease; what it says does not count.",
    http: 409,
    grpc: "ABORTED",
    exit: 42,
    retriable: false,
  },
  POD_UNAVAILABLE: {
    sentence: "No pod could take the run just now.",
    http: 503,
    grpc: "UNAVAILABLE",
    exit: 75,
    retriable: true,
  },
  STORE_UNAVAILABLE: {
    sentence: "The database cannot be reached just now; nothing was accepted.",
    http: 503,
    grpc: "UNAVAILABLE",
    exit: 75,
    retriable: true,
  },
  BUS_UNAVAILABLE: {
    sentence: "Kafka cannot be reached just now; what was accepted waits in the database.",
    http: 503,
    grpc: "UNAVAILABLE",
    exit: 75,
    retriable: true,
  },
  ARTIFACTS_UNAVAILABLE: {
    sentence: "The artifact store cannot be reached just now, or refused the service.",
    http: 503,
    grpc: "UNAVAILABLE",
    exit: 75,
    retriable: true,
  },
  ARTIFACT_CORRUPT: {
    sentence: "A file does not match its digest.",
    http: 500,
    grpc: "DATA_LOSS",
    exit: 74,
    retriable: false,
  },
  CONFIG_INVALID: {
    sentence: "The configuration cannot be used.",
    http: 500,
    grpc: "FAILED_PRECONDITION",
    exit: 78,
    retriable: false,
  },
  SETUP_FAILED: {
    sentence: "Something that the service needs could not be started.",
    http: 500,
    grpc: "FAILED_PRECONDITION",
    exit: 69,
    retriable: false,
  },
  INTERNAL: {
    sentence: "Something broke on our side; the trace id finds it in the log.",
    http: 500,
    grpc: "INTERNAL",
    exit: 70,
    retriable: false,
  },
} as const satisfies Record<string, Entry>;

/** A stable error code. */
export type ErrorCode = keyof typeof catalogue;

/** What else an error carries, by code: a constraint, the missing id, when a key was first seen. */
export type ErrorDetail = Readonly<Record<string, unknown>>;

/** An error from the catalogue. The message is for the user: what was wanted and what came. `cause` is for us. */
export class AssayError extends Error {
  readonly code: ErrorCode;
  /** Path of the input field it is about; empty when it is about the whole request. */
  readonly path: readonly string[];
  readonly detail: ErrorDetail;

  constructor(
    code: ErrorCode,
    message: string,
    extra: { path?: readonly string[]; detail?: ErrorDetail; cause?: unknown } = {},
  ) {
    super(message, { cause: extra.cause });
    this.name = "AssayError";
    this.code = code;
    this.path = extra.path ?? [];
    this.detail = extra.detail ?? {};
  }

  get retriable(): boolean {
    return catalogue[this.code].retriable;
  }
}

/** A field that broke its rule, said as "wanted …, but got …". */
export function invalidInput(path: readonly string[], wanted: string, got: unknown): AssayError {
  return new AssayError("INVALID_INPUT", `${path.join(".")}: wanted ${wanted}, but got ${show(got)}`, {
    path,
    detail: { constraint: wanted },
  });
}

/** An id that names nothing the caller may see. */
export function notFound(path: readonly string[], what: string, missingId: string): AssayError {
  return new AssayError(
    "NOT_FOUND",
    `${path.join(".")}: no ${what} with id ${show(missingId)} is visible to this key`,
    {
      path,
      detail: { missingId },
    },
  );
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}
