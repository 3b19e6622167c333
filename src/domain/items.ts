import { type Json, sha256 } from "./digest.js";
import { listOf, numberIn, objectOf, textIn, truthIn } from "./json-fields.js";

/** Text that was generated for an item, and how it was scored. */
export interface Generated {
  readonly text: string | null;
  /** By name: exact, f1, strict or loose, each 0 to 1. */
  readonly scores: Readonly<Record<string, number>>;
}

/** One line of `items.jsonl`: what scoring found for one item in one render. */
export interface ScoredItem {
  /** Its place in the file, from 0. */
  readonly index: number;
  /** Names it within its run: 32 hex digits made of split, item and group. */
  readonly key: string;
  readonly itemKey: string;
  readonly split: string;
  /** The relation: aligned, conflicting, in_slice and so on. */
  readonly group: string;
  readonly slice: string | null;
  readonly goldClass: string | null;
  /** log p(chosen) - log p(rejected) in nats; null where the item was not scored. */
  readonly margin: number | null;
  /** 1 for right, 0.5 for a tie, 0 for wrong; null where the item was not scored. */
  readonly score: number | null;
  /** The score by the mean over tokens, where token counts differ. */
  readonly tokenMeanScore: number | null;
  readonly artifactPresent: boolean | null;
  readonly generation: Generated | null;
}

/** What the records say of an item's texts. */
export interface ItemTexts {
  readonly itemKey: string;
  readonly split: string;
  readonly group: string;
  readonly slice: string | null;
  readonly goldClass: string | null;
  /** The prompt, a turn a line with its role before it. */
  readonly prompt: string;
  readonly chosen: string;
  readonly rejected: string;
  readonly artifactPresent: boolean | null;
}

/** The name of an item's line within its run. */
export function itemKeyOf(split: string, itemKey: string, group: string): string {
  return sha256(JSON.stringify([split, itemKey, group])).slice(0, 32);
}

/** Reads a line of `items.jsonl`; answers what is wrong with one that breaks the format. */
export function readItem(line: Json, index: number): ScoredItem | string {
  const row = objectOf(line);
  const [itemKey, split, group] = [row["itemKey"], row["split"], row["relation"]];
  if (typeof itemKey !== "string" || typeof split !== "string" || typeof group !== "string") {
    return "wanted itemKey, split and relation as texts";
  }
  const [margin, score] = [numberIn(row, "margin"), numberIn(row, "score")];
  if (margin === null) return "wanted margin as a finite number";
  if (score !== 0 && score !== 0.5 && score !== 1) return "wanted score as 0, 0.5 or 1";
  return {
    index,
    key: itemKeyOf(split, itemKey, group),
    itemKey,
    split,
    group,
    slice: textIn(row, "slice"),
    goldClass: textIn(row, "goldClass"),
    margin,
    score,
    tokenMeanScore: numberIn(row, "tokenMeanScore"),
    artifactPresent: truthIn(row, "artifactPresent"),
    generation: generatedIn(row["generation"]),
  };
}

/** Reads a line of `records.jsonl`; answers what is wrong with one that breaks the format. */
export function readTexts(line: Json): ItemTexts | string {
  const row = objectOf(line);
  const [itemKey, split, group] = [row["pairId"], row["split"], row["relation"]];
  const { chosen, rejected } = row;
  if (typeof itemKey !== "string" || typeof split !== "string" || typeof group !== "string") {
    return "wanted pairId, split and relation as texts";
  }
  if (typeof chosen !== "string" || typeof rejected !== "string") return "wanted chosen and rejected as texts";
  return {
    itemKey,
    split,
    group,
    slice: textIn(row, "slice"),
    goldClass: textIn(row, "goldClass"),
    prompt: listOf(row["prompt"]).map(turnOf).join("\n"),
    chosen,
    rejected,
    artifactPresent: truthIn(row, "artifactPresent"),
  };
}

/** An item that was expected and not scored, because its run ended early. */
export function unscored({ itemKey, split, group, ...texts }: ItemTexts, index: number): ScoredItem {
  const { slice, goldClass, artifactPresent } = texts;
  const none = { margin: null, score: null, tokenMeanScore: null, generation: null };
  return {
    index,
    key: itemKeyOf(split, itemKey, group),
    itemKey,
    split,
    group,
    slice,
    goldClass,
    artifactPresent,
    ...none,
  };
}

function generatedIn(value: Json | undefined): Generated | null {
  if (value === null || value === undefined) return null;
  const row = objectOf(value);
  const scores = Object.entries(objectOf(row["scores"])).flatMap(([name, score]) =>
    typeof score === "number" && Number.isFinite(score) ? [[name, score] as const] : [],
  );
  return { text: textIn(row, "text"), scores: Object.fromEntries(scores) };
}

function turnOf(turn: Json): string {
  const row = objectOf(turn);
  return `${textIn(row, "role") ?? ""}: ${textIn(row, "content") ?? ""}`;
}
