import { readFileSync } from "node:fs";
import { AssayError } from "../errors.js";

/** Variables as a process is given them. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** Reads settings from variables and keeps what is wrong with them, so that all faults are told together. */
export class Settings {
  /** One sentence for each variable that cannot be used. */
  readonly faults: string[] = [];

  constructor(readonly env: Variables) {}

  /** The text, or the fallback where there is none. */
  text(name: string, fallback: string): string {
    return this.env[name] || fallback;
  }

  /** An integer within the bounds, both included. */
  integer(name: string, fallback: number, [min, max]: readonly [number, number]): number {
    const text = this.text(name, "");
    if (text === "") return fallback;
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    this.fault(name, `an integer from ${min} to ${max}`, text);
    return fallback;
  }

  /** `true` or `false`. */
  flag(name: string, fallback: boolean): boolean {
    const text = this.text(name, String(fallback));
    if (text !== "true" && text !== "false") this.fault(name, "true or false", text);
    return text === "true";
  }

  /** A text that must be given. */
  required(name: string, wanted: string): string {
    const text = this.text(name, "");
    if (text === "") this.faults.push(`${name}: wanted ${wanted}, but got none`);
    return text;
  }

  /** What the file holds that the variable names; undefined where it names none. */
  file(name: string): Buffer | undefined {
    const path = this.text(name, "");
    if (path === "") return undefined;
    try {
      return readFileSync(path);
    } catch (error) {
      const said = error instanceof Error && "code" in error ? String(error.code) : String(error);
      this.faults.push(`${name}: wanted a file that can be read, but got ${JSON.stringify(path)} (${said})`);
      return undefined;
    }
  }

  /** A secret, from the variable or from the file that `<name>_FILE` names. It is never shown. */
  secret(name: string, wanted: string): string {
    const fileName = `${name}_FILE`;
    const [plain, path] = [this.text(name, ""), this.text(fileName, "")];
    if (plain !== "" && path !== "") this.faults.push(`${name}: wanted it alone or ${fileName} alone, but got both`);
    if (path === "") {
      if (plain === "") this.faults.push(`${name}: wanted ${wanted}, here or in ${fileName}, but got none`);
      return plain;
    }
    const held = this.file(fileName)
      ?.toString("utf8")
      .replace(/\r?\n$/, "");
    if (held === "") this.faults.push(`${fileName}: wanted ${wanted} in the file, but it is empty`);
    return held ?? "";
  }

  /** Refuses variables that this process must not hold. */
  refuse(names: readonly string[], why: string): void {
    for (const name of names) {
      if (this.text(name, "") !== "") this.faults.push(`${name}: wanted it unset, for ${why}`);
    }
  }

  /** Notes that a variable cannot be used. */
  fault(name: string, wanted: string, got: unknown): void {
    this.faults.push(`${name}: wanted ${wanted}, but got ${JSON.stringify(got)}`);
  }

  /** The settings once all are read. Throws CONFIG_INVALID with every fault. */
  checked<T extends object>(settings: T): Readonly<T> {
    if (this.faults.length > 0) throw new AssayError("CONFIG_INVALID", this.faults.join("; "));
    return Object.freeze(settings);
  }
}
