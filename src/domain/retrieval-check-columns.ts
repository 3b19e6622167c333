import { type FieldFault, show } from "./field-faults.js";
import { unsafeText } from "./json-text.js";
import {
  type Cell,
  type CollectionCheck,
  type CollectionKind,
  type CollectionRow,
  isCode,
} from "./retrieval-check-collection.js";

/** What the columns of a file are, by their number; an empty name is of no use here. */
const layouts: Readonly<Record<Exclude<CollectionKind, "EXPANSIONS">, readonly (readonly string[])[]>> = {
  CORPUS: [
    ["id", "text"],
    ["id", "title", "text"],
    ["id", "url", "title", "text"],
  ],
  QUERIES: [["id", "text"]],
  QRELS: [
    ["query-id", "corpus-id", "score"],
    ["query-id", "iteration", "corpus-id", "score"],
  ],
};
const headerNames = ["id", "_id", "qid", "pid", "docid", "query-id", "corpus-id"];

/** Reads rows of columns: tab-separated, and judgements also separated by blanks. */
export class ColumnReader {
  readonly #kind: Exclude<CollectionKind, "EXPANSIONS">;
  readonly #check: CollectionCheck;
  readonly #tabs: boolean;
  readonly #layout: readonly string[] | null;
  #headerLooked = false;

  /** The first line decides what separates the columns and how many there are. */
  constructor(kind: Exclude<CollectionKind, "EXPANSIONS">, firstLine: string, check: CollectionCheck) {
    this.#kind = kind;
    this.#check = check;
    this.#tabs = kind !== "QRELS" || firstLine.includes("\t");
    const count = this.#cut(firstLine).length;
    this.#layout = layouts[kind].find((names) => names.length === count) ?? null;
  }

  take(row: number, line: string): void {
    const cells = this.#cut(line);
    if (this.#isHeader(cells)) this.#check.note(row, `a header row, which is passed over: ${show(cells.join(" "))}`);
    else this.#check.take(row, this.#read(cells));
  }

  end(): void {
    // a line holds a whole row
  }

  #cut(line: string): string[] {
    return this.#tabs ? line.split("\t") : line.trim().split(/\s+/);
  }

  /** Only the first row can be one. */
  #isHeader(cells: readonly string[]): boolean {
    if (this.#headerLooked) return false;
    this.#headerLooked = true;
    const named = headerNames.includes((cells[0] ?? "").toLowerCase());
    const header = this.#kind === "QRELS" ? named || codeIn(cells.at(-1) ?? "") === null : named;
    if (!header) this.#check.note(0, "no header row was found; the first row is read as any other");
    return header && this.#layout !== null;
  }

  #read(cells: readonly string[]): CollectionRow | readonly FieldFault[] {
    const layout = this.#layout;
    const separator = this.#tabs ? "tabs" : "blanks";
    if (layout === null || cells.length !== layout.length) {
      const wanted = layout === null ? this.#counts() : String(layout.length);
      return [{ column: "", message: `wanted ${wanted} columns with ${separator} between, but got ${cells.length}` }];
    }
    const unsafe = cells.map(unsafeText).find((fault) => fault !== null);
    if (unsafe !== undefined) return [{ column: "", message: unsafe }];
    const cell = (name: string): Cell<string> => ({ column: name, value: cells[layout.indexOf(name)] ?? "" });
    if (this.#kind !== "QRELS") {
      const title = layout.includes("title") ? cell("title").value : "";
      return { ids: [cell("id")], text: { column: "text", value: `${title} ${cell("text").value}` }, code: null };
    }
    const code = codeIn(cell("score").value);
    if (code === null) {
      const wanted = "a relevance code, an integer from -1000 to 1000";
      return [{ column: "score", message: `wanted ${wanted}, but got ${show(cell("score").value)}` }];
    }
    return { ids: [cell("query-id"), cell("corpus-id")], text: null, code: { column: "score", value: code } };
  }

  #counts(): string {
    return layouts[this.#kind].map(({ length }) => length).join(" or ");
  }
}

function codeIn(text: string): number | null {
  return /^[+-]?\d{1,4}$/.test(text) && isCode(Number(text)) ? Number(text) : null;
}
