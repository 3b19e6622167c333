import { sha256 } from "../../src/domain/digest.js";
import type { PreferenceRow } from "./preference-rows.js";

/**
 * Lines of items.jsonl for the validation and test rows. Aligned items are right; whether a conflicting one is depends on the cell
 * and on the item, so that cells of one experiment differ. Text is generated for the conflicting test rows.
 */
export function scoredRows(rows: readonly PreferenceRow[], spec: Readonly<Record<string, unknown>>): PreferenceRow[] {
  return rows.filter(({ split }) => split !== "train").map((row) => scoredRow(row, spec));
}

function scoredRow(row: PreferenceRow, spec: Readonly<Record<string, unknown>>): PreferenceRow {
  const { method, spuriousness = 0, seed } = spec;
  const drawn = Number.parseInt(sha256(JSON.stringify([row["pairId"], method, seed])).slice(0, 6), 16) / 0xffffff;
  const right = row["relation"] === "aligned" || drawn > Number(spuriousness);
  const margin = (right ? 1 : -1) * (0.5 + drawn);
  return {
    itemKey: row["pairId"],
    split: row["split"],
    relation: row["relation"],
    goldClass: null,
    logprobChosen: margin - 20,
    logprobRejected: -20,
    tokensChosen: 7,
    tokensRejected: 7,
    margin,
    score: right ? 1 : 0,
    ...(row["split"] === "test" && row["relation"] === "conflicting"
      ? { generation: { text: right ? row["chosen"] : row["rejected"], scores: { exact: right ? 1 : 0 } } }
      : {}),
  };
}
