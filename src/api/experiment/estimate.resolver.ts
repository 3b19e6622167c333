import { Arg, Ctx, Query, Resolver } from "type-graphql";
import { optionFaults, type SubmitOptions } from "../../domain/options.js";
import type { RobustnessRequest } from "../../domain/robustness.js";
import {
  type RobustnessStep,
  robustnessSteps,
  type TrainCell,
  trainCells,
  tuneCandidates,
} from "../../domain/robustness-cells.js";
import { smallestP } from "../../domain/robustness-claims.js";
import {
  artifactBytes,
  contrastEstimates,
  type EstimatedRun,
  estimateWarnings,
  formulaSeconds,
  memoryBytes,
  modelSizeOf,
  type Range,
  stepEstimates,
} from "../../domain/robustness-estimate.js";
import { planRobustness } from "../../domain/robustness-plan.js";
import { faultsOf } from "../../domain/robustness-rules.js";
import type { PlanContext } from "../../domain/robustness-specs.js";
import type { PlannedRun } from "../../domain/run.js";
import { answeredDigests, likeRuns } from "../../store/estimates.js";
import type { Context } from "../context.js";
import { type Answer, answered, demand, Faults } from "../present.js";
import { EstimateRobustnessPayload, type RobustnessEstimateType } from "./estimate.type.js";
import { submitOptionsOf } from "./options.input.js";
import { PartsFinder } from "./parts.js";
import { inputFaults, requestOf } from "./request.js";
import { RobustnessInput } from "./robustness.input.js";
import type { CodeDigests } from "./submit.resolver.js";

const ROOT = ["input"];

@Resolver()
export class EstimateResolver {
  readonly #parts: PartsFinder;

  constructor({ robustness }: CodeDigests) {
    this.#parts = new PartsFinder(robustness);
  }

  @Query(() => EstimateRobustnessPayload, {
    description:
      "What a robustness experiment would take and could show. Spends nothing, stores nothing. Needs the scope READ.",
  })
  estimateRobustness(
    @Arg("input", () => RobustnessInput, { description: "The experiment, as it would be submitted." })
    input: RobustnessInput,
    @Ctx() context: Context,
  ): Promise<{ readonly estimate: object | null } & Answer> {
    return answered<{ readonly estimate: object | null }>({}, { estimate: null }, async () => {
      demand(context, "READ");
      const { faults, found, datasetKind } = await this.#parts.find(input, context, ROOT);
      const request = requestOf(input, datasetKind);
      const options = submitOptionsOf(input.options);
      faults.push(
        ...inputFaults(input, ROOT),
        ...faultsOf(request, ROOT),
        ...optionFaults(options, [...ROOT, "options"]),
      );
      if (faults.length > 0 || found === null) throw new Faults(faults);
      return { estimate: await estimateOf({ request, options, found }, context) };
    });
  }
}

interface Plannable {
  readonly request: RobustnessRequest;
  readonly options: SubmitOptions;
  readonly found: PlanContext;
}

async function estimateOf({ request, options, found }: Plannable, context: Context): Promise<RobustnessEstimateType> {
  const { caller, reads } = context;
  const { runs } = planRobustness(request, found);
  const known = await reads.within((tx) => likeRuns(tx, caller.projectId, "ROBUSTNESS"));
  const digests = runs.map(({ digest }) => digest);
  const answers =
    options.reuse === "NEVER"
      ? new Set<string>()
      : await reads.within((tx) => answeredDigests(tx, caller.projectId, digests));
  const cellOf = cellsInOrder(request, runs);
  const estimated = runs.flatMap((run, i): EstimatedRun[] => {
    const step = robustnessSteps.find((known) => known === run.step);
    return step === undefined ? [] : [{ step, cell: cellOf(step, i), reusable: answers.has(run.digest) }];
  });
  const model = modelSizeOf(found.model.source);
  const steps = stepEstimates(estimated, known, model === null ? null : formulaSeconds(request, model));
  const seconds = sumOf(steps.map((step) => step.seconds));
  return {
    runs: runs.length,
    reusable: steps.reduce((sum, step) => sum + step.reusable, 0),
    steps,
    seconds,
    memoryBytes: model === null ? null : memoryBytes(request, model),
    artifactBytes: model === null ? null : artifactBytes(request, model),
    fitsQuota: await fits(runs.length, seconds, context),
    contrasts: contrastEstimates(request),
    smallestP: smallestP(request.seeds.length),
    warnings: estimateWarnings(request),
  };
}

type CellOf = (step: RobustnessStep, position: number) => TrainCell | null;

/** The cells of a plan's train runs, and what its tune runs try. */
function cellsInOrder(request: RobustnessRequest, runs: readonly PlannedRun[]): CellOf {
  const [cells, candidates] = [trainCells(request), tuneCandidates(request)];
  const [train, tune] = ["train", "tune"].map((step) => runs.findIndex((run) => run.step === step));
  const shared = { task: null, artifact: null, spuriousness: 0, variant: null, seed: 0 };
  return (step, position) => {
    if (step === "train") return cells[position - (train ?? 0)] ?? null;
    const candidate = step === "tune" ? candidates[(position - (tune ?? 0)) % candidates.length] : undefined;
    return candidate === undefined ? null : { ...shared, ...candidate };
  };
}

function sumOf(ranges: readonly (Range | null)[]): Range | null {
  return ranges.reduce((sum, range) => {
    return sum === null || range === null ? null : { low: sum.low + range.low, high: sum.high + range.high };
  }, NOTHING);
}

const NOTHING: Range | null = { low: 0, high: 0 };

async function fits(runs: number, seconds: Range | null, { reads }: Context): Promise<boolean> {
  const { queuedMax, waiting, submitsPerMinute, secondsMax, secondsUsed, secondsReserved } = await reads.standing();
  const isRoomy = queuedMax === null || waiting + runs <= queuedMax;
  const isSlow = submitsPerMinute === null || runs <= submitsPerMinute;
  const isCheap = secondsMax === null || secondsUsed + secondsReserved + (seconds?.low ?? 0) <= secondsMax;
  return isRoomy && isSlow && isCheap;
}
