import { resolve } from "node:path";
import { type ParseArgsConfig, parseArgs } from "node:util";
import { AssayError } from "../errors.js";

type Options = NonNullable<ParseArgsConfig["options"]>;
type Parsed<T extends Options> = ReturnType<typeof parseArgs<{ options: T; allowPositionals: true; args: string[] }>>;

/** Reads flags and, of the rest, as many words as are wanted. Throws INVALID_INPUT for anything else. */
export function flagsIn<const T extends Options>(args: readonly string[], options: T, words = 0): Parsed<T> {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: words > 0 });
  } catch (error) {
    throw new AssayError(
      "INVALID_INPUT",
      `${error instanceof Error ? error.message : String(error)} (--help lists the options)`,
    );
  }
}

/** The integer that a flag gives. Throws INVALID_INPUT for anything that is none from 1 to `max`. */
export function integer(flag: string, text: string, max: number): number {
  if (/^[1-9]\d*$/.test(text) && Number(text) <= max) return Number(text);
  throw new AssayError("INVALID_INPUT", `${flag}: wanted an integer from 1 to ${max}, but got ${text}`);
}

/** The one of these words that a flag gives, in capitals. Throws INVALID_INPUT for any other. */
export function choice<T extends string>(flag: string, text: string, known: readonly T[]): T {
  const found = known.find((word) => word === text.toUpperCase());
  if (found !== undefined) return found;
  const wanted = known.map((word) => word.toLowerCase()).join(", ");
  throw new AssayError("INVALID_INPUT", `${flag}: wanted one of ${wanted}, but got ${text}`);
}

/** Folder of the service's database, artifacts and key. */
export function dataFolder(): string {
  return resolve(process.env["ASSAY_DATA_DIR"] || ".assay");
}
