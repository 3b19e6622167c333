import { Arg, Args, Ctx, FieldResolver, ID, Int, Query, Resolver, Root } from "type-graphql";
import type { Attempt, Run } from "../../domain/run.js";
import { type StateReason, stateReasons, whyWaiting } from "../../domain/standing.js";
import { listEvents } from "../../store/nodes.js";
import { ArtifactConnection } from "../artifact/artifact.type.js";
import { type Connection, connectionOf, idCursor, numberCursor, PageArgs, pageOf, sliceOf } from "../connection.js";
import type { Context } from "../context.js";
import { typedExperiment } from "../experiment/experiment.js";
import { globalId, idArgument, idWords, keyIn } from "../ids.js";
import type { UsedAndSaved } from "../reads.js";
import type { UsageType } from "../usage.type.js";
import { RunEventConnection } from "./event.type.js";
import { failureOf } from "./failure.type.js";
import { cellOf, estimatesOf, provenanceOf, studentOf } from "./json.js";
import type { AttemptType, MetricEstimateType, ProvenanceType, RunProgressType } from "./run.type.js";
import { RunType } from "./run.type.js";

const AFTER = { nullable: true, defaultValue: 0, description: "Only later events." } as const;

@Resolver(() => RunType)
export class RunResolver {
  @Query(() => RunType, { nullable: true, description: "The run with this id; null when none is visible to the key." })
  run(@Arg("id", () => ID, idArgument) id: string, @Ctx() { reads }: Context): Promise<Run | null> | null {
    const key = keyIn(id, "Run");
    return key === null ? null : reads.run(key);
  }

  @FieldResolver(() => ID, idWords)
  id(@Root() run: Run): string {
    return globalId("Run", run.id);
  }

  @FieldResolver()
  async experiment(@Root() run: Run, @Ctx() { reads }: Context): Promise<object | null> {
    const experiment = await reads.experiment(run.experimentId);
    return experiment === null ? null : typedExperiment(experiment);
  }

  @FieldResolver()
  async cell(@Root() run: Run, @Ctx() { reads }: Context): Promise<object | null> {
    const [cell, student] = [cellOf(run.cell), studentOf(run.cell)];
    if (cell === null && student === null) return null;
    const [digest] = provenanceOf(run).modelDigests;
    const model = digest === undefined ? null : await reads.modelOfDigest(digest);
    if (student !== null) return { __typename: "RetrievalCell", ...student, encoder: model };
    return { __typename: "RobustnessCell", ...cell, model };
  }

  @FieldResolver()
  supersededBy(@Root() run: Run, @Ctx() { reads }: Context): Promise<Run | null> | null {
    return run.supersededBy === null ? null : reads.run(run.supersededBy);
  }

  @FieldResolver()
  async stateReason(@Root() { id, state, stateReason }: Run, @Ctx() { reads }: Context): Promise<StateReason | null> {
    if (state === "WAITING") return "WAITING_FOR_DEPENDENCY";
    const stored = stateReasons.find((reason) => reason === stateReason) ?? null;
    if (!isQueued(state) || (await reads.queuePlace(id)) === null) return stored;
    const why = whyWaiting(await reads.standing());
    return state === "RETRY_WAIT" && why !== "WAITING_FOR_QUOTA" ? stored : why;
  }

  @FieldResolver()
  queuePosition(@Root() { id, state }: Run, @Ctx() { reads }: Context): Promise<number | null> | null {
    return isQueued(state) ? reads.queuePlace(id) : null;
  }

  @FieldResolver()
  earliestStart(@Root() { state, notBefore }: Run): Date | null {
    return state === "RETRY_WAIT" ? notBefore : null;
  }

  @FieldResolver()
  progress(@Root() { progress }: Run): RunProgressType | null {
    if (progress === null) return null;
    return { ...progress, fraction: progress.total > 0 ? progress.completed / progress.total : 0 };
  }

  @FieldResolver()
  async attempts(@Root() run: Run, @Ctx() { reads }: Context): Promise<AttemptType[]> {
    return (await reads.attempts(run.id)).map(publishedAttempt);
  }

  @FieldResolver()
  async reusedFrom(@Root() run: Run, @Ctx() { reads }: Context): Promise<Run | null> {
    return run.reusedFrom === null ? null : reads.run(run.reusedFrom);
  }

  @FieldResolver()
  failure(@Root() run: Run): object | null {
    return failureOf(run);
  }

  @FieldResolver()
  async metrics(@Root() run: Run, @Ctx() { reads }: Context): Promise<MetricEstimateType[]> {
    return estimatesOf((await reads.result(run.id))?.metrics ?? null);
  }

  @FieldResolver(() => RunEventConnection, { description: "What happened to it, in order." })
  async events(
    @Root() run: Run,
    @Args(() => PageArgs) args: PageArgs,
    @Arg("afterSequence", () => Int, AFTER) afterSequence: number | null,
    @Ctx() { reads }: Context,
  ): Promise<Connection<object>> {
    const page = pageOf(args, numberCursor);
    const filter = { experimentId: run.experimentId, runId: run.id, afterSequence: afterSequence ?? 0 };
    return connectionOf(await reads.within((tx) => listEvents(tx, filter, page)), numberCursor, (event) => event.seq);
  }

  @FieldResolver(() => ArtifactConnection, { description: "Files that it made, by name." })
  async artifacts(
    @Root() run: Run,
    @Args(() => PageArgs) args: PageArgs,
    @Ctx() { reads }: Context,
  ): Promise<Connection<object>> {
    const page = pageOf(args, idCursor);
    const files = await reads.files(run.id);
    return connectionOf(
      sliceOf(files, page, (file) => file.id),
      idCursor,
      (file) => file.id,
    );
  }

  @FieldResolver()
  provenance(@Root() run: Run): ProvenanceType {
    return provenanceOf(run);
  }

  @FieldResolver()
  async usage(@Root() run: Run, @Ctx() { reads }: Context): Promise<UsageType> {
    return publishedUsage(await reads.usageOfRun(run.id));
  }
}

function isQueued(state: Run["state"]): boolean {
  return state === "QUEUED" || state === "RETRY_WAIT";
}

function publishedAttempt(attempt: Attempt, index: number): AttemptType {
  const { epoch, podId, startedAt, endedAt, outcome, lastStep, resumedFromStep } = attempt;
  const failure = failureOf({ ...attempt, errorStage: null });
  const number = index + 1;
  return { number, epoch, pod: podId, startedAt, endedAt, outcome, lastStep, resumedFromStep, failure };
}

/** Sums of the ledger as they are answered. */
export function publishedUsage({ used, saved }: UsedAndSaved): UsageType {
  return {
    wallSeconds: used.WALL_SECONDS ?? 0,
    cpuSeconds: used.CPU_SECONDS ?? 0,
    gpuSeconds: used.GPU_SECONDS ?? 0,
    promptTokens: used.PROMPT_TOKENS ?? 0,
    completionTokens: used.COMPLETION_TOKENS ?? 0,
    queries: used.QUERIES ?? 0,
    savedByReuseSeconds: {
      wall: saved.WALL_SECONDS ?? 0,
      cpu: saved.CPU_SECONDS ?? 0,
      gpu: saved.GPU_SECONDS ?? 0,
    },
  };
}
