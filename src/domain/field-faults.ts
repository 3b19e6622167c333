/** A field that is not what the format says. */
export interface FieldFault {
  readonly column: string;
  readonly message: string;
}

/** Reads fields of an object and notes what is wrong; what a wrong field gives is never used. */
export class Fields {
  readonly #row: Readonly<Record<string, unknown>>;
  readonly #faults: FieldFault[];
  readonly #prefix: string;

  constructor(row: Readonly<Record<string, unknown>>, faults: FieldFault[], prefix = "") {
    this.#row = row;
    this.#faults = faults;
    this.#prefix = prefix;
  }

  /** A text of 1 to `lengthMax` characters. */
  text(name: string, lengthMax: number): string {
    const value = this.#row[name];
    if (typeof value === "string" && value.length > 0 && value.length <= lengthMax) return value;
    this.wrong(name, `a text of 1 to ${lengthMax} characters`);
    return "";
  }

  /** One of a few texts. */
  oneOf<T extends string>(name: string, allowed: readonly [T, ...T[]]): T {
    const found = allowed.find((value) => value === this.#row[name]);
    if (found === undefined) this.wrong(name, `one of ${allowed.join(", ")}`);
    return found ?? allowed[0];
  }

  /** An integer from `least` to `most`. */
  integer(name: string, least: number, most: number): number {
    const value = this.#row[name];
    if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
    this.wrong(name, `an integer from ${least} to ${most}`);
    return least;
  }

  /** A list of `counts[0]` to `counts[1]` texts of at most `lengthMax` characters. */
  texts(name: string, counts: readonly [number, number], lengthMax: number): readonly string[] {
    const value = this.#row[name];
    const [least, most] = counts;
    if (Array.isArray(value) && value.length >= least && value.length <= most) {
      const texts = value.filter(
        (text: unknown) => typeof text === "string" && text !== "" && text.length <= lengthMax,
      );
      if (texts.length === value.length) return texts;
    }
    this.wrong(name, `a list of ${least} to ${most} texts of at most ${lengthMax} characters`);
    return [];
  }

  /** A list of anything, of at most `most` entries. */
  list(name: string, most: number): readonly unknown[] {
    const value = this.#row[name];
    if (Array.isArray(value) && value.length <= most) return value;
    this.wrong(name, `a list of at most ${most} entries`);
    return [];
  }

  /** Whatever is there; undefined where there is no such field. */
  raw(name: string): unknown {
    return Object.hasOwn(this.#row, name) ? this.#row[name] : undefined;
  }

  /** Notes a fault unless the value holds. */
  check(name: string, wanted: string, holds: (value: unknown) => boolean): void {
    if (!holds(this.#row[name])) this.wrong(name, wanted);
  }

  /** Notes that a field is not what was wanted. */
  wrong(name: string, wanted: string): void {
    const got = Object.hasOwn(this.#row, name) ? show(this.#row[name]) : "no such field";
    this.#faults.push({ column: `${this.#prefix}${name}`, message: `wanted ${wanted}, but got ${got}` });
  }
}

/** Whether a value is an object and no list. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value as messages show it: JSON, cut to 80 characters. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
