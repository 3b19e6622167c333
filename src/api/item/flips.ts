import { Args, Ctx, FieldResolver, ID, Resolver, Root } from "type-graphql";
import { metricNamed } from "../../domain/comparison-metric.js";
import type { Run } from "../../domain/run.js";
import { type Connection, connectionOf, numberCursor, PageArgs, pageOf, sliceByNumber } from "../connection.js";
import type { Context } from "../context.js";
import { globalId, idWords } from "../ids.js";
import type { Reads } from "../reads.js";
import { ComparisonType, FlipConnection, FlipType } from "./comparison.type.js";
import type { ItemOfRun, RunItems } from "./run-items.js";

/** One item in two runs. */
export interface FlipOfRuns {
  readonly baseline: ItemOfRun;
  readonly candidate: ItemOfRun;
}

/** The runs of a comparison, seed by seed. */
export interface ComparedRuns {
  readonly metric: string;
  readonly baseline: readonly Run[];
  readonly candidate: readonly Run[];
}

/** The flip that a global id names: null where a run is not visible, or both answered alike. */
export async function flipAt(
  named: { readonly baseline: string; readonly candidate: string; readonly item: string },
  reads: Reads,
  items: RunItems,
): Promise<FlipOfRuns | null> {
  const [mine, theirs] = await Promise.all([reads.run(named.baseline), reads.run(named.candidate)]);
  if (mine === null || theirs === null) return null;
  const [baseline, candidate] = await Promise.all([
    items.find({ run: mine, key: named.item }, reads),
    items.find({ run: theirs, key: named.item }, reads),
  ]);
  return baseline !== null && candidate !== null && flipped(baseline, candidate) ? { baseline, candidate } : null;
}

function flipped(baseline: ItemOfRun, candidate: ItemOfRun): boolean {
  const [mine, theirs] = [baseline.item.score, candidate.item.score];
  return mine !== null && theirs !== null && mine !== theirs;
}

/** The fields of one flip. */
@Resolver(() => FlipType)
export class FlipResolver {
  @FieldResolver(() => ID, idWords)
  id(@Root() { baseline, candidate }: FlipOfRuns): string {
    return globalId("Flip", `${baseline.run.id}.${candidate.run.id}.${baseline.item.key}`);
  }

  @FieldResolver()
  itemKey(@Root() { baseline }: FlipOfRuns): string {
    return baseline.item.itemKey;
  }

  @FieldResolver()
  group(@Root() { baseline }: FlipOfRuns): string {
    return baseline.item.group;
  }
}

/** The flips of a comparison, a page at a time. */
@Resolver(() => ComparisonType)
export class FlipsResolver {
  readonly #items: RunItems;

  constructor(items: RunItems) {
    this.#items = items;
  }

  @FieldResolver(() => FlipConnection, {
    description:
      "Test items, in the renders that the metric looks at, that the two sides answered differently; seed by seed.",
  })
  async flips(
    @Root() compared: ComparedRuns,
    @Args(() => PageArgs) args: PageArgs,
    @Ctx() { reads }: Context,
  ): Promise<Connection<FlipOfRuns>> {
    const page = pageOf(args, numberCursor);
    const placed = (await this.#all(compared, reads)).map((flip, place) => ({ flip, place }));
    const cut = sliceByNumber(placed, page, ({ place }) => place);
    const { edges, pageInfo } = connectionOf(cut, numberCursor, ({ place }) => place);
    return { edges: edges.map(({ node, cursor }) => ({ node: node.flip, cursor })), pageInfo };
  }

  async #all({ metric, baseline, candidate }: ComparedRuns, reads: Reads): Promise<FlipOfRuns[]> {
    const groups = metricNamed(metric)?.groups ?? [];
    const perSeed = await Promise.all(
      baseline.map(async (mine, i) => {
        const theirs = candidate[i];
        if (theirs === undefined) return [];
        const same = await this.#items.sameTexts([mine, theirs], reads);
        const [ours, others] = await Promise.all([this.#items.of(mine, reads), this.#items.of(theirs, reads)]);
        const found = new Map((others ?? []).map((item) => [item.key, { run: theirs, item }]));
        return (ours ?? []).flatMap((item) => {
          const [one, other] = [{ run: mine, item }, found.get(item.key)];
          const wanted = item.split === "test" && groups.includes(item.group) && same(item.key);
          return wanted && other !== undefined && flipped(one, other) ? [{ baseline: one, candidate: other }] : [];
        });
      }),
    );
    return perSeed.flat();
  }
}
