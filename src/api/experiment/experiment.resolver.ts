import { Arg, Args, Ctx, FieldResolver, ID, Int, Query, Resolver, Root } from "type-graphql";
import { type Experiment, type ExperimentState, experimentState } from "../../domain/experiment.js";
import { terminalStates } from "../../domain/run.js";
import type { Project } from "../../domain/tenant.js";
import { listExperiments } from "../../store/experiments.js";
import { listEvents } from "../../store/nodes.js";
import { listArtifacts, listRuns } from "../../store/runs.js";
import { ArtifactConnection } from "../artifact/artifact.type.js";
import { type Connection, connectionOf, idCursor, numberCursor, PageArgs, pageOf, timeCursor } from "../connection.js";
import type { Context } from "../context.js";
import { globalId, idArgument, idWords, keyIn } from "../ids.js";
import { RunEventConnection } from "../run/event.type.js";
import { publishedUsage } from "../run/run.resolver.js";
import { RunConnection } from "../run/run.type.js";
import type { UsageType } from "../usage.type.js";
import { type CancellationFacts, cancellationOf } from "./cancellation.resolver.js";
import { CancellationType } from "./cancellation.type.js";
import { publishedWave, typedExperiment } from "./experiment.js";
import { ExperimentConnection, type ExperimentProgressType, ExperimentType, type WaveType } from "./experiment.type.js";

const AFTER = { nullable: true, defaultValue: 0, description: "Only later events." } as const;
@Resolver(() => ExperimentType)
export class ExperimentResolver {
  @Query(() => ExperimentType, {
    nullable: true,
    description: "The experiment with this id; null when none is visible to the key.",
  })
  async experiment(@Arg("id", () => ID, idArgument) id: string, @Ctx() { reads }: Context): Promise<object | null> {
    const key = keyIn(id, "Experiment");
    const experiment = key === null ? null : await reads.experiment(key);
    return experiment === null ? null : typedExperiment(experiment);
  }

  @Query(() => ExperimentConnection, { description: "Experiments of the key's project, the newest first." })
  experiments(@Args(() => PageArgs) args: PageArgs, @Ctx() context: Context): Promise<Connection<object>> {
    return pageOfExperiments(context.caller.projectId, args, context);
  }

  @FieldResolver(() => ID, idWords)
  id(@Root() experiment: Experiment): string {
    return globalId("Experiment", experiment.id);
  }

  @FieldResolver()
  project(@Root() experiment: Experiment, @Ctx() { reads }: Context): Promise<Project | null> {
    return reads.project(experiment.projectId);
  }

  @FieldResolver()
  async createdBy(@Root() experiment: Experiment, @Ctx() { reads }: Context): Promise<object | null> {
    const key = await reads.key(experiment.createdBy);
    return key === null ? null : { ...key, __typename: "ServiceAccount" };
  }

  @FieldResolver()
  async state(@Root() experiment: Experiment, @Ctx() { reads }: Context): Promise<ExperimentState> {
    const { counts, ...completeness } = await reads.tally(experiment.id);
    return experimentState(experiment, counts, completeness);
  }

  @FieldResolver()
  async progress(@Root() experiment: Experiment, @Ctx() { reads }: Context): Promise<ExperimentProgressType> {
    const { counts } = await reads.tally(experiment.id);
    const completed = terminalStates.reduce((sum, state) => sum + (counts[state] ?? 0), 0);
    const { totalRuns: total, stage, stageCount } = experiment;
    return { completed, total, fraction: completed / total, stage, stageCount };
  }

  @FieldResolver(() => CancellationType, {
    nullable: true,
    description: "The receipt of its cancel; null where nobody cancelled it.",
  })
  cancellation(@Root() experiment: Experiment, @Ctx() context: Context): Promise<CancellationFacts | null> {
    return cancellationOf(experiment, context);
  }

  @FieldResolver()
  async waves(@Root() experiment: Experiment, @Ctx() { reads }: Context): Promise<WaveType[]> {
    return (await reads.waves(experiment.id)).map(publishedWave);
  }

  @FieldResolver()
  async usage(@Root() experiment: Experiment, @Ctx() { reads }: Context): Promise<UsageType> {
    return publishedUsage(await reads.usageOfExperiment(experiment.id));
  }

  @FieldResolver()
  specDigest(@Root() experiment: Experiment): string {
    return experiment.specSha256;
  }

  @FieldResolver()
  report(@Root() experiment: Experiment, @Ctx() { reads }: Context): Promise<object | null> {
    return reads.report(experiment.id);
  }

  @FieldResolver(() => RunConnection, { description: "Its runs, in the order of its plan." })
  async runs(
    @Root() experiment: Experiment,
    @Args(() => PageArgs) args: PageArgs,
    @Ctx() { reads }: Context,
  ): Promise<Connection<object>> {
    const page = pageOf(args, numberCursor);
    const runs = await reads.within((tx) => listRuns(tx, { experimentId: experiment.id }, page));
    return connectionOf(runs, numberCursor, (run) => run.position);
  }

  @FieldResolver(() => RunEventConnection, {
    description: "What happened to it and its runs, in commit order: the sequence has no gap.",
  })
  async events(
    @Root() { id: experimentId }: Experiment,
    @Args(() => PageArgs) args: PageArgs,
    @Arg("afterSequence", () => Int, AFTER) afterSequence: number | null,
    @Ctx() { reads }: Context,
  ): Promise<Connection<object>> {
    const page = pageOf(args, numberCursor);
    const filter = { experimentId, afterSequence: afterSequence ?? 0 };
    return connectionOf(await reads.within((tx) => listEvents(tx, filter, page)), numberCursor, (event) => event.seq);
  }

  @FieldResolver(() => ArtifactConnection, { description: "Files that its runs made, in the order of its plan." })
  async artifacts(
    @Root() experiment: Experiment,
    @Args(() => PageArgs) args: PageArgs,
    @Ctx() { reads }: Context,
  ): Promise<Connection<object>> {
    const page = pageOf(args, idCursor);
    const files = await reads.within((tx) => listArtifacts(tx, experiment.id, page));
    return connectionOf(files, idCursor, (file) => file.id);
  }
}

/** A page of a project's experiments, the newest first. */
export async function pageOfExperiments(
  projectId: string,
  args: PageArgs,
  { reads }: Context,
): Promise<Connection<object>> {
  const page = pageOf(args, timeCursor);
  const found = await reads.within((tx) => listExperiments(tx, { projectId }, page));
  const { items, ...more } = found;
  return connectionOf({ ...more, items: items.map(typedExperiment) }, timeCursor, ({ createdAt, id }) => ({
    createdAt,
    id,
  }));
}
