import type { RuleMaker, Verdict } from "./checker-ifeval.js";
import type { Fields } from "./field-faults.js";
import { countOf, literal, SPACE, strip } from "./python-text.js";

const SHORT_MAX = 100;
const COUNT_MAX = 1_000_000;
const postscripts: ReadonlyMap<string, RegExp> = new Map([
  ["P.P.S", new RegExp(`p\\.[${SPACE}]?p\\.[${SPACE}]?s`, "u")],
  ["P.S.", new RegExp(`p\\.[${SPACE}]?s\\.`, "u")],
]);
const divider = new RegExp(`[${SPACE}]?\\*\\*\\*[${SPACE}]?`, "u");

/** IFEval's rules of layout; the Python twin is `checkers/ifeval_format.py`. */
export const formatRules: readonly (readonly [string, RuleMaker])[] = [
  ["detectable_format:number_bullet_lists", (kwargs) => counted(kwargs, "num_bullets", bullets, true)],
  ["detectable_format:number_highlighted_sections", (kwargs) => counted(kwargs, "num_highlights", highlights)],
  ["detectable_format:multiple_sections", sections],
  ["detectable_format:json_format", () => isJson],
  ["detectable_format:title", () => hasTitle],
  ["detectable_content:number_placeholders", (kwargs) => counted(kwargs, "num_placeholders", placeholders)],
  ["detectable_content:postscript", postscript],
  [
    "length_constraints:number_paragraphs",
    (kwargs) => counted(kwargs, "num_paragraphs", (text) => partsOf(text.split(divider)), true),
  ],
  ["combination:two_responses", () => twoResponses],
];

/** A count that is to be reached or, where it is exact, met. */
function counted(kwargs: Fields, name: string, count: (text: string) => number, exact = false): Verdict {
  const wanted = kwargs.integer(name, 0, COUNT_MAX);
  return (text) => (exact ? count(text) === wanted : count(text) >= wanted);
}

/**
 * Lines that begin with a dash, or with one asterisk and anything but another. The official pattern takes the character after
 * the asterisk even where it is the line's end, and then swallows the next line.
 */
function bullets(text: string): number {
  let count = 0;
  let start = 0;
  let taken = 0;
  for (const line of text.split("\n")) {
    const lead = line.length - strip(`${line}x`).length + 1;
    const at = start + lead;
    if (line[lead] === "-") count += 1;
    else if (line[lead] === "*" && start >= taken && at + 1 < text.length && text[at + 1] !== "*") {
      count += 1;
      const end = text.indexOf("\n", at + 2);
      taken = end < 0 ? text.length + 1 : end;
    }
    start += line.length + 1;
  }
  return count;
}

function highlights(text: string): number {
  let count = 0;
  for (const [found] of text.matchAll(/\*[^\n*]*\*/gu)) if (strip(strip(found, "*")) !== "") count += 1;
  for (const [found] of text.matchAll(/\*\*[^\n*]*\*\*/gu)) if (strip(found.slice(2, -2)) !== "") count += 1;
  return count;
}

function sections(kwargs: Fields): Verdict {
  const splitter = literal(strip(kwargs.text("section_spliter", SHORT_MAX)));
  const pattern = new RegExp(`[${SPACE}]?${splitter}[${SPACE}]?\\p{Nd}+[${SPACE}]?`, "gu");
  return counted(kwargs, "num_sections", (text) => countOf(text, pattern));
}

/** Texts in square brackets, each on one line, from an opening bracket to the next closing one. */
function placeholders(text: string): number {
  let count = 0;
  for (const line of text.split("\n")) {
    let opened = line.indexOf("[");
    while (opened >= 0) {
      const closed = line.indexOf("]", opened);
      if (closed < 0) break;
      count += 1;
      opened = line.indexOf("[", closed);
    }
  }
  return count;
}

function postscript(kwargs: Fields): Verdict {
  const marker = strip(kwargs.text("postscript_marker", SHORT_MAX));
  const pattern = postscripts.get(marker);
  return (text) => pattern?.test(text.toLowerCase()) ?? text.toLowerCase().includes(marker.toLowerCase());
}

/** A line has a title from its first `<<` to its last `>>`, with something between that is neither a bracket nor white space. */
function hasTitle(text: string): boolean {
  return text.split("\n").some((line) => {
    const opened = line.indexOf("<<");
    const closed = line.lastIndexOf(">>");
    if (opened < 0 || closed < opened + 3) return false;
    return titled(line.slice(opened, closed + 2));
  });
}

/** What is left without the opening and the closing angles is not blank. */
function titled(found: string): boolean {
  let start = 0;
  let end = found.length;
  while (start < end && found[start] === "<") start += 1;
  while (end > start && found[end - 1] === ">") end -= 1;
  return strip(found.slice(start, end)) !== "";
}

function twoResponses(text: string): boolean {
  const parts = text.split("******");
  const [first, second] = parts.map((part) => strip(part)).filter((part) => part !== "");
  return partsOf(parts) === 2 && first !== second;
}

/** How many parts are not blank; -1 where one in the middle is, which no rule takes. */
function partsOf(parts: readonly string[]): number {
  if (parts.slice(1, -1).some((part) => strip(part) === "")) return -1;
  return parts.filter((part) => strip(part) !== "").length;
}

/** JSON as Python reads it, which takes NaN and infinities too; a fence around it is dropped. */
function isJson(text: string): boolean {
  let inner = strip(text);
  for (const prefix of ["```json", "```Json", "```JSON", "```"]) {
    if (inner.startsWith(prefix)) inner = inner.slice(prefix.length);
  }
  if (inner.endsWith("```")) inner = inner.slice(0, -3);
  const plain = strip(inner).replace(/"(?:[^"\\]|\\.)*(?:"|\\?$)|-?Infinity|NaN/gsu, (part) =>
    part.startsWith('"') ? part : "null",
  );
  try {
    JSON.parse(plain);
    return true;
  } catch {
    return false;
  }
}
