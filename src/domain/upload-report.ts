import type { Leakage } from "./leakage.js";

/** One thing that is wrong with an uploaded file, or why a row of it is of no use. */
export interface RecordProblem {
  /** Line of the file, from 1, or the question's number in a SQuAD file; 0 for the file as a whole. */
  readonly row: number;
  /** Path of the field, for instance `checker.kwargs.keywords`; the character from 1 where the line is not JSON; null for the whole row. */
  readonly column: string | null;
  readonly message: string;
}

/** What checking a file found. */
export interface RecordReport {
  readonly rows: number;
  /** The first 100 problems. */
  readonly problems: readonly RecordProblem[];
  /** How many there are in all. */
  readonly problemCount: number;
  /** The first 100 rows that are in order but of no use, and why. */
  readonly leftOut: readonly RecordProblem[];
  readonly leftOutCount: number;
  /** The first 100 things worth knowing of how the file is written, for instance a header row; none of them keeps it from use. */
  readonly notes: readonly RecordProblem[];
  /** What training rows share with the others; null where the file has problems, and for versions that were made before this was looked at. */
  readonly leakage: Leakage | null;
}

const LISTED_MAX = 100;

/** Keeps the first hundred of what it is told and counts the rest. */
export class Findings {
  readonly #listed: RecordProblem[] = [];
  #count = 0;

  get listed(): readonly RecordProblem[] {
    return this.#listed;
  }

  get count(): number {
    return this.#count;
  }

  /** Notes one more. */
  add(row: number, column: string | null, message: string): void {
    this.#count += 1;
    if (this.#listed.length < LISTED_MAX) this.#listed.push({ row, column, message });
  }
}
