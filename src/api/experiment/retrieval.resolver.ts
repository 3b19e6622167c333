import type { GraphQLResolveInfo } from "graphql";
import { Arg, Ctx, Info, Mutation, Resolver } from "type-graphql";
import { digestOf } from "../../domain/digest.js";
import { idempotencyKeyFault, optionFaults } from "../../domain/options.js";
import { planRetrieval } from "../../domain/retrieval-plan.js";
import { retrievalFaults } from "../../domain/retrieval-rules.js";
import { retrievalExperimentSpec } from "../../domain/retrieval-specs.js";
import type { Submitted as Stored } from "../../store/submit.js";
import type { Context } from "../context.js";
import { inputArgument } from "../ids.js";
import { type Answer, answered, demand, Faults } from "../present.js";
import { wantsOnlyIdOf } from "../selection.js";
import { typedExperiment } from "./experiment.js";
import { submitOptionsOf } from "./options.input.js";
import { SubmitRetrievalInput, SubmitRetrievalPayload } from "./retrieval.input.js";
import { retrievalParts } from "./retrieval-parts.js";
import { retrievalRequestOf } from "./retrieval-request.js";
import type { CodeDigests, ExperimentSink } from "./submit.resolver.js";

const SPEC = ["input", "spec"];

interface Submitted {
  readonly experiment: object | null;
  readonly replayed: boolean;
}

@Resolver()
export class RetrievalResolver {
  readonly #submitter: ExperimentSink;
  readonly #codeDigest: string;

  constructor(submitter: ExperimentSink, { retrieval }: CodeDigests) {
    this.#submitter = submitter;
    this.#codeDigest = retrieval;
  }

  @Mutation(() => SubmitRetrievalPayload, { description: "Accepts a retrieval experiment. Needs the scope SUBMIT." })
  submitRetrievalExperiment(
    @Arg("input", () => SubmitRetrievalInput, inputArgument) input: SubmitRetrievalInput,
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

  async #submit(input: SubmitRetrievalInput, { caller, reads, traceparent }: Context): Promise<Stored> {
    const where = { root: SPEC, codeDigest: this.#codeDigest };
    const { faults, found, documents } = await retrievalParts(input.spec, { caller, reads }, where);
    const request = retrievalRequestOf(input.spec, documents);
    const { idempotencyKey } = input;
    const badKey = idempotencyKeyFault(idempotencyKey, ["input", "idempotencyKey"]);
    if (badKey !== null) faults.push(badKey);
    const options = submitOptionsOf(input.spec.options);
    faults.push(...retrievalFaults(request, SPEC), ...optionFaults(options, [...SPEC, "options"]));
    if (faults.length > 0 || found === null) throw new Faults(faults);
    const planned = planRetrieval(request, found);
    // The code's digest is no part of it: a client that tries again after an upgrade means the same request.
    const asked = retrievalExperimentSpec(request, { ...found, codeDigest: "" });
    const requestSha256 = digestOf({ asked, options: { ...options } });
    const operation = "submitRetrievalExperiment";
    return this.#submitter.submit({ caller, operation, idempotencyKey, requestSha256, planned, options, traceparent });
  }
}
