import { ArgsType, Field, Int, ObjectType } from "type-graphql";
import { AssayError, invalidInput } from "../errors.js";
import type { ExperimentPosition } from "../store/experiments.js";
import type { Page, PageRequest } from "../store/pages.js";
import { isUuid } from "./ids.js";

/** A page never holds more than this. */
export const PAGE_MAX = 100;

/** What every connection takes. */
@ArgsType()
export class PageArgs {
  @Field(() => Int, { nullable: true, description: "The first so many, 1 to 100. Either this or `last`." })
  readonly first?: number | null;

  @Field(() => String, { nullable: true, description: "Only what comes after this cursor." })
  readonly after?: string | null;

  @Field(() => Int, { nullable: true, description: "The last so many, 1 to 100. Either this or `first`." })
  readonly last?: number | null;

  @Field(() => String, { nullable: true, description: "Only what comes before this cursor." })
  readonly before?: string | null;
}

/** Where a page stands in its list. */
@ObjectType({ description: "Where a page stands in its list." })
export class PageInfo {
  @Field(() => Boolean, { description: "Whether more comes after this page." })
  readonly hasNextPage!: boolean;

  @Field(() => Boolean, { description: "Whether more came before this page." })
  readonly hasPreviousPage!: boolean;

  @Field(() => String, { nullable: true, description: "Cursor of the first edge; null on an empty page." })
  readonly startCursor!: string | null;

  @Field(() => String, { nullable: true, description: "Cursor of the last edge; null on an empty page." })
  readonly endCursor!: string | null;
}

/** A page as it is answered. */
export interface Connection<Node> {
  readonly edges: readonly { readonly node: Node; readonly cursor: string }[];
  readonly pageInfo: PageInfo;
}

/** The two classes of a Relay connection over a published type. */
export function connectionType(name: string, node: () => object): new () => Connection<unknown> {
  @ObjectType(`${name}Edge`, { description: `One ${name} of a page.` })
  class Edge {
    @Field(() => node(), { description: "The thing itself." })
    readonly node!: unknown;

    @Field(() => String, { description: "Where it stands; give it as `after` or `before`." })
    readonly cursor!: string;
  }

  @ObjectType(`${name}Connection`, { description: `A page of ${name} things.` })
  class ConnectionType implements Connection<unknown> {
    @Field(() => [Edge], { description: "What the page holds, in order." })
    readonly edges!: readonly Edge[];

    @Field(() => PageInfo, { description: "Where the page stands in its list." })
    readonly pageInfo!: PageInfo;
  }
  return ConnectionType;
}

/** How a list's cursors are written and read. A cursor is a hint where to go on, never a right to see anything. */
export interface CursorCodec<Key> {
  readonly write: (key: Key) => string;
  /** The key in a cursor's text, or null when it holds none. */
  readonly read: (text: string) => Key | null;
}

/**
 * Reads what a connection was asked for. Throws for neither or both of `first` and `last`, a cursor of the other
 * direction, a page over 100, or a cursor that is none.
 */
export function pageOf<Key>(args: PageArgs, codec: CursorCodec<Key>): PageRequest<Key> {
  const { first = null, last = null, after = null, before = null } = args;
  if ((first === null) === (last === null)) {
    throw invalidInput(["first"], "exactly one of first and last", { first, last });
  }
  if (first !== null) {
    if (before !== null) throw invalidInput(["before"], "no before beside first", before);
    return { first: limitOf("first", first), ...(after === null ? {} : { after: keyIn("after", after, codec) }) };
  }
  if (after !== null) throw invalidInput(["after"], "no after beside last", after);
  return { last: limitOf("last", last ?? 0), ...(before === null ? {} : { before: keyIn("before", before, codec) }) };
}

