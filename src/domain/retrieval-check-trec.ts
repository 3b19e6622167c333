import { type FieldFault, show } from "./field-faults.js";
import { unsafeText } from "./json-text.js";
import type { Cell, CollectionCheck, CollectionRow } from "./retrieval-check-collection.js";

/** How a TREC file names its records. */
interface Tags {
  readonly record: string;
  readonly id: string;
}
const tags: Readonly<Record<"CORPUS" | "QUERIES", Tags>> = {
  CORPUS: { record: "DOC", id: "DOCNO" },
  QUERIES: { record: "top", id: "num" },
};
/** A record that is larger is no document but a tag that was never closed. */
const RECORD_LENGTH_MAX = 2 ** 24;

/** Reads TREC's SGML: documents, or topics. Records stand one behind the other; letter case of tags is no matter. */
export class TrecReader {
  readonly #kind: "CORPUS" | "QUERIES";
  readonly #check: CollectionCheck;
  readonly #marks: RegExp;
  #openedAt: number | null = null;
  #parts: string[] = [];
  #length = 0;

  constructor(kind: "CORPUS" | "QUERIES", check: CollectionCheck) {
    this.#kind = kind;
    this.#check = check;
    this.#marks = new RegExp(`<(/?)${tags[kind].record}(?:\\s[^>]*)?>`, "gi");
  }

  take(row: number, line: string): void {
    let from = 0;
    for (const mark of line.matchAll(this.#marks)) {
      this.#text(row, line.slice(from, mark.index));
      if (mark[1] === "/") this.#close(row);
      else this.#open(row);
      from = mark.index + mark[0].length;
    }
    this.#text(row, `${line.slice(from)}\n`);
  }

  end(): void {
    if (this.#openedAt !== null) this.#unclosed(this.#openedAt);
  }

  #text(row: number, text: string): void {
    if (this.#openedAt !== null) {
      this.#length += text.length;
      if (this.#length <= RECORD_LENGTH_MAX) this.#parts.push(text);
      return;
    }
    const stray = text.replace(/<[^>]*>/g, "").trim();
    if (stray !== "") {
      this.#check.problem(row, null, `wanted text within <${tags[this.#kind].record}>, but got ${show(stray)}`);
    }
  }

  #open(row: number): void {
    if (this.#openedAt !== null) this.#unclosed(this.#openedAt);
    [this.#openedAt, this.#parts, this.#length] = [row, [], 0];
  }

  #close(row: number): void {
    const { record } = tags[this.#kind];
    if (this.#openedAt === null) {
      this.#check.problem(row, null, `wanted <${record}> before </${record}>, but there is none`);
      return;
    }
    const found =
      this.#length > RECORD_LENGTH_MAX
        ? [{ column: "", message: `wanted a <${record}> of at most ${RECORD_LENGTH_MAX} characters` }]
        : readRecord(this.#kind, this.#parts.join(""));
    this.#check.take(this.#openedAt, found);
    this.#openedAt = null;
  }

  #unclosed(openedAt: number): void {
    const { record } = tags[this.#kind];
    this.#check.take(openedAt, [
      { column: "", message: `wanted </${record}> after this <${record}>, but there is none` },
    ]);
    this.#openedAt = null;
  }
}

function readRecord(kind: "CORPUS" | "QUERIES", body: string): CollectionRow | readonly FieldFault[] {
  const unsafe = unsafeText(body);
  if (unsafe !== null) return [{ column: "", message: unsafe }];
  const { id: name } = tags[kind];
  const ids = fieldsIn(body, name);
  if (ids.length !== 1) return [{ column: name, message: `wanted one <${name}>, but got ${ids.length}` }];
  const id = (ids[0] ?? "").replace(/^\s*Number:/i, "").trim();
  const text = kind === "CORPUS" ? { column: "text", value: textOf(body, name) } : titleOf(body);
  return "message" in text ? [text] : { ids: [{ column: name, value: id }], text, code: null };
}

/** What stands behind each tag of this name, up to the next tag: topics often leave the closing ones out. */
function fieldsIn(body: string, name: string): string[] {
  return [...body.matchAll(new RegExp(`<${name}(?:\\s[^>]*)?>([^<]*)`, "gi"))].map((match) => match[1] ?? "");
}

function textOf(body: string, idName: string): string {
  const id = new RegExp(`<${idName}(?:\\s[^>]*)?>[^<]*(?:</${idName}\\s*>)?`, "gi");
  return body
    .replace(id, " ")
    .replace(/<[^>]*>/g, " ")
    .trim();
}

function titleOf(body: string): Cell<string> | FieldFault {
  const titles = fieldsIn(body, "title");
  if (titles.length !== 1) return { column: "title", message: `wanted one <title>, but got ${titles.length}` };
  return { column: "title", value: (titles[0] ?? "").replace(/^\s*Topic:/i, "").trim() };
}
