import type { ScoredItem } from "./items.js";
import { type Bounds, boundsOf } from "./statistics.js";

/** What is compared of two runs: one number per test item. */
export interface ComparisonMetric {
  readonly name: string;
  readonly higherIsBetter: boolean;
  /** The range of a difference of two of its numbers; null for nats. */
  readonly bounds: Bounds | null;
  /** Whether its numbers are right or wrong (or a tie), so that McNemar's test applies. */
  readonly decided: boolean;
  /** Whether its numbers compare only between runs of one method: margins grow with the method as much as with the model. */
  readonly withinMethod: boolean;
  /** The numbers of a run by item; items without one are absent. */
  readonly valuesOf: (items: readonly ScoredItem[]) => Map<string, number>;
  /** The items' renders that it looks at. */
  readonly groups: readonly string[];
}

const textScores = ["exact", "f1", "strict", "loose"] as const;
const CUED = ["aligned", "conflicting"] as const;

/**
 * The metric of a name: `gap` (aligned minus conflicting), `balanced` (their mean), a group alone for the share of its items that are
 * right, or `margin:`, `exact:`, `f1:`, `strict:` or `loose:` before a group. Null for any other name.
 */
export function metricNamed(name: string): ComparisonMetric | null {
  if (name === "gap") return paired(name, (aligned, conflicting) => aligned - conflicting, false);
  if (name === "balanced") return paired(name, (aligned, conflicting) => (aligned + conflicting) / 2, true);
  const [what = "", group, ...rest] = name.includes(":") ? name.split(":") : ["score", name];
  if (rest.length > 0 || group === undefined || !/^[a-z][a-z0-9_]{0,63}$/.test(group) || group === "prompt_blind")
    return null;
  const of = (read: (item: ScoredItem) => number | null): ComparisonMetric["valuesOf"] => {
    return (items) => valuesIn(items, group, read);
  };
  const shared = {
    name,
    higherIsBetter: true,
    bounds: boundsOf.difference,
    decided: true,
    withinMethod: false,
    groups: [group],
  };
  if (what === "score") return { ...shared, valuesOf: of(({ score }) => score) };
  if (what === "margin") {
    return { ...shared, bounds: null, decided: false, withinMethod: true, valuesOf: of(({ margin }) => margin) };
  }
  const text = textScores.find((known) => known === what);
  if (text === undefined) return null;
  return { ...shared, decided: text !== "f1", valuesOf: of(({ generation }) => generation?.scores[text] ?? null) };
}

function paired(
  name: string,
  join: (aligned: number, conflicting: number) => number,
  higherIsBetter: boolean,
): ComparisonMetric {
  return {
    name,
    higherIsBetter,
    bounds: higherIsBetter ? boundsOf.difference : boundsOf.doubleDifference,
    decided: false,
    withinMethod: false,
    groups: CUED,
    valuesOf: (items) => {
      const [aligned, conflicting] = CUED.map((group) => valuesIn(items, group, ({ score }) => score));
      const joined = new Map<string, number>();
      for (const [key, value] of aligned ?? []) {
        const other = conflicting?.get(key);
        if (other !== undefined) joined.set(key, join(value, other));
      }
      return joined;
    },
  };
}

function valuesIn(
  items: readonly ScoredItem[],
  group: string,
  read: (item: ScoredItem) => number | null,
): Map<string, number> {
  const values = new Map<string, number>();
  for (const item of items) {
    const value = item.split === "test" && item.group === group ? read(item) : null;
    if (value !== null) values.set(item.itemKey, value);
  }
  return values;
}

/** The names of metrics that a run's items allow. */
export function metricsIn(items: readonly ScoredItem[]): string[] {
  const tested = items.filter(({ split, group }) => split === "test" && group !== "prompt_blind");
  const groups = [...new Set(tested.map(({ group }) => group))].sort();
  const texts = new Set(
    tested.flatMap(({ group, generation }) => Object.keys(generation?.scores ?? {}).map((name) => `${name}:${group}`)),
  );
  const both = CUED.every((group) => groups.includes(group)) ? ["balanced", "gap"] : [];
  return [...both, ...groups, ...groups.map((group) => `margin:${group}`), ...[...texts].sort()];
}
