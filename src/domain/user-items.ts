import { extractNumber } from "./checker-answers.js";
import { readInstruction } from "./checkers.js";
import { type FieldFault, Fields, isObject, show } from "./field-faults.js";
import { type Split, splits } from "./record-fields.js";

/** A row of somebody's own task data, as far as rules look at it. */
export interface UserItem {
  /** What must occur once in a file; null where the format has no such thing. */
  readonly key: { readonly column: string; readonly value: string } | null;
  /** The text that duplicates are found by, and by which the row's part is chosen. */
  readonly text: string;
  /** The part that the row names for itself; null where its text decides. */
  readonly split: Split | null;
  /** Why no injection can use the row; null where one can. */
  readonly leftOut: FieldFault | null;
}

/** Reads a row of a format: the item, or every field that is wrong. */
export type ItemReader = (row: unknown) => UserItem | readonly FieldFault[];

const TEXT_LENGTH_MAX = 20_000;
const ID_LENGTH_MAX = 200;
const INSTRUCTIONS_MAX = 16;

/** GSM8K: `question`, and an `answer` whose last line is `#### ` and a number. */
export const readGsm8k: ItemReader = (row) =>
  reading(row, (fields) => {
    const text = fields.text("question", TEXT_LENGTH_MAX);
    const answer = fields.text("answer", TEXT_LENGTH_MAX);
    const last = answer.slice(answer.lastIndexOf("\n") + 1);
    if (answer !== "" && !(last.startsWith("####") && extractNumber(last) !== null)) {
      fields.wrong("answer", "a text whose last line is #### and a number");
    }
    return { key: null, text, leftOut: null };
  });

/** IFEval: `key`, `prompt`, `instruction_id_list`, and for each instruction its `kwargs`. */
export const readIfeval: ItemReader = (row) =>
  reading(row, (fields, faults) => {
    const key = fields.raw("key");
    const named = typeof key === "number" ? Number.isInteger(key) : typeof key === "string" && key !== "";
    if (!named) fields.wrong("key", "an integer or a text");
    const text = fields.text("prompt", TEXT_LENGTH_MAX);
    const ids = fields.texts("instruction_id_list", [1, INSTRUCTIONS_MAX], ID_LENGTH_MAX);
    const kwargs = fields.list("kwargs", INSTRUCTIONS_MAX);
    if (kwargs.length !== ids.length) fields.wrong("kwargs", `one object for each of ${ids.length} instructions`);
    for (const [i, value] of kwargs.entries()) {
      if (!isObject(value)) faults.push({ column: `kwargs.${i}`, message: `wanted an object, but got ${show(value)}` });
    }
    const leftOut =
      ids.map((id, i) => uncheckableInstruction(id, kwargs[i], i)).find((fault) => fault !== null) ?? null;
    return { key: { column: "key", value: String(key) }, text, leftOut };
  });

/** Why an instruction cannot be checked, or null where it can. */
function uncheckableInstruction(id: string, kwargs: unknown, place: number): FieldFault | null {
  const faults: FieldFault[] = [];
  const read = readInstruction(id, kwargs, { faults, prefix: `kwargs.${place}.` });
  if (typeof read === "string") return { column: `instruction_id_list.${place}`, message: read };
  return faults[0] ?? null;
}

/** One question of a SQuAD paragraph; `context` decides about duplicates and part, so that a paragraph is never divided. */
export function readQuestion(value: unknown, context: string): UserItem | readonly FieldFault[] {
  return reading(value, (fields, faults) => {
    const key = fields.text("id", ID_LENGTH_MAX);
    fields.text("question", TEXT_LENGTH_MAX);
    const impossible = fields.raw("is_impossible");
    if (impossible !== undefined && typeof impossible !== "boolean") fields.wrong("is_impossible", "true or false");
    const answers = fields.list("answers", 100);
    if (answers.length === 0 && impossible !== true) fields.wrong("answers", "at least one answer, or is_impossible");
    for (const [i, answer] of answers.entries()) readAnswer(answer, context, { faults, prefix: `answers.${i}.` });
    const leftOut =
      answers.length === 0
        ? { column: "answers", message: "a question without an answer has no sentence that a cue could stand on" }
        : null;
    return { key: { column: "id", value: key }, text: context, leftOut };
  });
}

function readAnswer(value: unknown, context: string, at: { faults: FieldFault[]; prefix: string }): void {
  const fields = new Fields(isObject(value) ? value : {}, at.faults, at.prefix);
  const text = fields.text("text", TEXT_LENGTH_MAX);
  const start = fields.integer("answer_start", 0, context.length);
  if (text !== "" && !standsAt(context, text, start)) {
    fields.wrong("answer_start", `the place, counted in code points, where ${show(text)} stands in the context`);
  }
}

/** Offsets are code points, as Python counts them; they differ from JavaScript's where a text has characters beyond the first plane. */
function standsAt(context: string, text: string, start: number): boolean {
  if (context.startsWith(text, start)) return true;
  return Array.from(context).slice(start).join("").startsWith(text);
}

function reading(
  row: unknown,
  read: (fields: Fields, faults: FieldFault[]) => Omit<UserItem, "split">,
): UserItem | readonly FieldFault[] {
  if (!isObject(row)) return [{ column: "", message: `wanted a JSON object, but got ${show(row)}` }];
  const faults: FieldFault[] = [];
  const fields = new Fields(row, faults);
  const item = read(fields, faults);
  const split = fields.raw("split") === undefined ? null : fields.oneOf("split", splits);
  return faults.length === 0 ? { ...item, split } : faults;
}
