import { Arg, Args, Ctx, FieldResolver, ID, Resolver, Root } from "type-graphql";
import type { ItemTexts, ScoredItem } from "../../domain/items.js";
import type { Run } from "../../domain/run.js";
import { invalidInput } from "../../errors.js";
import { type Connection, connectionOf, numberCursor, PageArgs, pageOf, sliceByNumber } from "../connection.js";
import type { Context } from "../context.js";
import { globalId, idWords } from "../ids.js";
import type { Typed } from "../node/node.type.js";
import { RunType } from "../run/run.type.js";
import { ItemFilter, ItemResultConnection, ItemResultType, type TextScoreType } from "./item.type.js";
import type { ItemOfRun, RunItems } from "./run-items.js";

/** The items of a run, a page at a time. */
@Resolver(() => RunType)
export class ItemsOfRunResolver {
  readonly #items: RunItems;

  constructor(items: RunItems) {
    this.#items = items;
  }

  @FieldResolver(() => ItemResultConnection, {
    description:
      "What it found item by item, in the order of its file; empty where it scores nothing or has not ended.",
  })
  async items(
    @Root() run: Run,
    @Arg("filter", () => ItemFilter, { nullable: true, description: "Which of them." }) filter: ItemFilter | null,
    @Args(() => PageArgs) args: PageArgs,
    @Ctx() { reads }: Context,
  ): Promise<Connection<ItemOfRun>> {
    const page = pageOf(args, numberCursor);
    const wanted = filter ?? {};
    checkFilter(wanted);
    const all = (await this.#items.of(run, reads)) ?? [];
    const texts = await this.#textsFor(wanted, run, reads);
    const kept = all.filter((item) => matches(item, wanted, () => cueOf(item, texts)));
    const cut = sliceByNumber(kept, page, ({ index }) => index);
    const items = cut.items.map((item) => ({ run, item }));
    return connectionOf({ ...cut, items }, numberCursor, ({ item }) => item.index);
  }

  /** The records, only where the filter needs them. */
  async #textsFor({ spuriousFeaturePresent }: ItemFilter, run: Run, reads: Context["reads"]): Promise<Texts> {
    return spuriousFeaturePresent == null ? new Map() : this.#items.texts(run, reads);
  }
}

type Texts = ReadonlyMap<string, ItemTexts>;

function checkFilter({ maxScore }: ItemFilter): void {
  if (maxScore == null || (maxScore >= 0 && maxScore <= 1)) return;
  throw invalidInput(["filter", "maxScore"], "0 to 1", maxScore);
}

function matches(item: ScoredItem, filter: ItemFilter, cue: () => boolean | null): boolean {
  const { group, split, maxScore, errored, spuriousFeaturePresent } = filter;
  return (
    (group == null || item.group === group) &&
    (split == null || item.split === split) &&
    (maxScore == null || (item.score !== null && item.score <= maxScore)) &&
    (errored == null || (item.score === null) === errored) &&
    (spuriousFeaturePresent == null || cue() === spuriousFeaturePresent)
  );
}

function cueOf(item: ScoredItem, texts: Texts): boolean | null {
  return item.artifactPresent ?? texts.get(item.key)?.artifactPresent ?? null;
}

/** The fields of one item. Its texts are read only when they are asked for. */
@Resolver(() => ItemResultType)
export class ItemResultResolver {
  readonly #items: RunItems;

  constructor(items: RunItems) {
    this.#items = items;
  }

  @FieldResolver(() => ID, idWords)
  id(@Root() { run, item }: ItemOfRun): string {
    return globalId("ItemResult", `${run.id}.${item.key}`);
  }

  @FieldResolver()
  itemKey(@Root() { item }: ItemOfRun): string {
    return item.itemKey;
  }

  @FieldResolver()
  split(@Root() { item }: ItemOfRun): string {
    return item.split;
  }

  @FieldResolver()
  group(@Root() { item }: ItemOfRun): string {
    return item.group;
  }

  @FieldResolver()
  slice(@Root() { item }: ItemOfRun): string | null {
    return item.slice;
  }

  @FieldResolver()
  score(@Root() { item }: ItemOfRun): number | null {
    return item.score;
  }

  @FieldResolver()
  margin(@Root() { item }: ItemOfRun): number | null {
    return item.margin;
  }

  @FieldResolver()
  tokenMeanScore(@Root() { item }: ItemOfRun): number | null {
    return item.tokenMeanScore;
  }

  @FieldResolver()
  async input(@Root() root: ItemOfRun, @Ctx() context: Context): Promise<string | null> {
    return (await this.#textsOf(root, context))?.prompt ?? null;
  }

  @FieldResolver()
  async expected(@Root() root: ItemOfRun, @Ctx() context: Context): Promise<string | null> {
    return (await this.#textsOf(root, context))?.chosen ?? null;
  }

  @FieldResolver()
  async rejected(@Root() root: ItemOfRun, @Ctx() context: Context): Promise<string | null> {
    return (await this.#textsOf(root, context))?.rejected ?? null;
  }

  @FieldResolver()
  output(@Root() { item }: ItemOfRun): string | null {
    return item.generation?.text ?? null;
  }

  @FieldResolver()
  outputScores(@Root() { item }: ItemOfRun): TextScoreType[] {
    return Object.entries(item.generation?.scores ?? {}).map(([name, value]) => ({ name, value }));
  }

  @FieldResolver()
  async spuriousFeaturePresent(@Root() root: ItemOfRun, @Ctx() context: Context): Promise<boolean | null> {
    return root.item.artifactPresent ?? (await this.#textsOf(root, context))?.artifactPresent ?? null;
  }

  @FieldResolver()
  error(@Root() { item }: ItemOfRun): (Typed & object) | null {
    return item.score === null ? notScored : null;
  }

  async #textsOf({ run, item }: ItemOfRun, { reads }: Context): Promise<ItemTexts | undefined> {
    return (await this.#items.texts(run, reads)).get(item.key);
  }
}

const notScored = {
  __typename: "WorkFailure",
  code: "ITEM_NOT_SCORED",
  message: "The run was ended before it came to this item.",
  stage: "scoring",
  retryable: true,
  remedy: "Run the cell again without ending it early.",
};
