import { setImmediate } from "node:timers/promises";
import { Arg, Ctx, Float, ID, Query, Resolver } from "type-graphql";
import { compareFamily, type PairedSeed, pairItems } from "../../domain/comparison.js";
import { type ComparisonMetric, metricNamed, metricsIn } from "../../domain/comparison-metric.js";
import { itemKeyOf, type ScoredItem } from "../../domain/items.js";
import type { Run } from "../../domain/run.js";
import { AssayError, invalidInput } from "../../errors.js";
import type { Context } from "../context.js";
import { answered } from "../present.js";
import type { Reads } from "../reads.js";
import { checkSides, sideOf } from "./compared-runs.js";
import { ComparisonPayload } from "./comparison.type.js";
import type { ComparedRuns } from "./flips.js";
import { confoundersOfRuns } from "./run-confounders.js";
import type { RunItems } from "./run-items.js";

const CANDIDATES_MAX = 10;
/** Resampling more would keep the gateway from its other work. */
const RESAMPLED_ITEMS_MAX = 20_000;

const baselineArgument = { description: "The run that is held against, or the runs of its cell, one a seed." } as const;
const candidatesArgument = {
  description: "One to ten candidates; each is a run, or the runs of a cell under the baseline's seeds.",
} as const;
const metricArgument = {
  description:
    "`gap`, `balanced`, a group for the share of right answers in it, or margin:, exact:, f1:, strict: or loose: and a group.",
} as const;
const thresholdArgument = {
  nullable: true,
  description: "A difference up to this does not matter, above 0; without it no verdict is EQUIVALENT.",
} as const;

/** Holds runs against one another. */
@Resolver()
export class CompareResolver {
  readonly #items: RunItems;

  constructor(items: RunItems) {
    this.#items = items;
  }

  @Query(() => ComparisonPayload, {
    description:
      "Compares runs over the same test items. With one run a side: McNemar's test or the bootstrap, over items. With several seeds: a t-interval over seeds and items, and from six seeds on a sign-flip test. P-values are adjusted for the number of candidates. Runs of different trainers are refused.",
  })
  compareRuns(
    @Arg("baseline", () => [ID], baselineArgument) baseline: readonly string[],
    @Arg("candidates", () => [[ID]], candidatesArgument) candidates: readonly (readonly string[])[],
    @Arg("metric", () => String, metricArgument) metric: string,
    @Arg("practicalThreshold", () => Float, thresholdArgument) practicalThreshold: number | null,
    @Ctx() { reads }: Context,
  ): Promise<{ comparisons: readonly object[]; errors: readonly object[] }> {
    const request = { baseline, candidates, metric, practicalThreshold: practicalThreshold ?? null };
    return answered({}, { comparisons: [] }, async () => ({ comparisons: await this.#compare(request, reads) }));
  }

  async #compare(request: ComparisonRequest, reads: Reads): Promise<object[]> {
    const { practicalThreshold } = request;
    const metric = checked(request);
    const baseline = await sideOf(request.baseline, ["baseline"], reads);
    const candidates = await Promise.all(
      request.candidates.map((ids, i) => sideOf(ids, ["candidates", String(i)], reads)),
    );
    checkSides(baseline, candidates, metric);
    const paired = await Promise.all(candidates.map((side) => this.#pair([baseline, side], metric, reads)));
    const salt = baseline.map(({ digest }) => digest).join(" ");
    const found = await compareFamily({ metric, candidates: paired, practicalThreshold, salt }, () => setImmediate());
    return Promise.all(
      found.map(async (one, i) => {
        const runs: ComparedRuns = { metric: metric.name, baseline, candidate: candidates[i] ?? [] };
        const confounders = await confoundersOfRuns(runs, reads);
        return { ...runs, ...one, higherIsBetter: metric.higherIsBetter, confounders };
      }),
    );
  }

  /** The numbers of both sides, seed by seed; both sides have the same seeds in the same order. */
  async #pair(
    [baseline, candidate]: readonly [readonly Run[], readonly Run[]],
    metric: ComparisonMetric,
    reads: Reads,
  ): Promise<PairedSeed[]> {
    const pairs = await Promise.all(
      baseline.map(async (mine, i) => {
        const theirs = candidate[i] ?? mine;
        const same = await this.#items.sameTexts([mine, theirs], reads);
        const [ours, others] = await Promise.all([
          this.#valuesOf(mine, metric, reads),
          this.#valuesOf(theirs, metric, reads),
        ]);
        const samePair = (itemKey: string): boolean =>
          metric.groups.every((group) => same(itemKeyOf("test", itemKey, group)));
        return pairItems(mine.seed ?? 0, [ours, others], samePair);
      }),
    );
    const [most] = pairs.map(({ keys }) => keys.length).sort((a, b) => b - a);
    if (pairs.some(({ keys }) => keys.length === 0)) {
      throw new AssayError(
        "UNSUPPORTED_COMBINATION",
        "wanted items with the same texts on both sides, but there are none",
        {
          path: ["candidates"],
          detail: { supported: ["runs over the same test items"] },
        },
      );
    }
    if (!metric.decided && (most ?? 0) > RESAMPLED_ITEMS_MAX) {
      throw new AssayError(
        "QUERY_TOO_COMPLEX",
        `wanted at most ${RESAMPLED_ITEMS_MAX} items to resample, but got ${most}`,
      );
    }
    return pairs;
  }

  async #valuesOf(run: Run, metric: ComparisonMetric, reads: Reads): Promise<Map<string, number>> {
    const items: readonly ScoredItem[] = (await this.#items.of(run, reads)) ?? [];
    const values = metric.valuesOf(items);
    if (values.size === 0) throw invalidInput(["metric"], `one of ${metricsIn(items).join(", ")}`, metric.name);
    return values;
  }
}

interface ComparisonRequest {
  readonly baseline: readonly string[];
  readonly candidates: readonly (readonly string[])[];
  readonly metric: string;
  readonly practicalThreshold: number | null;
}

function checked({ candidates, metric, practicalThreshold }: ComparisonRequest): ComparisonMetric {
  if (candidates.length < 1 || candidates.length > CANDIDATES_MAX) {
    throw invalidInput(["candidates"], `1 to ${CANDIDATES_MAX} candidates`, candidates.length);
  }
  if (practicalThreshold !== null && !(practicalThreshold > 0)) {
    throw invalidInput(["practicalThreshold"], "a number above 0", practicalThreshold);
  }
  const named = metricNamed(metric);
  if (named === null)
    throw invalidInput(["metric"], "gap, balanced, a group, or a figure and a group with a colon between", metric);
  return named;
}
