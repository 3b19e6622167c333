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
import { ExperimentResolver } from "./experiment/experiment.resolver.js";
import { type CodeDigests, type ExperimentSink, RobustnessResolver } from "./experiment/submit.resolver.js";
import { WavesResolver } from "./experiment/waves.resolver.js";
import { ModelResolver } from "./model/model.resolver.js";
import { NodeResolver } from "./node/node.resolver.js";
import { demand, located } from "./present.js";
import { ProjectResolver } from "./project/project.resolver.js";
import { RunEventResolver } from "./run/event.resolver.js";
import { runFailureTypes } from "./run/failure.type.js";
import { RunResolver } from "./run/run.resolver.js";
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
  const resolvers = new Map<unknown, object>([
    [ArtifactResolver, new ArtifactResolver(parts.publicUrl)],
    [CancellationResolver, new CancellationResolver()],
    [CancelledRunResolver, new CancelledRunResolver()],
    [ControlResolver, new ControlResolver()],
    [DatasetResolver, new DatasetResolver()],
    [DatasetVersionResolver, new DatasetVersionResolver(parts.artifacts, parts.publicUrl)],
    [DeadLetterActionResolver, new DeadLetterActionResolver()],
    [DeadLetterResolver, new DeadLetterResolver()],
    [ExperimentResolver, new ExperimentResolver()],
    [ModelResolver, new ModelResolver(parts.allowLocalModels)],
    [NodeResolver, new NodeResolver()],
    [ProjectResolver, new ProjectResolver()],
    [RobustnessResolver, new RobustnessResolver(parts.submitter, parts.codeDigests)],
    [RunEventResolver, new RunEventResolver()],
    [RunResolver, new RunResolver()],
    [ServiceAccountResolver, new ServiceAccountResolver()],
    [ViewerResolver, new ViewerResolver()],
    [WavesResolver, new WavesResolver(parts.codeDigests)],
  ]);
  const container: ContainerType = { get: (resolver) => resolvers.get(resolver) };
  return buildSchema({
    resolvers: [
      ArtifactResolver,
      CancellationResolver,
      CancelledRunResolver,
      ControlResolver,
      DatasetResolver,
      DatasetVersionResolver,
      DeadLetterActionResolver,
      DeadLetterResolver,
      ExperimentResolver,
      ModelResolver,
      NodeResolver,
      ProjectResolver,
      RobustnessResolver,
      RunEventResolver,
      RunResolver,
      ServiceAccountResolver,
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
