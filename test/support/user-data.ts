const names = ["Ann", "Bob", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana", "Ivo", "Jude"] as const;
const things = ["apples", "bricks", "candles", "drums", "eggs", "flutes", "glasses", "hats"] as const;
const places = ["market", "harbour", "library", "station", "castle", "mill", "forest"] as const;

/** Different parts of a sentence for each index, so that no two rows are near duplicates. */
function parts(index: number): readonly [string, string, string] {
  return [
    names[index % names.length] ?? "",
    things[Math.floor(index / 3) % things.length] ?? "",
    places[Math.floor(index / 5) % places.length] ?? "",
  ];
}

/** Rows in the format of GSM8K. */
export function gsm8kRows(count: number): Record<string, unknown>[] {
  return Array.from({ length: count }, (_, i) => {
    const [name, thing, place] = parts(i);
    const [a, b] = [i + 2, (i * 7) % 50];
    return {
      question: `${name} has ${a} ${thing} and finds ${b} at the ${place}. How many ${thing} has ${name}?`,
      answer: `${a} + ${b} = <<${a}+${b}=${a + b}>>${a + b}\n#### ${a + b}`,
    };
  });
}

/** Rows in the format of IFEval. */
export function ifevalRows(count: number): Record<string, unknown>[] {
  const kinds: readonly [string, string, object][] = [
    ["punctuation:no_comma", "Use no commas.", {}],
    ["change_case:english_lowercase", "Use lowercase letters only.", {}],
    ["keywords:existence", "Use the word rope.", { keywords: ["rope"] }],
  ];
  return Array.from({ length: count }, (_, i) => {
    const [name, thing, place] = parts(i);
    const [id, asked, kwargs] = kinds[i % kinds.length] ?? ["", "", {}];
    return {
      key: i + 1,
      prompt: `Write to ${name} ${i} about ${thing} from the ${place} ${i * 3}. ${asked}`,
      instruction_id_list: [id],
      kwargs: [kwargs],
    };
  });
}

/** A document in the format of SQuAD, with two questions a paragraph. */
export function squadDocument(paragraphs: number): object {
  const made = Array.from({ length: paragraphs }, (_, i) => {
    const [name, thing, place] = parts(i);
    const person = `${name}${i}`;
    const context = `The ${person} sold ${i + 3} ${thing} at the ${place}${i}. Later ${thing}${i} came from Rome${i} by ship ${i * 11}.`;
    const answer = (text: string): object => ({ answer_start: context.indexOf(text), text });
    return {
      context,
      qas: [
        { answers: [answer(person)], id: `q${2 * i}`, question: `Who sold ${thing} at the ${place}${i}?` },
        { answers: [answer(`Rome${i}`)], id: `q${2 * i + 1}`, question: `Where did ${thing}${i} come from?` },
      ],
    };
  });
  return {
    data: [
      { paragraphs: made.slice(0, 5), title: "one" },
      { paragraphs: made.slice(5), title: "two" },
    ],
    version: "v2.0",
  };
}
