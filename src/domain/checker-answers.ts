import { WORD, words } from "./python-text.js";

const digits = "(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\\.[0-9]+)?|(?<![\\p{L}\\p{N}_.])\\.[0-9]+";
const number = `(?<minus>(?<![\\p{L}\\p{N}_)\\]])[-\\u2212]\\$?|\\$[-\\u2212])?(?<digits>${digits})`;
const anywhere = new RegExp(number, "gu");
const MARKER = "####";
const punctuation = /[!-/:-@[-`{-~]/gu;
const article = new RegExp(`(?<!${WORD})(?:a|an|the)(?!${WORD})`, "gu");

/**
 * The number that a text answers with, in its plain form, or null where there is none: the one after the first `####` that a
 * number follows, else the last one. The Python twin with all the rules is `checkers/numbers.py`.
 */
export function extractNumber(text: string): string | null {
  const there = new RegExp(number, "uy");
  for (let at = text.indexOf(MARKER); at >= 0; at = text.indexOf(MARKER, at)) {
    at += MARKER.length;
    while (at < text.length && " \t#$".includes(text.charAt(at))) at += 1;
    there.lastIndex = at;
    const found = there.exec(text);
    if (found?.groups !== undefined) return plain(found.groups);
  }
  let last: string | null = null;
  for (const found of text.matchAll(anywhere)) if (found.groups !== undefined) last = plain(found.groups);
  return last;
}

/** A text in lower case, without ASCII punctuation and English articles, with single spaces: SQuAD's normal form. */
export function normalAnswer(text: string): string {
  return words(text.toLowerCase().replace(punctuation, "").replace(article, " ")).join(" ");
}

/** Whether a text equals one of the answers in SQuAD's normal form. */
export function isSquadMatch(text: string, answers: readonly string[]): boolean {
  const normal = normalAnswer(text);
  return answers.some((answer) => normalAnswer(answer) === normal);
}

function plain(groups: Readonly<Record<string, string | undefined>>): string {
  const [whole = "", fraction = ""] = (groups["digits"] ?? "").replaceAll(",", "").split(".");
  const front = whole.replace(/^0+/u, "") || "0";
  let end = fraction.length;
  while (end > 0 && fraction[end - 1] === "0") end -= 1;
  const joined = end > 0 ? `${front}.${fraction.slice(0, end)}` : front;
  return groups["minus"] !== undefined && joined !== "0" ? `-${joined}` : joined;
}
