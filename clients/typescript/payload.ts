import { AssayRequestError, type UserError } from "./errors.js";
import { type Endpoint, execute, type Variables } from "./transport.js";

/** What every mutation answers beside its own fields. */
export interface Payload {
  readonly errors: readonly PayloadError[];
}

interface PayloadError extends Omit<UserError, "path"> {
  readonly path: readonly string[] | null;
  readonly validation?: {
    readonly problems: readonly { readonly row: number; readonly column: string | null; readonly message: string }[];
  };
}

/** What a payload gives, or its errors as one that is thrown. */
export function given<Value>(payload: Payload, value: Value | null): Value {
  if (payload.errors.length === 0 && value !== null) return value;
  const problems = payload.errors.flatMap(({ code, validation }) =>
    (validation?.problems ?? []).map(({ row, column, message }) => ({
      code,
      message: `line ${row}${column === null ? "" : `, ${column}`}: ${message}`,
      path: ["rows", String(row), ...(column === null ? [] : [column])],
    })),
  );
  throw new AssayRequestError([
    ...payload.errors.map(({ code, message, path }) => ({ code, message, path: path ?? [] })),
    ...problems,
  ]);
}

/** A page of a connection. */
export interface Page<Item> {
  readonly edges: readonly { readonly node: Item }[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
}

/** Every item of a connection, page by page. `pageIn` finds it in an answer, or throws where there is none. */
export async function allItems<Data, Item>(
  endpoint: Endpoint,
  { document, variables }: { readonly document: string; readonly variables: Variables },
  pageIn: (data: Data) => Page<Item>,
): Promise<Item[]> {
  const items: Item[] = [];
  for (let after: string | null = null; ; ) {
    const { edges, pageInfo }: Page<Item> = pageIn(await execute<Data>(endpoint, document, { ...variables, after }));
    items.push(...edges.map(({ node }) => node));
    if (!pageInfo.hasNextPage) return items;
    after = pageInfo.endCursor;
  }
}

/** The error for an experiment that is not there. */
export function unknownExperiment(id: string): AssayRequestError {
  return new AssayRequestError([
    { code: "NOT_FOUND", message: `no experiment ${id} is visible to this key`, path: ["id"] },
  ]);
}
