import { Arg, Ctx, FieldResolver, ID, Int, Resolver, Root, Subscription } from "type-graphql";
import { type ExperimentEvent, type ExperimentState, experimentStates } from "../../domain/experiment.js";
import { type Run, type RunState, runStates } from "../../domain/run.js";
import { invalidInput, notFound } from "../../errors.js";
import type { Context } from "../context.js";
import { globalId, idWords, keyIn } from "../ids.js";
import { located } from "../present.js";
import { type EventProgressType, type MetricPointType, RunEventType } from "./event.type.js";
import { fieldOf, numberOf, oneOf, textOf } from "./json.js";

const AFTER = { nullable: true, defaultValue: 0, description: "The last sequence that the client has." } as const;

interface Subscribing<Args> {
  readonly args: Args;
  readonly context: Context;
}

interface RunEventsArgs {
  readonly runId: string;
  readonly afterSequence: number | null;
}

interface ExperimentEventsArgs {
  readonly experimentId: string;
  readonly afterSequence: number | null;
}

@Resolver(() => RunEventType)
export class RunEventResolver {
  @Subscription(() => RunEventType, {
    description:
      "The run's events after a sequence: those that are written already, then those to come, without a gap and without a repeat. Ends with the run.",
    subscribe: followRun,
  })
  runEvents(
    @Root() event: ExperimentEvent,
    @Arg("runId", () => ID, { description: "The run." }) _runId: string,
    @Arg("afterSequence", () => Int, AFTER) _after: number | null,
  ): ExperimentEvent {
    return event;
  }

  @Subscription(() => RunEventType, {
    description:
      "The events of an experiment and all its runs in commit order, as runEvents. Ends with the experiment.",
    subscribe: followExperiment,
  })
  experimentEvents(
    @Root() event: ExperimentEvent,
    @Arg("experimentId", () => ID, { description: "The experiment." }) _experimentId: string,
    @Arg("afterSequence", () => Int, AFTER) _after: number | null,
  ): ExperimentEvent {
    return event;
  }

  @FieldResolver(() => ID, idWords)
  id(@Root() event: ExperimentEvent): string {
    return globalId("RunEvent", `${event.experimentId}.${event.seq}`);
  }

  @FieldResolver()
  run(@Root() { runId }: ExperimentEvent, @Ctx() { reads }: Context): Promise<Run | null> | null {
    return runId === null ? null : reads.run(runId);
  }

  @FieldResolver()
  sequence(@Root() event: ExperimentEvent): number {
    return event.seq;
  }

  @FieldResolver()
  message(@Root() { body }: ExperimentEvent): string | null {
    return textOf(fieldOf(body, "message")) ?? textOf(fieldOf(body, "reason"));
  }

  @FieldResolver()
  state(@Root() { kind, body }: ExperimentEvent): RunState | null {
    return kind === "STATE" ? oneOf(fieldOf(body, "state"), runStates) : null;
  }

  @FieldResolver()
  experimentState(@Root() { kind, body }: ExperimentEvent): ExperimentState | null {
    return kind === "EXPERIMENT" ? oneOf(fieldOf(body, "state"), experimentStates) : null;
  }

  @FieldResolver()
  metrics(@Root() { kind, body }: ExperimentEvent): MetricPointType[] {
    const name = textOf(fieldOf(body, "name"));
    if (kind !== "METRIC" || name === null) return [];
    return [{ name, value: numberOf(fieldOf(body, "value")), step: numberOf(fieldOf(body, "step")) ?? 0 }];
  }

  @FieldResolver()
  progress(@Root() { kind, body }: ExperimentEvent): EventProgressType | null {
    const stage = textOf(fieldOf(body, "stage"));
    if (kind !== "PROGRESS" || stage === null) return null;
    return {
      stage,
      completed: numberOf(fieldOf(body, "completed")) ?? 0,
      total: numberOf(fieldOf(body, "total")) ?? 0,
    };
  }
}

async function followRun({ args, context }: Subscribing<RunEventsArgs>): Promise<AsyncIterable<ExperimentEvent>> {
  const afterSequence = sequenceOf(args.afterSequence);
  const key = keyIn(args.runId, "Run");
  const run = key === null ? null : await context.reads.run(key);
  if (run === null) throw located(notFound(["runId"], "run", args.runId));
  const { experimentId, id: runId } = run;
  return context.watch.follow(context.reads, { experimentId, runId, afterSequence });
}

async function followExperiment({
  args,
  context,
}: Subscribing<ExperimentEventsArgs>): Promise<AsyncIterable<ExperimentEvent>> {
  const afterSequence = sequenceOf(args.afterSequence);
  const key = keyIn(args.experimentId, "Experiment");
  const experiment = key === null ? null : await context.reads.experiment(key);
  if (experiment === null) throw located(notFound(["experimentId"], "experiment", args.experimentId));
  return context.watch.follow(context.reads, { experimentId: experiment.id, afterSequence });
}

function sequenceOf(afterSequence: number | null): number {
  if (afterSequence === null || afterSequence >= 0) return afterSequence ?? 0;
  throw located(invalidInput(["afterSequence"], "0 or a sequence that came", afterSequence));
}
