import { decodedBy } from "./item-check.js";
import { linesOf } from "./lines.js";
import { LINE_BYTES_MAX } from "./records.js";
import { CollectionCheck, type CollectionKind } from "./retrieval-check-collection.js";
import { ColumnReader } from "./retrieval-check-columns.js";
import { JsonReader } from "./retrieval-check-json.js";
import { TrecReader } from "./retrieval-check-trec.js";
import type { RecordReport } from "./upload-report.js";

/** Reads the rows of one format; lines come without their ends. */
interface LineReader {
  /** Takes a line of the file. */
  take(row: number, line: string): void;
  /** Says what the file ended amid. */
  end(): void;
}

const BYTE_ORDER_MARK = "\ufeff";
const NEWLINE = 10;
const tooLong = `wanted a line of at most ${LINE_BYTES_MAX} bytes, but it is longer`;

/**
 * Checks a corpus, queries, judgements or expansions, a line in memory at a time. What could change a figure, or could be read in
 * two ways, is a problem; what is read past alike by everybody is a note. The first character tells the format.
 */
export async function checkCollection(kind: CollectionKind, bytes: AsyncIterable<Uint8Array>): Promise<RecordReport> {
  const check = new CollectionCheck(kind);
  let reader: LineReader | null = null;
  for await (const { row, line } of sourceLines(bytes, check)) {
    reader ??= readerFor(line, kind, check);
    reader.take(row, line);
    if (check.isFull) break;
  }
  reader?.end();
  return check.finish();
}

function readerFor(line: string, kind: CollectionKind, check: CollectionCheck): LineReader {
  const [first] = line.trimStart();
  if (first === "{" || kind === "EXPANSIONS") return new JsonReader(kind, check);
  return first === "<" && kind !== "QRELS" ? new TrecReader(kind, check) : new ColumnReader(kind, line, check);
}

interface SourceLine {
  readonly row: number;
  readonly line: string;
}

/** The lines that are not blank, without their ends and a byte order mark; what was taken away is noted. */
async function* sourceLines(
  bytes: AsyncIterable<Uint8Array>,
  check: CollectionCheck,
): AsyncGenerator<SourceLine, void> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const [carriageReturns, blanks, last] = [new Counted(), new Counted(), { byte: NEWLINE }];
  let row = 0;
  for await (const found of linesOf(watched(bytes, last))) {
    row += 1;
    const text = found === null ? null : decodedBy(decoder, found);
    if (text === null) {
      check.problem(row, null, found === null ? tooLong : "wanted UTF-8, but these bytes are not");
      continue;
    }
    const line = withoutEnd(withoutMark(text, row, check), row, carriageReturns);
    if (line.trim() === "") blanks.add(row);
    else yield { row, line };
  }
  if (carriageReturns.count > 0) {
    check.note(
      carriageReturns.first,
      `lines that end in CRLF: ${carriageReturns.count}, this the first; CR is read past`,
    );
  }
  if (blanks.count > 0) check.note(blanks.first, `blank lines: ${blanks.count}, this the first; they are read past`);
  if (last.byte !== NEWLINE) check.note(row, "no line end after the last row; make sure that the file is whole");
}

/** The same bytes; `last` holds the one that came last. */
async function* watched(bytes: AsyncIterable<Uint8Array>, last: { byte: number }): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of bytes) {
    last.byte = chunk.at(-1) ?? last.byte;
    yield chunk;
  }
}

function withoutMark(text: string, row: number, check: CollectionCheck): string {
  if (row !== 1 || !text.startsWith(BYTE_ORDER_MARK)) return text;
  check.note(1, "a byte order mark before the first row; it is read past");
  return text.slice(1);
}

function withoutEnd(text: string, row: number, carriageReturns: Counted): string {
  if (!text.endsWith("\r")) return text;
  carriageReturns.add(row);
  return text.slice(0, -1);
}

/** Counts rows and keeps the first. */
class Counted {
  first = 0;
  count = 0;

  add(row: number): void {
    if (this.count === 0) this.first = row;
    this.count += 1;
  }
}
