import { createHash } from "node:crypto";
import { show } from "./field-faults.js";
import { parseJson } from "./json-text.js";
import { LeakageScan, normalText } from "./leakage.js";
import { type PreferenceRecord, type Relation, readRecord, type Split, splits } from "./record-fields.js";
import { Findings, type RecordReport } from "./upload-report.js";

/** A line of a file; null stands for one that is over `LINE_BYTES_MAX`. */
export type Line = Uint8Array | null;

/** A longer line is refused without being kept. */
export const LINE_BYTES_MAX = 2 ** 20;
/** A file never holds more rows than this. */
export const ROWS_MAX = 100_000;

/** Training takes two steps' worth of pairs at the least; scoring takes two pairs to say anything of their spread. */
const PAIRS_MIN = { train: 16, validation: 2, test: 2 } as const;

/** Checks a whole file of preference rows against the format and the rules of `docs/contract.md`. */
export async function checkRecords(lines: AsyncIterable<Line> | Iterable<Line>): Promise<RecordReport> {
  const check = new RecordCheck();
  for await (const line of lines) {
    if (!check.take(line)) break;
  }
  return check.finish();
}

/** What is known of a pair while its rows come in. */
interface Pair {
  readonly row: number;
  readonly split: Split;
  readonly relations: Set<Relation>;
}

class RecordCheck {
  readonly #problems = new Findings();
  readonly #leakage = new LeakageScan();
  #rows = 0;
  readonly #ids = new Map<string, number>();
  readonly #pairs = new Map<string, Pair>();
  readonly #contents = new Map<string, { readonly row: number; readonly split: Split }>();
  /** Refuses invalid UTF-8 and keeps a byte order mark, which is then no JSON. */
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  /** Takes the next line; false when no more need come. */
  take(line: Line): boolean {
    this.#rows += 1;
    if (this.#rows > ROWS_MAX) {
      this.#report(this.#rows, null, `wanted at most ${ROWS_MAX} rows, but there are more`);
      return false;
    }
    if (line === null)
      this.#report(this.#rows, null, `wanted a line of at most ${LINE_BYTES_MAX} bytes, but it is longer`);
    else this.#takeText(line);
    return true;
  }

  finish(): RecordReport {
    if (this.#rows === 0) this.#report(0, null, "wanted at least one row, but the file is empty");
    for (const [pairId, pair] of this.#pairs) {
      for (const relation of ["aligned", "conflicting"] as const) {
        if (!pair.relations.has(relation)) {
          this.#report(
            pair.row,
            "relation",
            `wanted ${relation === "aligned" ? "an" : "a"} ${relation} render of pair ${show(pairId)}, but there is none`,
          );
        }
      }
    }
    if (this.#problems.count === 0) this.#wantEverySplit();
    return {
      rows: this.#rows,
      problems: this.#problems.listed,
      problemCount: this.#problems.count,
      leftOut: [],
      leftOutCount: 0,
      notes: [],
      leakage: this.#problems.count === 0 ? this.#leakage.finish() : null,
    };
  }

  #takeText(line: Uint8Array): void {
    const text = this.#decoded(line);
    const parsed = text === null ? null : parseJson(text);
    if (parsed === null) this.#report(this.#rows, null, "wanted UTF-8, but these bytes are not");
    else if (parsed.ok) this.#takeValue(parsed.value);
    else {
      const { column, message } = parsed.fault;
      this.#report(this.#rows, column === null ? null : String(column), message);
    }
  }

  #decoded(line: Uint8Array): string | null {
    try {
      return this.#decoder.decode(line);
    } catch {
      return null;
    }
  }

  #takeValue(value: unknown): void {
    const record = readRecord(value);
    if ("id" in record) this.#takeRecord(record);
    else for (const { column, message } of record) this.#report(this.#rows, column === "" ? null : column, message);
  }

  #takeRecord(record: PreferenceRecord): void {
    if (record.checker.passes(record.chosen) === false) {
      this.#report(
        this.#rows,
        "chosen",
        `wanted a text that passes ${record.checker.id}, but got ${show(record.chosen)}`,
      );
    }
    if (record.checker.passes(record.rejected) === true) {
      this.#report(
        this.#rows,
        "rejected",
        `wanted a text that fails ${record.checker.id}, but got ${show(record.rejected)}`,
      );
    }
    const same = this.#ids.get(record.id);
    if (same === undefined) this.#ids.set(record.id, this.#rows);
    else this.#report(this.#rows, "id", `wanted an id of its own, but row ${same} has ${show(record.id)} too`);
    this.#takePair(record);
    this.#takeContent(record);
  }

  #takePair(record: PreferenceRecord): void {
    const { pairId, split, relation } = record;
    const pair = this.#pairs.get(pairId);
    if (pair === undefined) {
      this.#pairs.set(pairId, { row: this.#rows, split, relations: new Set([relation]) });
      this.#leakage.add(askedAndAnswered(record), this.#rows, split);
    } else if (pair.split !== split) {
      this.#report(
        this.#rows,
        "pairId",
        `wanted pair ${show(pairId)} in one split, but it is in ${pair.split} (row ${pair.row}) and in ${split}`,
      );
    } else if (pair.relations.has(relation)) {
      this.#report(
        this.#rows,
        "relation",
        `wanted one ${relation} render of pair ${show(pairId)}, but this is another`,
      );
    } else {
      pair.relations.add(relation);
    }
  }

  /** The same question with the same answer in two splits is one item in two splits, whatever its pair is called. */
  #takeContent(record: PreferenceRecord): void {
    const content = contentOf(record);
    const same = this.#contents.get(content);
    if (same === undefined) this.#contents.set(content, { row: this.#rows, split: record.split });
    else if (same.split !== record.split) {
      this.#report(
        this.#rows,
        "prompt",
        `wanted each item in one split, but row ${same.row} of ${same.split} has the prompt and the chosen text of this ${record.split} row`,
      );
    }
  }

  #wantEverySplit(): void {
    const pairs = [...this.#pairs.values()];
    for (const split of splits) {
      const found = pairs.filter((pair) => pair.split === split).length;
      const wanted = PAIRS_MIN[split];
      if (found < wanted) this.#report(0, "split", `wanted at least ${wanted} pairs in ${split}, but got ${found}`);
    }
  }

  #report(row: number, column: string | null, message: string): void {
    this.#problems.add(row, column, message);
  }
}

function contentOf({ prompt, chosen }: PreferenceRecord): string {
  const texts = [...prompt.flatMap(({ role, content }) => [role, content]), chosen];
  return createHash("sha256")
    .update(JSON.stringify(texts.map(normalText)))
    .digest("base64");
}

/** What a pair is compared by for near duplicates: its last turn and the right answer. */
function askedAndAnswered({ prompt, chosen }: PreferenceRecord): string {
  return `${prompt.at(-1)?.content ?? ""}\n${chosen}`;
}
