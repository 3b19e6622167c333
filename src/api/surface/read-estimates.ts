import type { Json } from "../../domain/digest.js";
import type { IntervalMethod } from "../enums.js";
import { entriesOf, fieldOf, numberOf, textOf } from "../run/json.js";
import type { MetricEstimateType } from "../run/run.type.js";
import type { GroupEstimateType } from "./surface.type.js";

/** The report's words for how an interval was made, and ours. */
const methods: Readonly<Record<string, IntervalMethod>> = {
  wilson: "WILSON",
  "adjusted-wald": "ADJUSTED_WALD",
  "stratified-wald": "STRATIFIED_WALD",
  bca: "BOOTSTRAP_ITEMS",
  percentile: "BOOTSTRAP_PERCENTILE",
  "two-way-t": "SEEDS_AND_ITEMS_T",
  "clustered-t": "SEEDS_T",
  "seed-t": "SEEDS_T",
};

/** An estimate of the report; null where there is none, where it has no interval, or where nobody knows how that was made. */
export function estimateIn(found: Json | undefined, name: string, level: number): MetricEstimateType | null {
  const [value, low, high] = ["value", "low", "high"].map((field) => numberOf(fieldOf(found, field)));
  const [items, seeds] = [numberOf(fieldOf(found, "n")), numberOf(fieldOf(found, "seeds"))];
  const method = methodOf(textOf(fieldOf(found, "interval")) ?? "");
  if (value == null || low == null || high == null || items === null || seeds === null || method === null) return null;
  return { name, value, items, seeds, interval: { level, low, high, method } };
}

/** The estimates of groups, by name. */
export function groupsIn(groups: Json | undefined, level: number): GroupEstimateType[] {
  return entriesOf(groups).flatMap(([group, found]) => {
    const estimate = estimateIn(found, group, level);
    return estimate === null ? [] : { group, estimate };
  });
}

/** A word before the method says for how much it holds: for several groups at once, or for a ratio after it was made linear. */
function methodOf(said: string): IntervalMethod | null {
  return methods[said.replace(/^(simultaneous|linearised)-/, "")] ?? null;
}
