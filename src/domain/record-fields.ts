/** The parts of a data set; an item is in one of them only. */
export const splits = ["train", "validation", "test"] as const;
export type Split = (typeof splits)[number];

/** Whether the cue stands with the right answer, with the wrong one, or is absent. */
export const relations = ["aligned", "conflicting", "neutral"] as const;
export type Relation = (typeof relations)[number];

/** A rule that `chosen` passes and `rejected` fails. */
export type Checker =
  | { readonly id: "keywords:existence"; readonly keywords: readonly string[] }
  | { readonly id: "exact"; readonly answer: string };

/** The fields of a preference row that rules look at. */
export interface PreferenceRecord {
  readonly id: string;
  readonly pairId: string;
  readonly split: Split;
  readonly relation: Relation;
  readonly prompt: readonly { readonly role: string; readonly content: string }[];
  readonly chosen: string;
  readonly rejected: string;
  readonly checker: Checker;
}

/** A field that is not what the format says. */
export interface FieldFault {
  readonly column: string;
  readonly message: string;
}

const ID_LENGTH_MAX = 200;
const TEXT_LENGTH_MAX = 100_000;
const TURNS_MAX = 64;
const KEYWORDS_MAX = 32;
const KEYWORD_LENGTH_MAX = 100;
const roles = ["system", "user", "assistant"] as const;

/** Reads a row. Gives the record, or every field that is wrong. Fields that the format does not know are passed over. */
export function readRecord(row: unknown): PreferenceRecord | readonly FieldFault[] {
  if (!isObject(row)) return [{ column: "", message: `wanted a JSON object, but got ${show(row)}` }];
  const faults: FieldFault[] = [];
  const fields = new Fields(row, faults);
  const record = {
    id: fields.text("id", ID_LENGTH_MAX),
    pairId: fields.text("pairId", ID_LENGTH_MAX),
    split: fields.oneOf("split", splits),
    relation: fields.oneOf("relation", relations),
    prompt: readPrompt(row["prompt"], faults),
    chosen: fields.text("chosen", TEXT_LENGTH_MAX),
    rejected: fields.text("rejected", TEXT_LENGTH_MAX),
    checker: readChecker(row["checker"], faults),
  };
  fields.check("artifactPresent", "true or false", (value) => typeof value === "boolean");
  fields.check("artifactVariant", "a text", (value) => typeof value === "string");
  fields.check(
    "cueTarget",
    "gold, shortcut or null",
    (value) => value === null || value === "gold" || value === "shortcut",
  );
  fields.check(
    "goldClass",
    "a text, or no such field",
    (value) => value === undefined || value === null || typeof value === "string",
  );
  return faults.length === 0 ? record : faults;
}

/** Reads fields of an object and notes what is wrong; what a wrong field gives is never used. */
class Fields {
  readonly #row: Readonly<Record<string, unknown>>;
  readonly #faults: FieldFault[];
  readonly #prefix: string;

  constructor(row: Readonly<Record<string, unknown>>, faults: FieldFault[], prefix = "") {
    this.#row = row;
    this.#faults = faults;
    this.#prefix = prefix;
  }

  text(name: string, lengthMax: number): string {
    const value = this.#row[name];
    if (typeof value === "string" && value.length > 0 && value.length <= lengthMax) return value;
    this.#wrong(name, `a text of 1 to ${lengthMax} characters`);
    return "";
  }

  oneOf<T extends string>(name: string, allowed: readonly [T, ...T[]]): T {
    const found = allowed.find((value) => value === this.#row[name]);
    if (found === undefined) this.#wrong(name, `one of ${allowed.join(", ")}`);
    return found ?? allowed[0];
  }

  check(name: string, wanted: string, holds: (value: unknown) => boolean): void {
    if (!holds(this.#row[name])) this.#wrong(name, wanted);
  }

  #wrong(name: string, wanted: string): void {
    const got = Object.hasOwn(this.#row, name) ? show(this.#row[name]) : "no such field";
    this.#faults.push({ column: `${this.#prefix}${name}`, message: `wanted ${wanted}, but got ${got}` });
  }
}

function readPrompt(value: unknown, faults: FieldFault[]): PreferenceRecord["prompt"] {
  if (!Array.isArray(value) || value.length === 0 || value.length > TURNS_MAX) {
    faults.push({ column: "prompt", message: `wanted a list of 1 to ${TURNS_MAX} turns, but got ${show(value)}` });
    return [];
  }
  const prompt = value.map((turn: unknown, i) => {
    const fields = new Fields(isObject(turn) ? turn : {}, faults, `prompt.${i}.`);
    return { role: fields.oneOf("role", roles), content: fields.text("content", TEXT_LENGTH_MAX) };
  });
  if (prompt[0]?.role !== "system") {
    faults.push({
      column: "prompt.0.role",
      message: `wanted a first turn of role system, but got ${show(prompt[0]?.role)}`,
    });
  }
  return prompt;
}

function readChecker(value: unknown, faults: FieldFault[]): Checker {
  const fields = new Fields(isObject(value) ? value : {}, faults, "checker.");
  const id = fields.oneOf("id", ["keywords:existence", "exact"]);
  const kwargs = isObject(value) && isObject(value["kwargs"]) ? value["kwargs"] : {};
  const inner = new Fields(kwargs, faults, "checker.kwargs.");
  if (id === "exact") return { id, answer: inner.text("answer", TEXT_LENGTH_MAX) };
  const keywords = kwargs["keywords"];
  if (isKeywords(keywords)) return { id, keywords };
  inner.check(
    "keywords",
    `a list of 1 to ${KEYWORDS_MAX} texts of at most ${KEYWORD_LENGTH_MAX} characters`,
    () => false,
  );
  return { id, keywords: [] };
}

function isKeywords(value: unknown): value is string[] {
  const isKeyword = (word: unknown): boolean =>
    typeof word === "string" && word.length > 0 && word.length <= KEYWORD_LENGTH_MAX;
  return Array.isArray(value) && value.length > 0 && value.length <= KEYWORDS_MAX && value.every(isKeyword);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value as messages show it: JSON, cut to 80 characters. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
