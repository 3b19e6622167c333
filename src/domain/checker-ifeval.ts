import { formatRules } from "./checker-ifeval-format.js";
import type { Fields } from "./field-faults.js";
import { countOf, literal, strip, WORD, words } from "./python-text.js";

/** Says whether a text follows a rule; null where only the pod can say (it has a language detector). */
export type Verdict = (text: string) => boolean | null;
/** Reads a rule's arguments, noting what is wrong with them, and gives the rule. */
export type RuleMaker = (kwargs: Fields) => Verdict;

const SHORT_MAX = 100;
const LONG_MAX = 100_000;
const TEXTS_MAX = 32;
const COUNT_MAX = 1_000_000;
const options = ["My answer is yes.", "My answer is no.", "My answer is maybe."] as const;

/** The rules of IFEval that can be checked without a network, by their instruction ids; the Python twin is `checkers/ifeval.py`. */
export const ifevalRules: ReadonlyMap<string, RuleMaker> = new Map<string, RuleMaker>([
  ["change_case:english_lowercase", () => (text) => isLower(text) && null],
  ["change_case:english_capital", () => (text) => isUpper(text) && null],
  [
    "language:response_language",
    (kwargs) => {
      kwargs.text("language", SHORT_MAX);
      return () => null;
    },
  ],
  ["punctuation:no_comma", () => (text) => !text.includes(",")],
  ["keywords:existence", existence],
  ["keywords:frequency", frequency],
  ["keywords:forbidden_words", forbiddenWords],
  ["keywords:letter_frequency", letterFrequency],
  ["length_constraints:number_words", numberWords],
  ["length_constraints:nth_paragraph_first_word", firstWord],
  ["startend:end_checker", endChecker],
  [
    "startend:quotation",
    () => (text) => {
      const stripped = strip(text);
      return stripped.length > 1 && stripped.startsWith('"') && stripped.endsWith('"');
    },
  ],
  ["combination:repeat_prompt", repeatPrompt],
  ["detectable_format:constrained_response", () => (text) => options.some((option) => text.includes(option))],
  ...formatRules,
]);

/** Instructions of the official set that nobody checks offline, and why. */
export const uncheckable: ReadonlyMap<string, string> = new Map([
  ["length_constraints:number_sentences", "it counts sentences by nltk's punkt model, which no package carries"],
  ["change_case:capital_word_frequency", "it splits words by nltk's punkt model, which no package carries"],
]);

function existence(kwargs: Fields): Verdict {
  const patterns = kwargs.texts("keywords", [1, TEXTS_MAX], SHORT_MAX).map((word) => new RegExp(literal(word), "iu"));
  return (text) => patterns.every((pattern) => pattern.test(text));
}

function frequency(kwargs: Fields): Verdict {
  const keyword = strip(kwargs.text("keyword", SHORT_MAX));
  if (keyword === "") kwargs.wrong("keyword", "a word");
  const holds = comparison(kwargs, "frequency", "relation");
  return (text) => holds(countOf(text, new RegExp(literal(keyword), "giu")));
}

function forbiddenWords(kwargs: Fields): Verdict {
  const edge = `(?:(?<=${WORD})(?!${WORD})|(?<!${WORD})(?=${WORD}))`;
  const patterns = kwargs
    .texts("forbidden_words", [1, TEXTS_MAX], SHORT_MAX)
    .map((word) => new RegExp(`${edge}${literal(word)}${edge}`, "iu"));
  return (text) => !patterns.some((pattern) => pattern.test(text));
}

function letterFrequency(kwargs: Fields): Verdict {
  const letter = kwargs.text("letter", 1).toLowerCase();
  if (letter !== "" && (letter < "a" || letter > "z")) kwargs.wrong("letter", "one of a to z");
  const holds = comparison(kwargs, "let_frequency", "let_relation");
  return (text) => holds(text.toLowerCase().split(letter).length - 1);
}

function numberWords(kwargs: Fields): Verdict {
  const holds = comparison(kwargs, "num_words", "relation");
  return (text) => holds(countOf(text, new RegExp(`${WORD}+`, "gu")));
}

function endChecker(kwargs: Fields): Verdict {
  const phrase = strip(kwargs.text("end_phrase", LONG_MAX)).toLowerCase();
  return (text) => strip(strip(text), '"').toLowerCase().endsWith(phrase);
}

function repeatPrompt(kwargs: Fields): Verdict {
  const prompt = strip(kwargs.text("prompt_to_repeat", LONG_MAX)).toLowerCase();
  return (text) => strip(text).toLowerCase().startsWith(prompt);
}

/** Paragraphs are parted by two newlines; blank ones do not count, but keep their place in the numbering. */
function firstWord(kwargs: Fields): Verdict {
  const wanted = kwargs.text("first_word", SHORT_MAX).toLowerCase();
  const total = kwargs.integer("num_paragraphs", 1, COUNT_MAX);
  const nth = kwargs.integer("nth_paragraph", 1, total);
  return (text) => {
    const paragraphs = text.split("\n\n");
    const written = paragraphs.filter((paragraph) => strip(paragraph) !== "").length;
    const [word] = words(paragraphs[nth - 1] ?? "");
    if (nth > written || word === undefined) return false;
    const bare = word.replace(/^'+/, "").replace(/^"+/, "");
    return written === total && (bare.split(/[.,?!'"]/, 1)[0] ?? "").toLowerCase() === wanted;
  };
}

function comparison(kwargs: Fields, threshold: string, relation: string): (found: number) => boolean {
  const limit = kwargs.integer(threshold, 0, COUNT_MAX);
  const below = kwargs.oneOf(relation, ["less than", "at least"]) === "less than";
  return (found) => (below ? found < limit : found >= limit);
}

function isLower(text: string): boolean {
  return /\p{Lowercase}/u.test(text) && !/[\p{Uppercase}\p{Lt}]/u.test(text);
}

function isUpper(text: string): boolean {
  return /\p{Uppercase}/u.test(text) && !/[\p{Lowercase}\p{Lt}]/u.test(text);
}
