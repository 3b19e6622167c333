import { AssayError, invalidInput } from "../errors.js";

// Rules as lists of what breaks them: empty where the rule holds.

/** Where a value stands in the input. */
export type Path = readonly string[];

type Range = readonly [min: number, max: number];

/** INVALID_INPUT unless it holds. */
export function unless(holds: boolean, path: Path, wanted: string, got: unknown): AssayError[] {
  return holds ? [] : [invalidInput(path, wanted, got)];
}

/** INVALID_INPUT unless the value is whole and within the range. */
export function wholeNumber(value: number, [min, max]: Range, path: Path): AssayError[] {
  const holds = Number.isInteger(value) && value >= min && value <= max;
  return unless(holds, path, `an integer from ${min} to ${max}`, value);
}

/** INVALID_INPUT unless the value is within the range. */
export function inRange(value: number, [min, max]: Range, path: Path): AssayError[] {
  return unless(value >= min && value <= max, path, `a value from ${min} to ${max}`, value);
}

/** INVALID_INPUT unless there is a value and none comes twice. */
export function eachOnce(values: readonly number[], path: Path, what: string): AssayError[] {
  return unless(values.length > 0 && distinct(values), path, `at least one ${what}, each once`, values);
}

/** Whether no value comes twice. */
export function distinct(values: readonly (string | number)[]): boolean {
  return new Set(values).size === values.length;
}

/** UNSUPPORTED_COMBINATION: what may be asked for in place of what came. */
export function unsupported(path: Path, supported: readonly string[], got: string): AssayError {
  const message = `${path.join(".")}: wanted ${supported.join(" or ")}, but got ${got}`;
  return new AssayError("UNSUPPORTED_COMBINATION", message, { path: [...path], detail: { supported: [...supported] } });
}
