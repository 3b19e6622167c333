import type { GraphQLResolveInfo } from "graphql";
import { Arg, Ctx, FieldResolver, Info, Mutation, Resolver, Root } from "type-graphql";
import { digestOf } from "../../domain/digest.js";
import type { Experiment } from "../../domain/experiment.js";
import { idempotencyKeyFault, optionFaults, type SubmitOptions } from "../../domain/options.js";
import type { RobustnessRequest } from "../../domain/robustness.js";
import { planRobustness } from "../../domain/robustness-plan.js";
import { faultsOf } from "../../domain/robustness-rules.js";
import { type PlanContext, requestSpec } from "../../domain/robustness-specs.js";
import type { Submitted as Stored, Submission } from "../../store/submit.js";
import type { Context } from "../context.js";
import { inputArgument } from "../ids.js";
import { type Answer, answered, demand, Faults } from "../present.js";
import { wantsOnlyIdOf } from "../selection.js";
import { gridOf, typedExperiment } from "./experiment.js";
import { RobustnessExperimentType, type RobustnessGridType } from "./experiment.type.js";
import { submitOptionsOf } from "./options.input.js";
import { PartsFinder } from "./parts.js";
import { inputFaults, requestOf } from "./request.js";
import { SubmitRobustnessInput, SubmitRobustnessPayload } from "./robustness.input.js";

const SPEC = ["input", "spec"];

interface Submitted {
  readonly experiment: object | null;
  readonly replayed: boolean;
}

/** Where planned experiments go. */
export interface ExperimentSink {
  submit(submission: Submission): Promise<Stored>;
}

/** Source digests of the capabilities' code; runs of other code are other runs. */
export interface CodeDigests {
  readonly robustness: string;
  readonly retrieval: string;
}

@Resolver(() => RobustnessExperimentType)
export class RobustnessResolver {
  readonly #submitter: ExperimentSink;
  readonly #parts: PartsFinder;

  constructor(submitter: ExperimentSink, codeDigests: CodeDigests) {
    this.#submitter = submitter;
    this.#parts = new PartsFinder(codeDigests.robustness);
  }

  @Mutation(() => SubmitRobustnessPayload, { description: "Accepts a robustness experiment. Needs the scope SUBMIT." })
  submitRobustnessExperiment(
    @Arg("input", () => SubmitRobustnessInput, inputArgument) input: SubmitRobustnessInput,
    @Ctx() context: Context,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Submitted & Answer> {
    return answered<Submitted>(input, { experiment: null, replayed: false }, async () => {
      demand(context, "SUBMIT");
      const { experimentId, replayed } = await this.#submit(input, context);
      // Most clients want the id alone, which needs no further look.
      if (wantsOnlyIdOf("experiment", info)) return { experiment: { id: experimentId }, replayed };
      const experiment = await context.reads.experiment(experimentId);
      return { experiment: experiment === null ? null : typedExperiment(experiment), replayed };
    });
  }

  @FieldResolver()
  async grid(@Root() experiment: Experiment, @Ctx() { reads }: Context): Promise<RobustnessGridType> {
    return gridOf(experiment.spec, await reads.waves(experiment.id));
  }

  async #submit(input: SubmitRobustnessInput, { caller, reads, traceparent }: Context): Promise<Stored> {
    const { faults, found, datasetKind } = await this.#parts.find(input.spec, { caller, reads }, SPEC);
    const request = requestOf(input.spec, datasetKind);
    const { idempotencyKey } = input;
    const badKey = idempotencyKeyFault(idempotencyKey, ["input", "idempotencyKey"]);
    if (badKey !== null) faults.push(badKey);
    const options = submitOptionsOf(input.spec.options);
    faults.push(
      ...inputFaults(input.spec, SPEC),
      ...faultsOf(request, SPEC),
      ...optionFaults(options, [...SPEC, "options"]),
    );
    if (faults.length > 0 || found === null) throw new Faults(faults);
    const planned = planRobustness(request, found);
    // The code's digest is no part of it: a client that tries again after an upgrade means the same request.
    const requestSha256 = digestOfRequest(request, options, found);
    return this.#submitter.submit({
      caller,
      operation: "submitRobustnessExperiment",
      idempotencyKey,
      requestSha256,
      planned,
      options,
      traceparent,
    });
  }
}

function digestOfRequest(
  request: RobustnessRequest,
  options: SubmitOptions,
  { model, datasetDigest }: PlanContext,
): string {
  return digestOf({ ...requestSpec(request), modelDigest: model.digest, datasetDigest, options: { ...options } });
}
