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

/** What is asked of an experiment before a verb is done. */
export interface Controlled {
  readonly state: ExperimentState;
  readonly cancelRequestedAt: Date | null;
}

/** Throws STATE_CONFLICT where an experiment does not allow the verb. One that was cancelled allows none, however it ended. */
export function demandState(verb: Verb, { state, cancelRequestedAt }: Controlled): void {
  const cancelled = cancelRequestedAt !== null;
  if (!cancelled && allowedStates[verb].includes(state)) return;
  const wanted = `an experiment to be ${words[verb]}, not cancelled and`;
  throw stateConflict({ wanted }, state, allowedStates[verb]);
}

/** A conflict that names the state that was found and those that would have done. */
export function stateConflict(
  { wanted, path = [] }: { readonly wanted: string; readonly path?: readonly string[] },
  currentState: string,
  allowedFrom: readonly string[],
): AssayError {
  const place = path.length === 0 ? "" : `${path.join(".")}: `;
  return new AssayError(
    "STATE_CONFLICT",
    `${place}wanted ${wanted} in one of the states ${allowedFrom.join(", ")}, but it is ${currentState}`,
    { path, detail: { currentState, allowedFrom } },
  );
}
