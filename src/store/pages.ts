import type { ObjectLiteral, SelectQueryBuilder } from "typeorm";

/** A slice of an ordered list: from its start or after a position, or from its end or before one. */
export type PageRequest<Position> =
  | { readonly first: number; readonly after?: Position | undefined }
  | { readonly last: number; readonly before?: Position | undefined };

/** A slice and whether there is more on either side. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
}

/** What a list is ordered by: mapped columns that together are unique, and their values at a position. */
export interface PageOrder<Position> {
  readonly columns: readonly string[];
  readonly descending: boolean;
  readonly valuesAt: (position: Position) => readonly unknown[];
}

/** Reads one page by comparing with the position's values, so that rows that come or go meanwhile shift nothing. */
export async function readPage<Row extends ObjectLiteral, Position>(
  query: SelectQueryBuilder<Row>,
  order: PageOrder<Position>,
  request: PageRequest<Position>,
): Promise<Page<Row>> {
  const { limit, from } = boundsOf(request);
  const descending = order.descending === "first" in request;
  for (const column of order.columns) query.addOrderBy(column, descending ? "DESC" : "ASC");
  if (from !== undefined) {
    const values = order.valuesAt(from);
    const names = values.map((_, i) => `:position${i}`).join(", ");
    const parameters = Object.fromEntries(values.map((value, i) => [`position${i}`, value]));
    query.andWhere(`(${order.columns.join(", ")}) ${descending ? "<" : ">"} (${names})`, parameters);
  }
  return pageOf(await query.limit(limit + 1).getMany(), request);
}

/** How many are wanted, and from which position. */
export function boundsOf<Position>(request: PageRequest<Position>): { limit: number; from: Position | undefined } {
  return "first" in request
    ? { limit: request.first, from: request.after }
    : { limit: request.last, from: request.before };
}

/** The page in rows that were read in the request's direction, one more than it wants where there are more. */
export function pageOf<Row, Position>(rows: readonly Row[], request: PageRequest<Position>): Page<Row> {
  const { limit, from } = boundsOf(request);
  const forward = "first" in request;
  const more = rows.length > limit;
  const items = rows.slice(0, limit);
  if (!forward) items.reverse();
  // Whatever a position was taken from lies on the other side of it.
  const behind = from !== undefined;
  return { items, hasNextPage: forward ? more : behind, hasPreviousPage: forward ? behind : more };
}
