import { Arg, Ctx, Mutation, Resolver } from "type-graphql";
import { priorityFault } from "../../domain/options.js";
import { invalidInput } from "../../errors.js";
import { cancelExperiment } from "../../store/cancel.js";
import { pauseExperiment, resumeExperiment } from "../../store/pause.js";
import { setPriority } from "../../store/priority.js";
import type { Context } from "../context.js";
import { inputArgument } from "../ids.js";
import type { Answer } from "../present.js";
import { CancelExperimentInput, ExperimentActionPayload } from "./cancel.input.js";
import { ExperimentActionInput, SetPriorityInput } from "./control.input.js";
import { type Changed, changing } from "./control.js";

const REASON_LENGTH_MAX = 1_000;
const OWN = "Needs the scope SUBMIT for one that the key itself submitted, CANCEL_ANY for any other.";

/** What is done to an experiment as a whole. */
@Resolver()
export class ControlResolver {
  @Mutation(() => ExperimentActionPayload, { description: `Ends an experiment early. ${OWN}` })
  cancelExperiment(
    @Arg("input", () => CancelExperimentInput, inputArgument) input: CancelExperimentInput,
    @Ctx() context: Context,
  ): Promise<Changed & Answer> {
    const reason = input.reason ?? null;
    return changing(input, context, (key) => {
      if (reason !== null && reason.length > REASON_LENGTH_MAX) {
        throw invalidInput(["input", "reason"], `at most ${REASON_LENGTH_MAX} characters`, reason);
      }
      const wanted = { mode: input.mode, reason, requestedBy: context.caller.keyId };
      return context.reads.within((tx) => cancelExperiment(tx, key, wanted));
    });
  }

  @Mutation(() => ExperimentActionPayload, {
    description: `Holds an experiment back: runs that wait are PAUSED, runs at work stop at their next checkpoint and lose nothing before it. Pausing twice changes nothing. ${OWN}`,
  })
  pauseExperiment(
    @Arg("input", () => ExperimentActionInput, inputArgument) input: ExperimentActionInput,
    @Ctx() context: Context,
  ): Promise<Changed & Answer> {
    return changing(input, context, (key) => context.reads.within((tx) => pauseExperiment(tx, key)));
  }

  @Mutation(() => ExperimentActionPayload, {
    description: `Lets a paused experiment go on from where it stopped. Resuming twice changes nothing. ${OWN}`,
  })
  resumeExperiment(
    @Arg("input", () => ExperimentActionInput, inputArgument) input: ExperimentActionInput,
    @Ctx() context: Context,
  ): Promise<Changed & Answer> {
    return changing(input, context, (key) => context.reads.within((tx) => resumeExperiment(tx, key)));
  }

  @Mutation(() => ExperimentActionPayload, {
    description: `Serves the runs of an experiment sooner or later, also those that it may get by a retry. ${OWN}`,
  })
  setPriority(
    @Arg("input", () => SetPriorityInput, inputArgument) input: SetPriorityInput,
    @Ctx() context: Context,
  ): Promise<Changed & Answer> {
    return changing(input, context, (key) => {
      const fault = priorityFault(input.priority, ["input", "priority"]);
      if (fault !== null) throw fault;
      return context.reads.within((tx) => setPriority(tx, key, input.priority));
    });
  }
}
