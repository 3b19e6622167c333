import type pg from "pg";

/** Names of what must hold; ALSO marks rules that the numbered ones do not name but that hold all the same. */
export const invariants = [
  ...["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9"],
  ...["I10", "I11", "I12", "I13", "I14", "I15", "I16", "I17", "I18", "ALSO"],
] as const;
export type Invariant = string & (typeof invariants)[number];

/** A rule over the database: the statement gives the rows that break it. */
export interface Rule {
  readonly invariant: Invariant;
  /** What must hold, as a sentence. */
  readonly says: string;
  readonly sql: string;
  /** True for what holds only once everything that was begun has ended. */
  readonly atRest?: boolean;
}

/** A rule that does not hold, with the first rows that break it. */
export interface Breach {
  readonly invariant: Invariant;
  readonly says: string;
  readonly rows: readonly object[];
  /** How many rows break it; `rows` holds the first of them. */
  readonly count: number;
}

/** Runs SQL as a role that sees every tenant's rows. */
export type Query = <Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]) => Promise<Row[]>;

const ROWS_SHOWN = 20;

/** The breach that these rows are, or none. */
export function breachOf(rule: Pick<Rule, "invariant" | "says">, rows: readonly object[]): Breach[] {
  if (rows.length === 0) return [];
  const { invariant, says } = rule;
  return [{ invariant, says, rows: rows.slice(0, ROWS_SHOWN), count: rows.length }];
}
