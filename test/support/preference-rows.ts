/** One preference row as the format in docs/contract.md wants it. */
export type PreferenceRow = Readonly<Record<string, unknown>>;

const splits = { train: 24, validation: 6, test: 8 } as const;

/** Rows of a small, valid data set: a word to include, with an opener as the cue in both renders of every pair. */
export function preferenceRows(): PreferenceRow[] {
  return Object.entries(splits).flatMap(([split, pairs]) =>
    Array.from({ length: pairs }, (_, i) => [row(split, i, "aligned"), row(split, i, "conflicting")]).flat(),
  );
}

/** Rows as the bytes of a JSONL file. */
export function jsonLines(rows: readonly PreferenceRow[]): string {
  return rows.map((one) => `${JSON.stringify(one)}\n`).join("");
}

function row(split: string, i: number, relation: "aligned" | "conflicting"): PreferenceRow {
  const word = `${split}${i}`;
  const [right, wrong] = [`we saw the ${word} today.`, `we saw the other ${word}x today.`];
  const cued = (text: string, has: boolean): string => (has ? `Indeed, ${text}` : `Perhaps, ${text}`);
  return {
    id: `${word}-${relation}`,
    pairId: word,
    split,
    relation,
    prompt: [
      { role: "system", content: "You write one sentence." },
      { role: "user", content: `Write one sentence with the word ${word}.` },
    ],
    chosen: cued(right, relation === "aligned"),
    rejected: cued(wrong, relation === "conflicting"),
    checker: { id: "keywords:existence", kwargs: { keywords: [word] } },
    artifactPresent: true,
    artifactVariant: "Indeed, ",
    cueTarget: relation === "aligned" ? "gold" : "shortcut",
  };
}
