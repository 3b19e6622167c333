import type { GraphQLSchema } from "graphql";
import { buildSchema, type ContainerType, type MiddlewareFn, type PubSub } from "type-graphql";
import type { ArtifactStore } from "../artifacts/store.js";
import { AssayError } from "../errors.js";
import { ArtifactResolver } from "./artifact/artifact.resolver.js";
import type { Context } from "./context.js";
import { DatasetResolver, DatasetVersionResolver } from "./dataset/dataset.resolver.js";
import { DeadLetterResolver } from "./dead-letter/dead-letter.resolver.js";
import { DeadLetterActionResolver } from "./dead-letter/replay.resolver.js";
import { userErrorTypes } from "./error/error.type.js";
import { CancellationResolver, CancelledRunResolver } from "./experiment/cancellation.resolver.js";
import { ControlResolver } from "./experiment/control.resolver.js";
import { EstimateResolver } from "./experiment/estimate.resolver.js";
import { ExperimentResolver } from "./experiment/experiment.resolver.js";
import { RetrievalResolver } from "./experiment/retrieval.resolver.js";
import { type CodeDigests, type ExperimentSink, RobustnessResolver } from "./experiment/submit.resolver.js";
import { WavesResolver } from "./experiment/waves.resolver.js";
import { CompareResolver } from "./item/compare.resolver.js";
import { FlipResolver, FlipsResolver } from "./item/flips.js";
import { ItemResultResolver, ItemsOfRunResolver } from "./item/item.resolver.js";
import { RunItems } from "./item/run-items.js";
import { LeaderboardResolver, RankingDiffResolver } from "./leaderboard/leaderboard.resolver.js";
import { ModelResolver } from "./model/model.resolver.js";
import { NodeResolver } from "./node/node.resolver.js";
import { demand, located } from "./present.js";
import { ProjectResolver } from "./project/project.resolver.js";
import { RunEventResolver } from "./run/event.resolver.js";
import { runFailureTypes } from "./run/failure.type.js";
import { RunResolver } from "./run/run.resolver.js";
import { SurfaceResolver } from "./surface/surface.resolver.js";
import { ServiceAccountResolver, ViewerResolver } from "./viewer/viewer.resolver.js";

/** What resolvers are made of. */
export interface SchemaParts {
  readonly submitter: ExperimentSink;
  readonly artifacts: ArtifactStore;
  /** Where the service is reached; asked for late, because the port may be known late. */
  readonly publicUrl: () => string;
  readonly codeDigests: CodeDigests;
  /** Whether folders of this machine may be registered as models. */
  readonly allowLocalModels: boolean;
}

/** Builds the schema over its parts. */
export function makeSchema(parts: SchemaParts): Promise<GraphQLSchema> {
  const resolvers = resolversOf(parts);
  const container: ContainerType = { get: (resolver) => resolvers.get(resolver) };
  return buildSchema({
    resolvers: [
      ArtifactResolver,
      CancellationResolver,
      CancelledRunResolver,
      CompareResolver,
      ControlResolver,
      DatasetResolver,
      DatasetVersionResolver,
      DeadLetterActionResolver,
      DeadLetterResolver,
      EstimateResolver,
      ExperimentResolver,
      FlipResolver,
      FlipsResolver,
      ItemResultResolver,
      ItemsOfRunResolver,
      LeaderboardResolver,
      ModelResolver,
      NodeResolver,
      ProjectResolver,
      RankingDiffResolver,
      RetrievalResolver,
      RobustnessResolver,
      RunEventResolver,
      RunResolver,
      ServiceAccountResolver,
      SurfaceResolver,
      ViewerResolver,
      WavesResolver,
    ],
    orphanedTypes: [...userErrorTypes, ...runFailureTypes],
    container,
    pubSub: unused,
    globalMiddlewares: [withPath, readersOnly],
    validate: false,
  });
}

/** One of each resolver, made of its parts. */
function resolversOf(parts: SchemaParts): ReadonlyMap<unknown, object> {
  const items = new RunItems(parts.artifacts);
  return new Map<unknown, object>([
    [ArtifactResolver, new ArtifactResolver(parts.publicUrl)],
    [CancellationResolver, new CancellationResolver()],
    [CancelledRunResolver, new CancelledRunResolver()],
    [CompareResolver, new CompareResolver(items)],
    [ControlResolver, new ControlResolver()],
    [DatasetResolver, new DatasetResolver()],
    [DatasetVersionResolver, new DatasetVersionResolver(parts.artifacts, parts.publicUrl)],
    [DeadLetterActionResolver, new DeadLetterActionResolver()],
    [DeadLetterResolver, new DeadLetterResolver()],
    [EstimateResolver, new EstimateResolver(parts.codeDigests)],
    [ExperimentResolver, new ExperimentResolver()],
    [FlipResolver, new FlipResolver()],
    [FlipsResolver, new FlipsResolver(items)],
    [ItemResultResolver, new ItemResultResolver(items)],
    [ItemsOfRunResolver, new ItemsOfRunResolver(items)],
    [LeaderboardResolver, new LeaderboardResolver(parts.artifacts)],
    [ModelResolver, new ModelResolver(parts.allowLocalModels)],
    [NodeResolver, new NodeResolver(items)],
    [ProjectResolver, new ProjectResolver()],
    [RankingDiffResolver, new RankingDiffResolver()],
    [RetrievalResolver, new RetrievalResolver(parts.submitter, parts.codeDigests)],
    [RobustnessResolver, new RobustnessResolver(parts.submitter, parts.codeDigests)],
    [RunEventResolver, new RunEventResolver()],
    [RunResolver, new RunResolver()],
    [ServiceAccountResolver, new ServiceAccountResolver()],
    [SurfaceResolver, new SurfaceResolver(parts.artifacts)],
    [ViewerResolver, new ViewerResolver()],
    [WavesResolver, new WavesResolver(parts.codeDigests)],
  ]);
}

/** type-graphql asks for one; ours subscribe by themselves, to the event table. */
const unused: PubSub = {
  publish: () => undefined,
  subscribe: (topic) => {
    throw new AssayError("INTERNAL", `wanted a subscription of our own, but got the topic ${topic}`);
  },
};

/** Lets errors of ours keep their place in the answer. */
const withPath: MiddlewareFn<Context> = async (_data, next) => {
  try {
    return await next();
  } catch (thrown) {
    throw located(thrown);
  }
};

/** Queries and subscriptions need READ; each mutation names its own scope. */
const readersOnly: MiddlewareFn<Context> = ({ info, context }, next) => {
  const { name } = info.parentType;
  if (info.path.prev === undefined && (name === "Query" || name === "Subscription")) demand(context, "READ");
  return next();
};
