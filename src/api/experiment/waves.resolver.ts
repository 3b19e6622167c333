import { Arg, Ctx, Mutation, Resolver } from "type-graphql";
import { newId } from "../../domain/digest.js";
import type { Experiment } from "../../domain/experiment.js";
import { additionsIn, extended, extensionFaults, type GridAdditions, gridWith } from "../../domain/extension.js";
import { planRobustness } from "../../domain/robustness-plan.js";
import { unsupported } from "../../domain/rules.js";
import { AssayError, invalidInput, notFound } from "../../errors.js";
import { type ExtensionWish, extendExperiment } from "../../store/extend.js";
import { retryRuns } from "../../store/retry.js";
import type { WaveFacts } from "../../store/waves.js";
import { PAGE_MAX } from "../connection.js";
import type { Context } from "../context.js";
import { inputArgument, keyIn } from "../ids.js";
import { type Answer, answered, Faults } from "../present.js";
import { ExtendExperimentInput, ExtendExperimentPayload, RetryRunsInput, RetryRunsPayload } from "./control.input.js";
import { asItIsNow, controlled } from "./control.js";
import { keyed } from "./keyed.js";
import type { CodeDigests } from "./submit.resolver.js";

const RUNS_NAMED_MAX = 10_000;
const OWN = "Needs the scope SUBMIT for an experiment that the key itself submitted, CANCEL_ANY for any other.";

interface Retried {
  readonly experiment: object | null;
  readonly runCount: number;
  readonly runs: readonly object[];
  readonly replayed: boolean;
}

interface Extended {
  readonly experiment: object | null;
  readonly replayed: boolean;
}

/** What adds work to an experiment that was accepted. */
@Resolver()
export class WavesResolver {
  readonly #codeDigests: CodeDigests;

  constructor(codeDigests: CodeDigests) {
    this.#codeDigests = codeDigests;
  }

  @Mutation(() => RetryRunsPayload, {
    description: `Tries failed runs again, does again what had to do without them, and reports anew; an experiment that had ended goes on. ${OWN}`,
  })
  retryRuns(
    @Arg("input", () => RetryRunsInput, inputArgument) input: RetryRunsInput,
    @Ctx() context: Context,
  ): Promise<Retried & Answer> {
    const nothing = { experiment: null, runCount: 0, runs: [], replayed: false };
    return answered<Retried>(input, nothing, () => retry(input, context));
  }

  @Mutation(() => ExtendExperimentPayload, {
    description: `Adds seeds or rates to the grid of an experiment. Only what is new, or failed before, is worked on, and the report is made anew over all; an experiment that had ended goes on. ${OWN}`,
  })
  extendExperiment(
    @Arg("input", () => ExtendExperimentInput, inputArgument) input: ExtendExperimentInput,
    @Ctx() context: Context,
  ): Promise<Extended & Answer> {
    return answered<Extended>(input, { experiment: null, replayed: false }, () => this.#extend(input, context));
  }

  async #extend(input: ExtendExperimentInput, context: Context): Promise<Extended> {
    const experiment = await controlled(context, input.experimentId);
    const additions = { addSeeds: input.addSeeds ?? [], addSpuriousness: input.addSpuriousness ?? [] };
    const body = { ...additions };
    const request = keyed("extendExperiment", input, { context, body: { experimentId: experiment.id, ...body } });
    const plan = await this.#planOf(experiment, additions, context);
    const wish = { experimentId: experiment.id, body, plan };
    const { replayed } = await context.reads.within((tx) => extendExperiment(tx, request, wish));
    return { experiment: await asItIsNow(context, experiment.id), replayed };
  }

  async #planOf(experiment: Experiment, additions: GridAdditions, { reads }: Context): Promise<ExtensionWish["plan"]> {
    if (experiment.capability !== "ROBUSTNESS") {
      throw unsupported(
        ["input", "experimentId"],
        ["an experiment of the capability ROBUSTNESS"],
        experiment.capability,
      );
    }
    const { modelDigest, datasetDigest, codeDigest } = gridWith(experiment, []);
    if (codeDigest !== this.#codeDigests.robustness) throw otherCode();
    const model = await reads.modelOfDigest(modelDigest);
    if (model === null) throw notFound(["input", "experimentId"], "model of the experiment", modelDigest);
    return (earlier: readonly WaveFacts[]) => {
      const { request } = gridWith(experiment, earlier.flatMap(additionsOf));
      const faults = extensionFaults(request, additions, ["input"]);
      if (faults.length > 0) throw new Faults(faults);
      return planRobustness(extended(request, additions), { model, datasetDigest, codeDigest, newId });
    };
  }
}

async function retry(input: RetryRunsInput, context: Context): Promise<Retried> {
  const { reads } = context;
  const experiment = await controlled(context, input.experimentId);
  const runIds = input.runIds == null ? null : await runsNamed(input.runIds, experiment, context);
  const { onlyRetryable } = input;
  const body = { experimentId: experiment.id, runIds, onlyRetryable };
  const request = keyed("retryRuns", input, { context, body });
  const wish = { experimentId: experiment.id, runIds, onlyRetryable };
  const done = await reads.within((tx) => retryRuns(tx, request, wish));
  const runs = await Promise.all(done.runIds.slice(0, PAGE_MAX).map((id) => reads.run(id)));
  return {
    experiment: await asItIsNow(context, experiment.id),
    runCount: done.runIds.length,
    runs: runs.filter((run) => run !== null),
    replayed: done.replayed,
  };
}

async function runsNamed(ids: readonly string[], { id }: Experiment, { reads }: Context): Promise<string[]> {
  if (ids.length < 1 || ids.length > RUNS_NAMED_MAX) {
    throw invalidInput(["input", "runIds"], `1 to ${RUNS_NAMED_MAX} runs`, ids.length);
  }
  const found = await Promise.all(
    ids.map(async (runId, i) => {
      const key = keyIn(runId, "Run");
      const run = key === null ? null : await reads.run(key);
      if (run?.experimentId !== id) return notFound(["input", "runIds", String(i)], "run of the experiment", runId);
      return run.id;
    }),
  );
  const faults = found.filter((item) => item instanceof AssayError);
  if (faults.length > 0) throw new Faults(faults);
  return found.filter((item) => typeof item === "string");
}

function additionsOf({ kind, body }: WaveFacts): GridAdditions[] {
  return kind === "EXTENSION" ? [additionsIn(body)] : [];
}

function otherCode(): AssayError {
  const supported = ["an experiment whose runs were made by the code that serves now"];
  const message =
    "input.experimentId: its runs were made by other code, whose figures are not to be mixed; submit a new experiment";
  return new AssayError("UNSUPPORTED_COMBINATION", message, { path: ["input", "experimentId"], detail: { supported } });
}
