import { type Checker, readChecker } from "./checkers.js";
import { type FieldFault, Fields, isObject, show } from "./field-faults.js";

/** The parts of a data set; an item is in one of them only. */
export const splits = ["train", "validation", "test"] as const;
export type Split = (typeof splits)[number];

/** Whether the cue stands with the right answer, with the wrong one, or is absent. */
export const relations = ["aligned", "conflicting", "neutral"] as const;
export type Relation = (typeof relations)[number];

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

const ID_LENGTH_MAX = 200;
const TEXT_LENGTH_MAX = 100_000;
const TURNS_MAX = 64;
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
