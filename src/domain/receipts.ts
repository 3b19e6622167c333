import type { Json } from "./digest.js";
import { type Fields, listOf, numberIn, objectOf, textIn } from "./json-fields.js";

/** A document that a system found. */
export interface RankedDocument {
  readonly document: string;
  readonly score: number;
  /** How relevant it was judged; null where nobody judged it. */
  readonly relevance: number | null;
}

/** What one system made of one query; values are means over its seeds. */
export interface QueryScore {
  readonly key: string;
  readonly ndcg: number;
  readonly rr: number | null;
  readonly recall: number | null;
  readonly ap: number | null;
  readonly judged: number | null;
  readonly seeds: number;
  /** nDCG@10 minus the base encoder's; null of the base itself. */
  readonly delta: number | null;
  /** The first ten, of a trained system those of its first seed. */
  readonly top: readonly RankedDocument[];
}

/** One line of a report's `queries.jsonl`: what every system made of one test query. */
export interface Receipt {
  /** Its place in the file, from 0. */
  readonly index: number;
  readonly query: string;
  readonly text: string;
  readonly group: string | null;
  /** What the query was expanded by; null where it was not. */
  readonly expansion: string | null;
  readonly systems: ReadonlyMap<string, QueryScore>;
  /** Whether the distilled encoder is below its base here. */
  readonly lost: boolean;
  readonly latencySavedMs: number | null;
}

/** Reads a line of `queries.jsonl`; answers what is wrong with one that breaks the format. */
export function readReceipt(line: Json, index: number): Receipt | string {
  const row = objectOf(line);
  const { query, text, lost } = row;
  if (typeof query !== "string" || typeof text !== "string") return "wanted query and text as texts";
  if (typeof lost !== "boolean") return "wanted lost as true or false";
  const [delta, top] = [objectOf(row["delta"]), objectOf(row["top"])];
  const systems = new Map<string, QueryScore>();
  for (const [key, found] of Object.entries(objectOf(row["systems"]))) {
    const score = scoreOf(key, objectOf(found), { delta: delta[key], top: top[key] });
    if (score === null) return `wanted ndcg@10 of ${key} as a number, and its documents with scores`;
    systems.set(key, score);
  }
  const [group, expansion] = [textIn(row, "group"), textIn(row, "expansion")];
  return {
    index,
    query,
    text,
    group,
    expansion,
    systems,
    lost,
    latencySavedMs: numberIn(objectOf(row["seconds"]), "latencySavedMs"),
  };
}

function scoreOf(
  key: string,
  found: Fields,
  { delta, top }: { readonly delta: Json | undefined; readonly top: Json | undefined },
): QueryScore | null {
  const ndcg = numberIn(found, "ndcg@10");
  const documents = listOf(top).map((entry) => rankedOf(objectOf(entry)));
  if (ndcg === null || documents.includes(null)) return null;
  return {
    key,
    ndcg,
    rr: numberIn(found, "rr@10"),
    recall: numberIn(found, "recall@100"),
    ap: numberIn(found, "ap"),
    judged: numberIn(found, "judged@10"),
    seeds: numberIn(found, "seeds") ?? 1,
    delta: typeof delta === "number" ? delta : null,
    top: documents.filter((document) => document !== null),
  };
}

function rankedOf(entry: Fields): RankedDocument | null {
  const [document, score] = [textIn(entry, "document"), numberIn(entry, "score")];
  return document === null || score === null ? null : { document, score, relevance: numberIn(entry, "relevance") };
}
