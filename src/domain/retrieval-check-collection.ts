import { type FieldFault, show } from "./field-faults.js";
import { Findings, type RecordReport } from "./upload-report.js";

/** The files that a retrieval collection consists of. */
export type CollectionKind = "CORPUS" | "QUERIES" | "QRELS" | "EXPANSIONS";

/** A value with the column that it stands in. */
export interface Cell<Value> {
  readonly column: string;
  readonly value: Value;
}

/** A row in any format: a document or query (one id, a text), a judgement (two ids, a code), an expansion (one id, a text). */
export interface CollectionRow {
  readonly ids: readonly Cell<string>[];
  readonly text: Cell<string> | null;
  readonly code: Cell<number> | null;
}

/** A file never holds more rows than this; a corpus that is larger than an upload may be is no matter of one file. */
export const COLLECTION_ROWS_MAX = 2_000_000;
const ID_LENGTH_MAX = 512;
const QUERY_LENGTH_MAX = 20_000;
const CODE_MAX = 1000;
const CODES_LISTED_MAX = 20;

/** Codes that a qrels file may hold. */
export function isCode(code: number): boolean {
  return Number.isInteger(code) && Math.abs(code) <= CODE_MAX;
}

/** What is wrong with an id, or null. A blank in one would shift the columns of every TREC file that holds it. */
export function idFault({ column, value }: Cell<string>): FieldFault | null {
  if (value.length >= 1 && value.length <= ID_LENGTH_MAX && !/[\s\p{Cc}]/u.test(value)) return null;
  const wanted = `an id of 1 to ${ID_LENGTH_MAX} characters without blanks`;
  return { column, message: `wanted ${wanted}, but got ${show(value)}` };
}

/** Holds the rows of one file together: ids once, pairs judged once, texts where they are needed, codes counted. */
export class CollectionCheck {
  readonly #kind: CollectionKind;
  readonly #problems = new Findings();
  readonly #leftOut = new Findings();
  readonly #notes = new Findings();
  /** By id, or by query and document with a blank between, which no id has. */
  readonly #known = new Map<string, number>();
  readonly #codes = new Map<number, { readonly row: number; readonly column: string; count: number }>();
  /** Whether a query has a document with a code of 1 or more. */
  readonly #judged = new Map<string, boolean>();
  #rows = 0;

  constructor(kind: CollectionKind) {
    this.#kind = kind;
  }

  /** Whether more rows came than a file may hold; the rest need not be read. */
  get isFull(): boolean {
    return this.#rows > COLLECTION_ROWS_MAX;
  }

  /** Notes what is wrong with a row, or with the whole file as row 0. */
  problem(row: number, column: string | null, message: string): void {
    this.#problems.add(row, column, message);
  }

  /** Notes what is worth knowing of a file that may be in order. */
  note(row: number, message: string, column: string | null = null): void {
    this.#notes.add(row, column, message);
  }

  /** Takes a row that was read, or what was wrong with its fields. */
  take(row: number, found: CollectionRow | readonly FieldFault[]): void {
    this.#rows += 1;
    if (this.isFull) {
      this.problem(row, null, `wanted at most ${COLLECTION_ROWS_MAX} rows, but there are more`);
      return;
    }
    const faults = "ids" in found ? found.ids.flatMap((id) => idFault(id) ?? []) : found;
    for (const { column, message } of faults) this.problem(row, column === "" ? null : column, message);
    if ("ids" in found && faults.length === 0) this.#takeWhole(row, found);
  }

  /** Says what was found. */
  finish(): RecordReport {
    if (this.#rows === 0 && this.#problems.count === 0) {
      this.problem(0, null, "wanted at least one row, but the file has none");
    }
    if (this.#kind === "QRELS") this.#noteCodes();
    return {
      rows: this.#rows,
      problems: this.#problems.listed,
      problemCount: this.#problems.count,
      leftOut: this.#leftOut.listed,
      leftOutCount: this.#leftOut.count,
      notes: this.#notes.listed,
      leakage: null,
    };
  }

  #takeWhole(row: number, { ids, text, code }: CollectionRow): void {
    if (this.#kind !== "EXPANSIONS") this.#takeIds(row, ids);
    if (text !== null) this.#takeText(row, text);
    if (code !== null) this.#takeCode(row, code, ids[0]?.value ?? "");
  }

  #takeIds(row: number, ids: CollectionRow["ids"]): void {
    const key = ids.map(({ value }) => value).join(" ");
    const same = this.#known.get(key);
    if (same === undefined) {
      this.#known.set(key, row);
      return;
    }
    const message =
      this.#kind === "QRELS"
        ? `wanted a query and a document to be judged once, but row ${same} judges ${show(key)} too`
        : `wanted an id of its own, but row ${same} has ${show(key)} too`;
    this.problem(row, ids.at(-1)?.column ?? null, message);
  }

  #takeText(row: number, { column, value }: Cell<string>): void {
    if (this.#kind === "CORPUS") {
      if (value.trim() === "") this.#leftOut.add(row, column, "a document without text: no query can find it");
    } else if (value.trim() === "" || value.length > QUERY_LENGTH_MAX) {
      this.problem(row, column, `wanted a text of 1 to ${QUERY_LENGTH_MAX} characters, but got ${show(value)}`);
    }
  }

  #takeCode(row: number, { column, value }: Cell<number>, query: string): void {
    const known = this.#codes.get(value);
    if (known === undefined) this.#codes.set(value, { row, column, count: 1 });
    else known.count += 1;
    this.#judged.set(query, value >= 1 || this.#judged.get(query) === true);
  }

  #noteCodes(): void {
    const codes = [...this.#codes].toSorted(([a], [b]) => a - b);
    if (codes.length === 0) return;
    const listed = codes.slice(0, CODES_LISTED_MAX).map(([code, { count }]) => `${code} (${count})`);
    const more = codes.length > CODES_LISTED_MAX ? `, and ${codes.length - CODES_LISTED_MAX} more` : "";
    this.note(0, `relevance codes: ${listed.join(", ")}${more}`);
    for (const [code, { row, column, count }] of codes.filter(([value]) => value < 0)) {
      const asked = "what it means is not guessed: a submission says it with relevance.gains";
      this.note(row, `the negative code ${code}, ${count} times, here first; ${asked}`, column);
    }
    const empty = [...this.#judged.values()].filter((relevant) => !relevant).length;
    if (empty > 0) this.note(0, `queries without a document of code 1 or more: ${empty} of ${this.#judged.size}`);
  }
}
