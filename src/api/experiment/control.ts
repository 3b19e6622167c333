import type { Experiment } from "../../domain/experiment.js";
import { AssayError, notFound } from "../../errors.js";
import type { ExperimentKey } from "../../store/events.js";
import type { Context } from "../context.js";
import { keyIn } from "../ids.js";
import { type Answer, answered, demand } from "../present.js";
import { typedExperiment } from "./experiment.js";

/** What mutations of an experiment that is there take. */
export interface ControlInput {
  readonly experimentId: string;
  readonly clientMutationId?: string | null;
}

/** What they answer. */
export interface Changed {
  readonly experiment: object | null;
  readonly changed: boolean;
}

/**
 * The experiment that a mutation names. Throws PERMISSION_DENIED unless the key submitted it and may SUBMIT, or may
 * CANCEL_ANY, and NOT_FOUND.
 */
export async function controlled(context: Context, experimentId: string): Promise<Experiment> {
  const { caller, reads } = context;
  const key = keyIn(experimentId, "Experiment");
  const experiment = key === null ? null : await reads.experiment(key);
  demand(context, experiment === null || experiment.createdBy === caller.keyId ? "SUBMIT" : "CANCEL_ANY");
  if (experiment === null) throw notFound(["input", "experimentId"], "experiment", experimentId);
  return experiment;
}

/** Does something to the experiment that the input names, and answers with the experiment as it then is. */
export function changing(
  input: ControlInput,
  context: Context,
  act: (key: ExperimentKey) => Promise<boolean>,
): Promise<Changed & Answer> {
  return answered<Changed>(input, { experiment: null, changed: false }, async () => {
    const { id, tenantId } = await controlled(context, input.experimentId);
    const changed = await act({ tenantId, experimentId: id });
    return { experiment: await asItIsNow(context, id), changed };
  });
}

/** The experiment after something was done to it. */
export async function asItIsNow({ reads }: Context, id: string): Promise<object> {
  const now = await reads.experiment(id);
  if (now === null) throw new AssayError("INTERNAL", `wanted experiment ${id}, but it is gone`);
  return typedExperiment(now);
}
