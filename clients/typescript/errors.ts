/** One error as the service says it. */
export interface UserError {
  /** A stable code; docs/errors.md lists them. */
  readonly code: string;
  /** What was wanted and what came. */
  readonly message: string;
  /** The input field it is about; empty when it is about the whole request. */
  readonly path: readonly string[];
}

/** A request that the service refused or could not answer. */
export class AssayRequestError extends Error {
  /** The first error's code, or UNREACHABLE when no answer came. */
  readonly code: string;
  /** The first error's field. */
  readonly path: readonly string[];
  /** All errors of the answer, the first included. */
  readonly errors: readonly UserError[];

  constructor(errors: readonly UserError[], cause?: unknown) {
    const first = errors[0] ?? { code: "INTERNAL", message: "the service gave no reason", path: [] };
    super(errors.length > 1 ? `${first.message} (and ${errors.length - 1} more)` : first.message, { cause });
    this.name = "AssayRequestError";
    this.code = first.code;
    this.path = first.path;
    this.errors = errors;
  }
}

/** The service did not answer at all. */
export function unreachable(url: string, cause: unknown): AssayRequestError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new AssayRequestError([{ code: "UNREACHABLE", message: `no answer from ${url}: ${reason}`, path: [] }], cause);
}

/** The errors of a GraphQL answer's top level: malformed documents, missing keys, failures of the service. */
export function topLevelErrors(errors: readonly unknown[]): AssayRequestError {
  return new AssayRequestError(
    errors.map((error) => {
      const { message, extensions, path } = fieldsOf(error);
      return {
        code: String(fieldsOf(extensions)["code"] ?? "INTERNAL"),
        message: String(message),
        path: Array.isArray(path) ? path.map(String) : [],
      };
    }),
  );
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? Object.fromEntries(Object.entries(value)) : {};
}
