/** White space as Python's `str.strip`, `str.split` and `\s` have it; JavaScript's own set differs by some characters. */
export const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
/** Letters, digits and the underscore, as Python's `\w` has them. */
export const WORD = "[\\p{L}\\p{N}_]";

const space = new RegExp(`[${SPACE}]`, "u");
const spaces = new RegExp(`[${SPACE}]+`, "u");

/** The text without characters of a set (white space if none is given) at its two ends, in time linear in the text. */
export function strip(text: string, characters?: string): string {
  const drops = (character: string): boolean =>
    characters === undefined ? space.test(character) : characters.includes(character);
  let start = 0;
  let end = text.length;
  while (start < end && drops(text.charAt(start))) start += 1;
  while (end > start && drops(text.charAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

/** The words between white space. */
export function words(text: string): string[] {
  return text.split(spaces).filter((word) => word !== "");
}

/** A text as a pattern that matches it and nothing else. */
export function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/gu, "\\$&");
}

/** How many matches without overlap a global pattern has. */
export function countOf(text: string, pattern: RegExp): number {
  let count = 0;
  for (const _ of text.matchAll(pattern)) count += 1;
  return count;
}
