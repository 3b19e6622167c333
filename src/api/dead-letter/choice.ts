import type { DeadLetterFilter } from "../../domain/dead-letter.js";
import { AssayError, invalidInput, notFound } from "../../errors.js";
import { LETTERS_MAX, type LetterChoice } from "../../store/dead-letter-replay.js";
import type { Context } from "../context.js";
import { keyIn } from "../ids.js";
import { demand, Faults } from "../present.js";
import type { DeadLetterFilterInput } from "./dead-letter.input.js";

interface ChoiceInput {
  readonly ids?: readonly string[] | null;
  readonly filter?: DeadLetterFilterInput | null;
}

/**
 * What an input names. Throws INVALID_INPUT for neither or both of `ids` and `filter`, PERMISSION_DENIED where the key may not
 * control the experiment of a named letter, or none at all, and NOT_FOUND.
 */
export async function choiceOf({ ids = null, filter = null }: ChoiceInput, context: Context): Promise<LetterChoice> {
  // With neither scope there is nothing that the key could control.
  if (!context.caller.scopes.includes("CANCEL_ANY")) demand(context, "SUBMIT");
  if ((ids === null) === (filter === null)) {
    throw invalidInput(["input"], "exactly one of ids and filter", { ids, filter });
  }
  if (ids !== null) return { ids: await lettersNamed(ids, context), filter: {} };
  return { ids: null, filter: await filterOf(filter ?? {}, context, ["input", "filter"]) };
}

async function lettersNamed(ids: readonly string[], context: Context): Promise<string[]> {
  if (ids.length < 1 || ids.length > LETTERS_MAX) {
    throw invalidInput(["input", "ids"], `1 to ${LETTERS_MAX} dead letters`, ids.length);
  }
  const found = await Promise.all(ids.map((id, i) => letterNamed(id, context, ["input", "ids", String(i)])));
  const faults = found.filter((item) => item instanceof AssayError);
  if (faults.length > 0) throw new Faults(faults);
  return found.filter((item) => typeof item === "string");
}

async function letterNamed(id: string, context: Context, path: readonly string[]): Promise<string | AssayError> {
  const { reads, caller } = context;
  const key = keyIn(id, "DeadLetter");
  const letter = key === null ? null : await reads.deadLetter(key);
  const experiment = letter === null ? null : await reads.experiment(letter.experimentId);
  if (letter === null || experiment === null) return notFound(path, "dead letter", id);
  demand(context, experiment.createdBy === caller.keyId ? "SUBMIT" : "CANCEL_ANY");
  return letter.id;
}

/** The filter with the ids of the database. Throws NOT_FOUND for an experiment that is not visible. */
export async function filterOf(
  input: DeadLetterFilterInput,
  { reads }: Context,
  path: readonly string[],
): Promise<DeadLetterFilter> {
  const { experimentId = null, reason, code, diedBefore, replayed, purged } = input;
  const key = experimentId === null ? null : keyIn(experimentId, "Experiment");
  const experiment = key === null ? null : await reads.experiment(key);
  if (experimentId !== null && experiment === null) {
    throw notFound([...path, "experimentId"], "experiment", experimentId);
  }
  return {
    experimentId: experiment?.id,
    reason: reason ?? undefined,
    code: code ?? undefined,
    diedBefore: diedBefore ?? undefined,
    replayed: replayed ?? undefined,
    purged: purged ?? undefined,
  };
}
