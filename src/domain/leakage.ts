import { createHash } from "node:crypto";
import { type Split, splits } from "./record-fields.js";

/** Two rows of different parts that say the same, or nearly. */
export interface LeakedPair {
  readonly row: number;
  readonly split: Split;
  readonly otherRow: number;
  readonly otherSplit: Split;
  /** Jaccard similarity of their word triples, 0 to 1; 1 for texts that are equal after normalisation. */
  readonly similarity: number;
}

/** What training rows share with validation and test rows. */
export interface Leakage {
  /** Training texts that stand in validation or test too, letter case and white space aside. */
  readonly exactDuplicates: number;
  /** Training texts that are nearly, but not exactly, a validation or test text. */
  readonly nearDuplicates: number;
  /** From which similarity on two texts count as nearly the same. */
  readonly threshold: number;
  /** False where so many texts are alike that the search for near duplicates was ended. */
  readonly complete: boolean;
  /** The first 20 pairs. */
  readonly examples: readonly LeakedPair[];
}

/** Texts whose word triples have at least this Jaccard similarity count as nearly the same. */
export const NEAR = 0.8;
const EXAMPLES_MAX = 20;
const WORDS_MAX = 256;
const STEPS_MAX = 5_000_000;

interface Entry {
  readonly row: number;
  readonly split: Split;
  readonly digest: string;
  readonly shingles: Uint32Array;
}

/** The text as duplicates are found by: one form for compatible characters, lower case, single spaces. */
export function normalText(text: string): string {
  return text.normalize("NFKC").toLowerCase().replace(/\s+/g, " ").trim();
}

/** The part of a text whose row does not name one: 60 % train, 15 % validation, 25 % test, by the text's digest alone. */
export function splitOf(text: string): Split {
  const bucket = createHash("sha256").update(normalText(text)).digest().readUInt32BE(0) % 100;
  return bucket < 60 ? "train" : bucket < 75 ? "validation" : "test";
}

/**
 * Finds texts that stand in train and in validation or test too. Near duplicates are found exactly, without sketches: a pair of
 * Jaccard similarity t shares one of its rarest (1 - t) n + 1 word triples, so only texts that do are compared (decision 16).
 */
export class LeakageScan {
  readonly #seen = new Map<string, { row: number; split: Split }[]>();
  readonly #entries: Entry[] = [];
  readonly #examples: LeakedPair[] = [];
  #exact = 0;
  #near = 0;
  #steps = 0;

  /** Takes one item's text. */
  add(text: string, row: number, split: Split): void {
    const normal = normalText(text);
    const digest = createHash("sha256").update(normal).digest("base64");
    const same = this.#seen.get(digest) ?? [];
    const other = same.find((entry) => isLeak(entry.split, split));
    if (other !== undefined) {
      this.#exact += 1;
      this.#note({ row, split, otherRow: other.row, otherSplit: other.split, similarity: 1 });
    }
    if (same.some((entry) => entry.split === split)) return;
    this.#seen.set(digest, [...same, { row, split }]);
    this.#entries.push({ row, split, digest, shingles: shinglesOf(normal) });
  }

  /** Compares what has come. */
  finish(): Leakage {
    const complete = this.#searchNear();
    return {
      exactDuplicates: this.#exact,
      nearDuplicates: this.#near,
      threshold: NEAR,
      complete,
      examples: this.#examples,
    };
  }

  #searchNear(): boolean {
    const rarest = rarestFirst(this.#entries);
    const index = new Map<number, Entry[]>();
    for (const entry of this.#entries.filter(({ split }) => split !== "train")) {
      for (const one of prefixOf(entry, rarest)) pushTo(index, one, entry);
    }
    for (const entry of this.#entries.filter(({ split }) => split === "train")) {
      const seen = new Set<Entry>();
      for (const one of prefixOf(entry, rarest)) {
        if (this.#meets(entry, index.get(one) ?? [], seen)) break;
        if (this.#steps > STEPS_MAX) return false;
      }
    }
    return true;
  }

  /** Whether one of the others is nearly the same; each is compared once, and the first that is ends the search. */
  #meets(entry: Entry, others: readonly Entry[], seen: Set<Entry>): boolean {
    for (const other of others) {
      this.#steps += 1;
      if (this.#steps > STEPS_MAX) return false;
      if (!seen.has(other) && this.#compare(entry, other)) return true;
      seen.add(other);
    }
    return false;
  }

  #compare(entry: Entry, other: Entry): boolean {
    const similarity = jaccard(entry.shingles, other.shingles);
    if (similarity < NEAR || entry.digest === other.digest) return false;
    this.#near += 1;
    const { row, split } = entry;
    this.#note({ row, split, otherRow: other.row, otherSplit: other.split, similarity });
    return true;
  }

  #note(pair: LeakedPair): void {
    if (this.#examples.length < EXAMPLES_MAX) this.#examples.push(pair);
  }
}

/** Orders word triples by how many texts have them. */
function rarestFirst(entries: readonly Entry[]): (a: number, b: number) => number {
  const counts = new Map<number, number>();
  for (const { shingles } of entries) for (const one of shingles) counts.set(one, (counts.get(one) ?? 0) + 1);
  return (a, b) => (counts.get(a) ?? 0) - (counts.get(b) ?? 0) || a - b;
}

function pushTo(index: Map<number, Entry[]>, key: number, entry: Entry): void {
  const listed = index.get(key);
  if (listed === undefined) index.set(key, [entry]);
  else listed.push(entry);
}

function isLeak(one: Split, other: Split): boolean {
  return one !== other && (one === splits[0] || other === splits[0]);
}

/** The digests of a text's word triples (of all its words where it has fewer), in rising order, each once. */
function shinglesOf(normal: string): Uint32Array {
  const words = (normal.match(/[\p{L}\p{N}_]+/gu) ?? []).slice(0, WORDS_MAX);
  const found = new Set<number>();
  for (let i = 0; i + 3 <= words.length; i += 1) found.add(fnv(words.slice(i, i + 3).join(" ")));
  if (words.length < 3) found.add(fnv(words.join(" ")));
  return Uint32Array.from(found).sort();
}

function prefixOf({ shingles }: Entry, rarest: (a: number, b: number) => number): number[] {
  const length = shingles.length - Math.ceil(NEAR * shingles.length) + 1;
  return [...shingles].sort(rarest).slice(0, length);
}

function jaccard(a: Uint32Array, b: Uint32Array): number {
  let shared = 0;
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const [x = 0, y = 0] = [a[i], b[j]];
    if (x === y) shared += 1;
    if (x <= y) i += 1;
    if (y <= x) j += 1;
  }
  return shared / (a.length + b.length - shared);
}

/** Fowler, Noll and Vo's hash (1a, 32 bits) of the UTF-16 units. */
function fnv(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
