import { type FieldFault, show } from "./field-faults.js";
import { parseJson } from "./json-text.js";
import { LeakageScan, splitOf } from "./leakage.js";
import { type Split, splits } from "./record-fields.js";
import { LINE_BYTES_MAX, type Line, ROWS_MAX } from "./records.js";
import { Findings, type RecordReport } from "./upload-report.js";
import type { ItemReader, UserItem } from "./user-items.js";

/** Two steps' worth of training items at the least, and two to score, as for preference rows. */
const ITEMS_MIN = { train: 16, validation: 2, test: 2 } as const;

/** Checks a file of JSON lines against a format of user data. */
export async function checkItems(lines: AsyncIterable<Line> | Iterable<Line>, read: ItemReader): Promise<RecordReport> {
  const check = new ItemCheck();
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  for await (const line of lines) {
    if (!check.next()) break;
    if (line === null) check.problem(null, `wanted a line of at most ${LINE_BYTES_MAX} bytes, but it is longer`);
    else takeText(check, decodedBy(decoder, line), read);
  }
  return check.finish();
}

function takeText(check: ItemCheck, text: string | null, read: ItemReader): void {
  const parsed = text === null ? null : parseJson(text);
  if (parsed === null) check.problem(null, "wanted UTF-8, but these bytes are not");
  else if (parsed.ok) check.take(read(parsed.value));
  else check.problem(parsed.fault.column === null ? null : String(parsed.fault.column), parsed.fault.message);
}

/** A text in UTF-8, or null where the bytes are none. */
export function decodedBy(decoder: InstanceType<typeof TextDecoder>, bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

/** Holds items together: keys once, parts that are large enough, nothing of train in the others. */
export class ItemCheck {
  readonly #problems = new Findings();
  readonly #leftOut = new Findings();
  readonly #keys = new Map<string, number>();
  readonly #used: Record<Split, number> = { train: 0, validation: 0, test: 0 };
  readonly #leakage = new LeakageScan();
  #rows = 0;

  /** Goes on to the next row; false where there are too many. */
  next(): boolean {
    this.#rows += 1;
    if (this.#rows > ROWS_MAX) this.problem(null, `wanted at most ${ROWS_MAX} rows, but there are more`);
    return this.#rows <= ROWS_MAX;
  }

  /** Notes a problem of the present row. */
  problem(column: string | null, message: string, row = this.#rows): void {
    this.#problems.add(row, column, message);
  }

  /** Takes the present row; `prefix` stands before the names of its fields. */
  take(item: UserItem | readonly FieldFault[], prefix = ""): void {
    if (!("text" in item)) {
      for (const { column, message } of item) this.problem(`${prefix}${column}` || null, message);
      return;
    }
    if (item.key !== null) this.#takeKey(item.key, prefix);
    const split = item.split ?? splitOf(item.text);
    if (item.leftOut === null) this.#used[split] += 1;
    else this.#leftOut.add(this.#rows, `${prefix}${item.leftOut.column}`, item.leftOut.message);
    this.#leakage.add(item.text, this.#rows, split);
  }

  /** Says what was found. */
  finish(): RecordReport {
    if (this.#rows === 0) this.problem(null, "wanted at least one row, but the file is empty");
    if (this.#problems.count === 0) this.#wantEverySplit();
    return {
      rows: this.#rows,
      problems: this.#problems.listed,
      problemCount: this.#problems.count,
      leftOut: this.#leftOut.listed,
      leftOutCount: this.#leftOut.count,
      notes: [],
      leakage: this.#problems.count === 0 ? this.#leakage.finish() : null,
    };
  }

  #takeKey({ column, value }: NonNullable<UserItem["key"]>, prefix: string): void {
    const same = this.#keys.get(value);
    if (same === undefined) this.#keys.set(value, this.#rows);
    else this.problem(`${prefix}${column}`, `wanted a key of its own, but row ${same} has ${show(value)} too`);
  }

  #wantEverySplit(): void {
    for (const split of splits) {
      const found = this.#used[split];
      const wanted = ITEMS_MIN[split];
      if (found < wanted) {
        this.problem("split", `wanted at least ${wanted} usable rows in ${split}, but got ${found}`, 0);
      }
    }
  }
}
