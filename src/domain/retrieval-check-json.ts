import { type FieldFault, isObject, show } from "./field-faults.js";
import { parseJson } from "./json-text.js";
import {
  type Cell,
  type CollectionCheck,
  type CollectionKind,
  type CollectionRow,
  isCode,
} from "./retrieval-check-collection.js";

type Row = Readonly<Record<string, unknown>>;

/** Reads JSON lines: BEIR's names and ours; fields without a meaning here are passed over. */
export class JsonReader {
  readonly #kind: CollectionKind;
  readonly #check: CollectionCheck;

  constructor(kind: CollectionKind, check: CollectionCheck) {
    this.#kind = kind;
    this.#check = check;
  }

  take(row: number, line: string): void {
    const parsed = parseJson(line);
    if (!parsed.ok) {
      const { column, message } = parsed.fault;
      this.#check.take(row, [{ column: column === null ? "" : String(column), message }]);
    } else if (isObject(parsed.value)) this.#check.take(row, readObject(this.#kind, parsed.value));
    else this.#check.take(row, [{ column: "", message: `wanted a JSON object, but got ${show(parsed.value)}` }]);
  }

  end(): void {
    // a line holds a whole row
  }
}

function readObject(kind: CollectionKind, row: Row): CollectionRow | readonly FieldFault[] {
  const faults: FieldFault[] = [];
  const read = new JsonFields(row, faults);
  const found = rowOf(kind, read);
  return faults.length === 0 ? found : faults;
}

function rowOf(kind: CollectionKind, read: JsonFields): CollectionRow {
  switch (kind) {
    case "CORPUS": {
      const [title, text] = [read.optionalText("title"), read.text("text")];
      return { ids: [read.text("_id", "id")], text: { ...text, value: `${title} ${text.value}` }, code: null };
    }
    case "QUERIES":
      read.optionalText("group");
      return { ids: [read.text("_id", "id")], text: read.text("text"), code: null };
    case "QRELS":
      return {
        ids: [read.text("query-id", "query"), read.text("corpus-id", "document")],
        text: null,
        code: read.code("score", "relevance"),
      };
    case "EXPANSIONS":
      for (const name of ["provider", "prompt_hash", "query"]) read.optionalText(name);
      return { ids: [read.text("query_id")], text: read.text("text", "pseudo_doc"), code: null };
    default:
      return kind satisfies never;
  }
}

/** Reads fields under the first of their names that is there, and notes what is wrong. */
class JsonFields {
  readonly #row: Row;
  readonly #faults: FieldFault[];

  constructor(row: Row, faults: FieldFault[]) {
    this.#row = row;
    this.#faults = faults;
  }

  text(...names: readonly [string, ...string[]]): Cell<string> {
    const { column, value } = this.#find(names);
    if (typeof value === "string") return { column, value };
    this.#wrong(names, "a text");
    return { column, value: "" };
  }

  optionalText(name: string): string {
    const value = this.#row[name] ?? "";
    if (typeof value === "string") return value;
    this.#wrong([name], "a text or nothing");
    return "";
  }

  code(...names: readonly [string, ...string[]]): Cell<number> {
    const { column, value } = this.#find(names);
    if (typeof value === "number" && isCode(value)) return { column, value };
    this.#wrong(names, "a relevance code, an integer from -1000 to 1000");
    return { column, value: 0 };
  }

  #find(names: readonly [string, ...string[]]): Cell<unknown> {
    const column = names.find((name) => Object.hasOwn(this.#row, name)) ?? names[0];
    return { column, value: Object.hasOwn(this.#row, column) ? this.#row[column] : undefined };
  }

  #wrong(names: readonly [string, ...string[]], wanted: string): void {
    const { column, value } = this.#find(names);
    const got = value === undefined ? `no ${names.join(" or ")}` : show(value);
    this.#faults.push({ column, message: `wanted ${wanted}, but got ${got}` });
  }
}
