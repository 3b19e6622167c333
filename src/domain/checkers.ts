import { extractNumber, isSquadMatch, normalAnswer } from "./checker-answers.js";
import { ifevalRules, type RuleMaker, uncheckable, type Verdict } from "./checker-ifeval.js";
import { type FieldFault, Fields, isObject } from "./field-faults.js";
import { fold, hasWholeWord } from "./whole-word.js";

/** A rule that `chosen` passes and `rejected` fails. */
export interface Checker {
  readonly id: string;
  /** Whether a text obeys the rule, in time linear in the text; null where only the pod can say. */
  readonly passes: Verdict;
}

const TEXT_LENGTH_MAX = 100_000;
const WORDS_MAX = 32;
const WORD_LENGTH_MAX = 100;
const INSTRUCTIONS_MAX = 16;

const makers: ReadonlyMap<string, RuleMaker> = new Map<string, RuleMaker>([
  ["keywords:existence", wholeWords],
  ["exact", exact],
  ["number", number],
  ["squad", squad],
]);

/** Reads `{"id", "kwargs"}`, noting what is wrong. */
export function readChecker(value: unknown, faults: FieldFault[]): Checker {
  const fields = new Fields(isObject(value) ? value : {}, faults, "checker.");
  const kwargs = isObject(value) && isObject(value["kwargs"]) ? value["kwargs"] : {};
  const id = fields.text("id", WORD_LENGTH_MAX);
  if (id === "ifeval") return { id, passes: everyInstruction(kwargs, faults) };
  const maker = makers.get(id) ?? (id.startsWith("ifeval:") ? ifevalRules.get(id.slice("ifeval:".length)) : undefined);
  if (maker !== undefined) return { id, passes: maker(new Fields(kwargs, faults, "checker.kwargs.")) };
  if (id !== "") fields.wrong("id", `one of ${[...makers.keys(), "ifeval", "ifeval:<instruction id>"].join(", ")}`);
  return { id, passes: () => null };
}

/** Reads one verifiable instruction; a string where nobody can check it offline, with the reason. */
export function readInstruction(
  id: string,
  kwargs: unknown,
  fault: { faults: FieldFault[]; prefix: string },
): Verdict | string {
  const reason = uncheckable.get(id);
  if (reason !== undefined) return `${id} cannot be checked offline: ${reason}`;
  const maker = ifevalRules.get(id);
  if (maker === undefined) return `${id} is no instruction that Assay can check`;
  const given = isObject(kwargs) ? Object.entries(kwargs).filter(([, value]) => value !== null) : [];
  return maker(new Fields(Object.fromEntries(given), fault.faults, fault.prefix));
}

function everyInstruction(kwargs: Readonly<Record<string, unknown>>, faults: FieldFault[]): Verdict {
  const fields = new Fields(kwargs, faults, "checker.kwargs.");
  const listed = fields.list("instructions", INSTRUCTIONS_MAX);
  if (listed.length === 0) fields.wrong("instructions", "at least one instruction");
  const verdicts = listed.map((entry, i) => {
    const prefix = `checker.kwargs.instructions.${i}.`;
    const one = new Fields(isObject(entry) ? entry : {}, faults, prefix);
    const read = readInstruction(one.text("id", WORD_LENGTH_MAX), one.raw("kwargs"), {
      faults,
      prefix: `${prefix}kwargs.`,
    });
    if (typeof read !== "string") return read;
    one.wrong("id", "an instruction that can be checked offline");
    return () => null;
  });
  return (text) => {
    const found = verdicts.map((verdict) => verdict(text));
    if (found.includes(false)) return false;
    return found.includes(null) ? null : true;
  };
}

function wholeWords(kwargs: Fields): Verdict {
  const keywords = kwargs.texts("keywords", [1, WORDS_MAX], WORD_LENGTH_MAX).map(fold);
  return (text) => {
    const folded = fold(text);
    return keywords.every((keyword) => hasWholeWord(folded, keyword));
  };
}

function exact(kwargs: Fields): Verdict {
  const answer = fold(kwargs.text("answer", TEXT_LENGTH_MAX).trim());
  return (text) => fold(text.trim()) === answer;
}

function number(kwargs: Fields): Verdict {
  const answer = extractNumber(kwargs.text("answer", TEXT_LENGTH_MAX));
  if (answer === null && typeof kwargs.raw("answer") === "string") kwargs.wrong("answer", "a text with a number");
  return (text) => extractNumber(text) === answer;
}

function squad(kwargs: Fields): Verdict {
  const version = kwargs.raw("version") === undefined ? "2.0" : kwargs.oneOf("version", ["1.1", "2.0"]);
  const given = kwargs.list("answers", WORDS_MAX);
  const answers = given.filter((answer): answer is string => typeof answer === "string");
  const least = version === "1.1" ? 1 : 0;
  if (answers.length < given.length || given.length < least) {
    kwargs.wrong("answers", `a list of ${least} to ${WORDS_MAX} texts`);
  }
  const written = version === "1.1" ? answers : answers.filter((answer) => normalAnswer(answer) !== "");
  return (text) => isSquadMatch(text, written.length === 0 ? [""] : written);
}
