import { AssayError } from "../errors.js";
import type { ExperimentState } from "./experiment.js";

/** What a user can do to an experiment that was accepted, beside cancelling it, which any state allows. */
export type Verb = "PAUSE" | "RESUME" | "RETRY" | "EXTEND" | "SET_PRIORITY";

const live = ["QUEUED", "RUNNING", "PAUSED"] as const satisfies readonly ExperimentState[];

/** The states of an experiment in which each verb does something or nothing, but is never wrong. */
export const allowedStates: Readonly<Record<Verb, readonly ExperimentState[]>> = {
  PAUSE: live,
  RESUME: live,
  RETRY: [...live, "PARTIAL", "FAILED"],
  EXTEND: [...live, "SUCCEEDED", "PARTIAL", "FAILED"],
  SET_PRIORITY: live,
};

const words: Readonly<Record<Verb, string>> = {
  PAUSE: "paused",
  RESUME: "resumed",
  RETRY: "tried again",
  EXTEND: "extended",
  SET_PRIORITY: "given another priority",
};

/** Throws STATE_CONFLICT where an experiment in this state does not allow the verb. */
export function demandState(verb: Verb, state: ExperimentState): void {
  if (allowedStates[verb].includes(state)) return;
  throw stateConflict(`an experiment to be ${words[verb]}`, state, allowedStates[verb]);
}

/** A conflict that names the state that was found and those that would have done. */
export function stateConflict(wanted: string, currentState: string, allowedFrom: readonly string[]): AssayError {
  return new AssayError(
    "STATE_CONFLICT",
    `wanted ${wanted} in one of the states ${allowedFrom.join(", ")}, but it is ${currentState}`,
    { detail: { currentState, allowedFrom } },
  );
}