function limitOf(name: string, limit: number): number {
  if (limit < 1) throw invalidInput([name], `a page of 1 to ${PAGE_MAX}`, limit);
  if (limit <= PAGE_MAX) return limit;
  throw new AssayError("QUERY_TOO_COMPLEX", `${name}: wanted a page of at most ${PAGE_MAX}, but got ${limit}`, {
    path: [name],
  });
}

function keyIn<Key>(name: string, cursor: string, codec: CursorCodec<Key>): Key {
  const key = codec.read(Buffer.from(cursor, "base64url").toString("utf8"));
  if (key === null) throw invalidInput([name], "a cursor of this list", cursor);
  return key;
}

/** Answers a page that the store read. */
export function connectionOf<Row, Key>(
  page: Page<Row>,
  codec: CursorCodec<Key>,
  keyOf: (row: Row) => Key,
): Connection<Row> {
  const edges = page.items.map((node) => ({
    node,
    cursor: Buffer.from(codec.write(keyOf(node))).toString("base64url"),
  }));
  const { hasNextPage, hasPreviousPage } = page;
  const [startCursor, endCursor] = [edges[0]?.cursor ?? null, edges.at(-1)?.cursor ?? null];
  return { edges, pageInfo: { hasNextPage, hasPreviousPage, startCursor, endCursor } };
}

/** Cuts a page out of a list that was read whole, because it is short by nature. */
export function sliceOf<Row>(
  rows: readonly Row[],
  request: PageRequest<string>,
  keyOf: (row: Row) => string,
): Page<Row> {
  const forward = "first" in request;
  const [limit, from] = forward ? [request.first, request.after] : [request.last, request.before];
  const place = from === undefined ? -1 : rows.findIndex((row) => keyOf(row) === from);
  if (from !== undefined && place < 0) return { items: [], hasNextPage: false, hasPreviousPage: false };
  const [start, end] = forward
    ? [place + 1, Math.min(rows.length, place + 1 + limit)]
    : [Math.max(0, (place < 0 ? rows.length : place) - limit), place < 0 ? rows.length : place];
  return { items: rows.slice(start, end), hasNextPage: end < rows.length, hasPreviousPage: start > 0 };
}

/** Cuts a page out of a list that was read whole and is ordered by a whole number; what was filtered out leaves gaps. */
export function sliceByNumber<Row>(
  rows: readonly Row[],
  request: PageRequest<number>,
  numberOf: (row: Row) => number,
): Page<Row> {
  const end = rows.length;
  if ("first" in request) {
    const { first, after } = request;
    const found = after === undefined ? 0 : rows.findIndex((row) => numberOf(row) > after);
    const start = found < 0 ? end : found;
    return { items: rows.slice(start, start + first), hasNextPage: start + first < end, hasPreviousPage: start > 0 };
  }
  const { last, before } = request;
  const found = before === undefined ? -1 : rows.findIndex((row) => numberOf(row) >= before);
  const stop = found < 0 ? end : found;
  const start = Math.max(0, stop - last);
  return { items: rows.slice(start, stop), hasNextPage: stop < end, hasPreviousPage: start > 0 };
}

/** Cursors of a list whose items are found by their id. */
export const idCursor: CursorCodec<string> = {
  write: (id) => id,
  read: (text) => (isUuid(text) ? text : null),
};

/** Cursors of a list that is ordered by a whole number. */
export const numberCursor: CursorCodec<number> = {
  write: String,
  read: (text) => (/^\d{1,15}$/.test(text) ? Number(text) : null),
};

/** Cursors of a list that is ordered by time and then by id. */
export const timeCursor: CursorCodec<ExperimentPosition> = {
  write: ({ createdAt, id }) => `${createdAt.toISOString()} ${id}`,
  read: (text) => {
    const [at = "", id = "", ...rest] = text.split(" ");
    const createdAt = new Date(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(at) ? at : Number.NaN);
    return !isUuid(id) || rest.length > 0 || Number.isNaN(createdAt.getTime()) ? null : { createdAt, id };
  },
};
