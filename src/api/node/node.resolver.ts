import { Arg, Ctx, ID, Query, Resolver } from "type-graphql";
import { invalidInput } from "../../errors.js";
import { PAGE_MAX } from "../connection.js";
import type { Context } from "../context.js";
import { typedExperiment } from "../experiment/experiment.js";
import { idArgument, type NodeKey, parseGlobalId } from "../ids.js";
import { flipAt } from "../item/flips.js";
import type { RunItems } from "../item/run-items.js";
import type { Reads } from "../reads.js";
import { NodeType } from "./node.type.js";

@Resolver()
export class NodeResolver {
  readonly #items: RunItems;

  constructor(items: RunItems) {
    this.#items = items;
  }

  @Query(() => NodeType, {
    nullable: true,
    description: "Anything by its id; null when nothing of it is visible to the key.",
  })
  node(@Arg("id", () => ID, idArgument) id: string, @Ctx() { reads }: Context): Promise<object | null> {
    return find(parseGlobalId(id), { reads, items: this.#items });
  }

  @Query(() => [NodeType], {
    nullable: "items",
    description:
      "Things by their ids, in the same order; null in the place of what is not visible to the key. At most 100.",
  })
  nodes(
    @Arg("ids", () => [ID], { description: "At most 100 ids." }) ids: string[],
    @Ctx() { reads }: Context,
  ): Promise<(object | null)[]> {
    if (ids.length > PAGE_MAX) throw invalidInput(["ids"], `at most ${PAGE_MAX} ids`, ids.length);
    return Promise.all(ids.map((id) => find(parseGlobalId(id), { reads, items: this.#items })));
  }
}

interface Sources {
  readonly reads: Reads;
  readonly items: RunItems;
}

async function find(named: NodeKey | null, sources: Sources): Promise<object | null> {
  if (named === null) return null;
  const found = await read(named, sources);
  return found === null ? null : { __typename: named.kind, ...found };
}

function read({ kind, key }: NodeKey, { reads, items }: Sources): Promise<object | null> | null {
  switch (kind) {
    case "Artifact":
      return reads.artifact(key);
    case "Dataset":
      return reads.dataset(key);
    case "DatasetVersion":
      return reads.version(key);
    case "DeadLetter":
      return reads.deadLetter(key);
    case "Experiment":
      return reads.experiment(key).then((experiment) => (experiment === null ? null : typedExperiment(experiment)));
    case "Flip": {
      const [baseline = "", candidate = "", item = ""] = key.split(".");
      return flipAt({ baseline, candidate, item }, reads, items);
    }
    case "ItemResult": {
      const [runId = "", item = ""] = key.split(".");
      return reads.run(runId).then((run) => (run === null ? null : items.find({ run, key: item }, reads)));
    }
    case "Model":
      return reads.model(key);
    case "Project":
      return reads.project(key);
    case "Run":
      return reads.run(key);
    case "RunEvent": {
      const [experimentId = "", sequence] = key.split(".");
      return reads.event(experimentId, Number(sequence));
    }
    case "ServiceAccount":
      return reads.key(key);
    case "Upload":
      return null;
    default:
      return kind satisfies never;
  }
}
