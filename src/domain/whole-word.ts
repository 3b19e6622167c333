/** Upper case first, so that letters with two lower forms become one (ß and ss, final and inner sigma). */
export function fold(text: string): string {
  return text.toUpperCase().toLowerCase();
}

/**
 * Whether a word stands in a text with no letter, digit or underscore beside it. Knuth, Morris and Pratt: no text makes it slow,
 * which a search by pattern cannot promise.
 */
export function hasWholeWord(text: string, word: string): boolean {
  const borders = bordersOf(word);
  let matched = 0;
  for (let i = 0; i < text.length; i += 1) {
    while (matched > 0 && text[i] !== word[matched]) matched = borders[matched - 1] ?? 0;
    if (text[i] === word[matched]) matched += 1;
    if (matched === word.length) {
      if (!isWordCharacter(before(text, i - word.length)) && !isWordCharacter(after(text, i + 1))) return true;
      matched = borders[matched - 1] ?? 0;
    }
  }
  return false;
}

/** For each prefix of the word, the length of its longest proper prefix that is its suffix too. */
function bordersOf(word: string): number[] {
  const borders = [0];
  for (let i = 1, length = 0; i < word.length; i += 1) {
    while (length > 0 && word[i] !== word[length]) length = borders[length - 1] ?? 0;
    if (word[i] === word[length]) length += 1;
    borders.push(length);
  }
  return borders;
}

/** The character that ends at `index`, whole where it takes two code units. */
function before(text: string, index: number): string {
  const pair = text.slice(Math.max(0, index - 1), index + 1);
  return pair.length === 2 && pair.codePointAt(0) !== pair.charCodeAt(0) ? pair : (text[index] ?? "");
}

function after(text: string, index: number): string {
  const point = text.codePointAt(index);
  return point === undefined ? "" : String.fromCodePoint(point);
}

function isWordCharacter(character: string): boolean {
  return /^[\p{L}\p{N}_]$/u.test(character);
}
