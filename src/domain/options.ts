import { type AssayError, invalidInput } from "../errors.js";

/** Whether equal work of the project is answered from the earlier run. */
export const reusePolicies = ["EXACT_MATCH", "NEVER"] as const;
export type ReusePolicy = (typeof reusePolicies)[number];

/** What a submission may say beside its request, whatever the capability. It changes how runs are served, never what they answer. */
export interface SubmitOptions {
  /** Higher is served sooner, among the runs of one tenant; -100 to 100. One is worth ten minutes of waiting. */
  readonly priority: number;
  readonly reuse: ReusePolicy;
  /** Tries of a run before it is given up, 1 to 10; tries that the service itself broke off do not count. */
  readonly maxAttempts: number;
}

/** The options when the request leaves them out. */
export const defaultOptions: SubmitOptions = { priority: 0, reuse: "EXACT_MATCH", maxAttempts: 3 };

const KEY_LENGTH_MAX = 200;
const PRIORITY_MAX = 100;
const ATTEMPTS_MAX = 10;

/** What is wrong with an idempotency key; null when nothing is. */
export function idempotencyKeyFault(key: string, path: readonly string[]): AssayError | null {
  const fits = key.trim() !== "" && key.length <= KEY_LENGTH_MAX;
  return fits ? null : invalidInput(path, `1 to ${KEY_LENGTH_MAX} characters`, key);
}

/** What is wrong with a priority; null when nothing is. */
export function priorityFault(value: number, path: readonly string[]): AssayError | null {
  const fits = Number.isInteger(value) && Math.abs(value) <= PRIORITY_MAX;
  return fits ? null : invalidInput(path, `an integer from ${-PRIORITY_MAX} to ${PRIORITY_MAX}`, value);
}

/** Every rule that the options break; `root` is their path in the input. */
export function optionFaults({ priority, maxAttempts }: SubmitOptions, root: readonly string[]): AssayError[] {
  const faults: AssayError[] = [];
  const wrong = priorityFault(priority, [...root, "priority"]);
  if (wrong !== null) faults.push(wrong);
  if (!Number.isInteger(maxAttempts) || maxAttempts < 1 || maxAttempts > ATTEMPTS_MAX) {
    faults.push(invalidInput([...root, "maxAttempts"], `an integer from 1 to ${ATTEMPTS_MAX}`, maxAttempts));
  }
  return faults;
}
