/** Where a text stops being JSON, or why a value that is JSON is not taken. */
export interface JsonFault {
  /** Character of the text at fault, from 1; null when the fault lies in a value rather than at a place. */
  readonly column: number | null;
  readonly message: string;
}

export type ParsedJson =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly fault: JsonFault };

const DEPTH_MAX = 32;

/**
 * Parses one JSON text that somebody else wrote. Refused beside what is malformed: nesting deeper than 32, `__proto__` as a
 * key, NUL characters and lone surrogates (a database can store neither).
 */
export function parseJson(text: string): ParsedJson {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ok: false, fault: new FaultFinder(text).find() };
  }
  const message = unsafeIn(value);
  return message === null ? { ok: true, value } : { ok: false, fault: { column: null, message } };
}

/** What makes a parsed value unfit to be stored or merged, or null. */
export function unsafeIn(value: unknown, depth = 0): string | null {
  if (typeof value === "string") return unsafeText(value);
  if (typeof value !== "object" || value === null) return null;
  if (depth === DEPTH_MAX) return `wanted JSON nested at most ${DEPTH_MAX} deep, but it is deeper`;
  for (const [key, field] of Object.entries(value)) {
    if (key === "__proto__") return "wanted no key named __proto__, but there is one";
    const fault = unsafeText(key) ?? unsafeIn(field, depth + 1);
    if (fault !== null) return fault;
  }
  return null;
}

/** What makes a text unfit to be stored, or null. */
export function unsafeText(text: string): string | null {
  if (text.includes("\0")) return "wanted text without NUL characters, but there is one";
  if (!text.isWellFormed()) return "wanted well-formed Unicode, but there is half of a surrogate pair";
  return null;
}

/** Walks a text that is not JSON up to its first fault. The engine's own messages often leave the place out. */
class FaultFinder {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  find(): JsonFault {
    try {
      this.#space();
      this.#value(0);
      this.#space();
      return this.#fault("the end of the text");
    } catch (thrown) {
      if (thrown instanceof Found) return thrown.fault;
      throw thrown;
    }
  }

  #value(depth: number): void {
    const first = this.#text[this.#at] ?? "";
    if (depth > DEPTH_MAX) throw new Found(this.#fault(`at most ${DEPTH_MAX} levels of nesting`));
    if (first === "{") this.#members("}", depth);
    else if (first === "[") this.#members("]", depth);
    else if (first === '"') this.#string();
    else this.#match(/-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y, "a value");
  }

  #members(close: "}" | "]", depth: number): void {
    this.#at += 1;
    this.#space();
    if (this.#take(close)) return;
    do {
      this.#space();
      if (close === "}") {
        this.#string();
        this.#space();
        if (!this.#take(":")) throw new Found(this.#fault("a colon after the key"));
        this.#space();
      }
      this.#value(depth + 1);
      this.#space();
    } while (this.#take(","));
    if (!this.#take(close)) throw new Found(this.#fault(`a comma or ${close}`));
  }

  #string(): void {
    if (!this.#take('"')) throw new Found(this.#fault("a text in double quotes"));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: JSON texts hold no raw control characters
    const piece = /[^"\\\u0000-\u001f]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
    while (!this.#take('"')) this.#match(piece, "the rest of a text in double quotes");
  }

  #match(pattern: RegExp, wanted: string): void {
    pattern.lastIndex = this.#at;
    if (!pattern.test(this.#text)) throw new Found(this.#fault(wanted));
    this.#at = pattern.lastIndex;
  }

  #space(): void {
    this.#match(/[ \t\n\r]*/y, "white space");
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #fault(wanted: string): JsonFault {
    const rest = this.#text.slice(this.#at, this.#at + 20);
    const got = rest === "" ? "the end of the text" : JSON.stringify(rest);
    return { column: this.#at + 1, message: `wanted ${wanted} at column ${this.#at + 1}, but got ${got}` };
  }
}

/** Ends the walk from any depth. */
class Found extends Error {
  readonly fault: JsonFault;

  constructor(fault: JsonFault) {
    super(fault.message);
    this.fault = fault;
  }
}
