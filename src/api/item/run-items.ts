import type { ArtifactStore } from "../../artifacts/store.js";
import { type ItemTexts, itemKeyOf, readItem, readTexts, type ScoredItem, unscored } from "../../domain/items.js";
import type { Run } from "../../domain/run.js";
import type { Reads } from "../reads.js";
import { DigestCache, jsonLinesOf } from "./digest-cache.js";

const ITEMS_BYTES_MAX = 64 * 2 ** 20;
const RECORDS_BYTES_MAX = 64 * 2 ** 20;

/** An item of a run, as resolvers hand it on. */
export interface ItemOfRun {
  readonly run: Run;
  readonly item: ScoredItem;
}

/** Scored items of runs and the texts behind them, read from the artifact store. */
export class RunItems {
  readonly #items: DigestCache<readonly ScoredItem[]>;
  readonly #records: DigestCache<readonly ItemTexts[]>;
  /** Looked up by key; made once for each list that the cache holds. */
  readonly #maps = new WeakMap<readonly ItemTexts[], ReadonlyMap<string, ItemTexts>>();

  constructor(artifacts: ArtifactStore) {
    this.#items = new DigestCache(artifacts, jsonLinesOf(readItem), ITEMS_BYTES_MAX);
    this.#records = new DigestCache(artifacts, jsonLinesOf(readTexts), RECORDS_BYTES_MAX);
  }

  /** What the run scored, in the order of its file, then what it should have scored and did not; null where it made no items. */
  async of(run: Run, reads: Reads): Promise<readonly ScoredItem[] | null> {
    const file = (await reads.files(run.id)).find(({ kind }) => kind === "ITEMS");
    if (file === undefined) return null;
    const scored = await this.#items.get(file.sha256);
    if (!run.partial) return scored;
    const known = new Set(scored.map(({ key }) => key));
    const expected = [...(await this.texts(run, reads))].filter(
      ([key, { split }]) => split !== "train" && split !== "warmup" && !known.has(key),
    );
    return [...scored, ...expected.map(([, texts], i) => unscored(texts, scored.length + i))];
  }

  /** The item with this key, or null. */
  async find({ run, key }: { readonly run: Run; readonly key: string }, reads: Reads): Promise<ItemOfRun | null> {
    const item = (await this.of(run, reads))?.find((one) => one.key === key);
    return item === undefined ? null : { run, item };
  }

  /** Says of an item's key whether both runs read the same texts for it. */
  async sameTexts([one, other]: readonly [Run, Run], reads: Reads): Promise<(key: string) => boolean> {
    const [mine, theirs] = await Promise.all([recordsOf(one, reads), recordsOf(other, reads)]);
    if (mine !== null && mine === theirs) return () => true;
    const [ours, others] = await Promise.all([this.texts(one, reads), this.texts(other, reads)]);
    return (key) => {
      const [a, b] = [ours.get(key), others.get(key)];
      if (a === undefined || b === undefined) return false;
      return a.prompt === b.prompt && a.chosen === b.chosen && a.rejected === b.rejected;
    };
  }

  /** The texts behind the run's items, by their keys; empty where the run read no records. */
  async texts(run: Run, reads: Reads): Promise<ReadonlyMap<string, ItemTexts>> {
    const sha256 = await recordsOf(run, reads);
    if (sha256 === null) return new Map();
    const rows = await this.#records.get(sha256);
    const known =
      this.#maps.get(rows) ?? new Map(rows.map((row) => [itemKeyOf(row.split, row.itemKey, row.group), row]));
    this.#maps.set(rows, known);
    return known;
  }
}

/** The digest of the records that the run read, or null. */
async function recordsOf(run: Run, reads: Reads): Promise<string | null> {
  const from = run.inputs.find(({ name }) => name === "records")?.from;
  if (from === undefined) return null;
  if (from.kind === "ARTIFACT") return from.sha256;
  return (await reads.files(from.runId)).find(({ name }) => name === from.artifact)?.sha256 ?? null;
}
