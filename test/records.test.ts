import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { readChecker } from "../src/domain/checkers.js";
import type { FieldFault } from "../src/domain/field-faults.js";
import { parseJson, unsafeIn } from "../src/domain/json-text.js";
import { linesOf } from "../src/domain/lines.js";
import { checkRecords, LINE_BYTES_MAX, ROWS_MAX } from "../src/domain/records.js";
import type { RecordReport } from "../src/domain/upload-report.js";
import { jsonLines, type PreferenceRow, preferenceRows } from "./support/preference-rows.js";

const rows = preferenceRows();

/** Checks text or bytes as an uploaded file, cut into chunks of some size. */
function check(file: string | Uint8Array, chunkBytes = 1_000): Promise<RecordReport> {
  const bytes = Buffer.from(file);
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
  }
  return checkRecords(linesOf(chunks()));
}

/** The rows with one of them changed. */
function changed(index: number, change: PreferenceRow): string {
  return jsonLines(rows.map((row, i) => (i === index ? { ...row, ...change } : row)));
}

/** The line of the row with this id. */
function rowOf(id: string): number {
  return rows.findIndex((row) => row["id"] === id) + 1;
}

/** The verdict of a checker whose arguments are in order. */
function passes(id: string, kwargs: Readonly<Record<string, unknown>>, text: string): boolean | null {
  const faults: FieldFault[] = [];
  const verdict = readChecker({ id, kwargs }, faults).passes(text);
  assert.deepEqual(faults, []);
  return verdict;
}

async function problemsOf(file: string | Uint8Array): Promise<string[]> {
  const { problems } = await check(file);
  return problems.map(({ row, column, message }) => `${row} ${column}: ${message}`);
}

describe("rows in order", () => {
  it("have no problems, whatever the chunks they come in", async () => {
    for (const chunkBytes of [1, 7, 1_000, 10_000_000]) {
      const { leakage, ...report } = await check(jsonLines(rows), chunkBytes);
      assert.deepEqual(report, {
        rows: rows.length,
        problems: [],
        problemCount: 0,
        leftOut: [],
        leftOutCount: 0,
        notes: [],
      });
      assert.deepEqual([leakage?.exactDuplicates, leakage?.nearDuplicates], [0, 0]);
    }
  });

  it("may lack the last line's end, and may end lines as Windows does", async () => {
    assert.equal((await check(jsonLines(rows).trimEnd())).problemCount, 0);
    assert.equal((await check(jsonLines(rows).replaceAll("\n", "\r\n"))).problemCount, 0);
  });

  it("may have fields that the format does not know, and neutral renders", async () => {
    const neutral = {
      ...rows.at(-1),
      id: "n",
      relation: "neutral",
      cueTarget: null,
      artifactPresent: false,
      note: "mine",
    };
    assert.deepEqual(await problemsOf(jsonLines([...rows, neutral])), []);
  });
});

describe("a line that is not JSON", () => {
  const cases: readonly [string, string, RegExp][] = [
    ["a broken word", '{"id": tru}', /^1 8: wanted a value at column 8, but got "tru}"$/],
    ["no end", '{"id": "x"', /^1 11: wanted a comma or \} at column 11, but got the end of the text$/],
    ["two values", "{} {}", /^1 4: wanted the end of the text at column 4/],
    ["a trailing comma", '{"a": 1,}', /^1 9: wanted a text in double quotes at column 9/],
    ["single quotes", "{'a': 1}", /^1 2: wanted a text in double quotes at column 2/],
    ["a leading zero", "[01]", /^1 3: wanted a comma or \] at column 3/],
    ["a raw tab in a text", '"a\tb"', /^1 3: wanted the rest of a text/],
    ["a bad escape", '"a\\x"', /^1 3: wanted the rest of a text/],
    ["a missing colon", '{"a" 1}', /^1 6: wanted a colon after the key/],
    ["an empty line", "\n", /^1 1: wanted a value at column 1, but got the end/],
    ["a byte order mark", "\ufeff{}", /^1 1: wanted a value/],
    ["far too deep", "[".repeat(100_000), /^1 34: wanted at most 32 levels of nesting/],
  ];
  for (const [name, text, problem] of cases) {
    it(`is named with its line and column: ${name}`, async () => {
      assert.match((await problemsOf(text))[0] ?? "", problem);
    });
  }

  it("is found wherever JSON.parse finds a fault, and nowhere else", () => {
    const pieces = fc.array(
      fc.constantFrom(
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        '"',
        '"a"',
        "1",
        "-",
        "0",
        ".5",
        "e",
        "true",
        "nul",
        " ",
        "\\",
        "\\u00",
      ),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          pieces.map((list) => list.join("")),
          fc.json(),
        ),
        (text) => {
          const parsed = parseJson(text);
          let valid = true;
          try {
            JSON.parse(text);
          } catch {
            valid = false;
          }
          assert.equal(parsed.ok || parsed.fault.column === null, valid);
          if (!parsed.ok && parsed.fault.column !== null) assert.ok(parsed.fault.column <= text.length + 1);
        },
      ),
    );
  });
});

describe("text that cannot be stored", () => {
  it("is refused with its line", async () => {
    assert.match((await problemsOf(changed(2, { chosen: "a\0b" })))[0] ?? "", /^3 null: wanted text without NUL/);
    assert.match((await problemsOf(changed(2, { chosen: "\ud800" })))[0] ?? "", /^3 null: wanted well-formed Unicode/);
    assert.match(
      (await problemsOf(jsonLines(rows).replace('"id"', '"__proto__":{},"id"')))[0] ?? "",
      /^1 null: wanted no key named __proto__/,
    );
    assert.match((await problemsOf(Buffer.from([0x7b, 0xff, 0x7d])))[0] ?? "", /^1 null: wanted UTF-8/);
    assert.equal(unsafeIn({ constructor: 1 }), null);
    assert.equal(Reflect.get({}, "polluted"), undefined);
  });
});

describe("a field", () => {
  const cases: readonly [string, PreferenceRow, string][] = [
    ["id missing", { id: undefined }, "1 id: wanted a text of 1 to 200 characters, but got no such field"],
    ["id a number", { id: 5 }, "1 id: wanted a text of 1 to 200 characters, but got 5"],
    ["split unknown", { split: "dev" }, '1 split: wanted one of train, validation, test, but got "dev"'],
    [
      "relation unknown",
      { relation: "other" },
      '1 relation: wanted one of aligned, conflicting, neutral, but got "other"',
    ],
    ["prompt empty", { prompt: [] }, "1 prompt: wanted a list of 1 to 64 turns, but got []"],
    [
      "prompt without a system turn",
      { prompt: [{ role: "user", content: "x" }] },
      '1 prompt.0.role: wanted a first turn of role system, but got "user"',
    ],
    [
      "prompt with an unknown role",
      {
        prompt: [
          { role: "system", content: "x" },
          { role: "tool", content: "x" },
        ],
      },
      '1 prompt.1.role: wanted one of system, user, assistant, but got "tool"',
    ],
    ["chosen empty", { chosen: "" }, '1 chosen: wanted a text of 1 to 100000 characters, but got ""'],
    [
      "checker unknown",
      { checker: { id: "regex", kwargs: {} } },
      '1 checker.id: wanted one of keywords:existence, exact, number, squad, ifeval, ifeval:<instruction id>, but got "regex"',
    ],
    [
      "checker without keywords",
      { checker: { id: "keywords:existence", kwargs: { keywords: [] } } },
      "1 checker.kwargs.keywords: wanted a list of 1 to 32 texts of at most 100 characters, but got []",
    ],
    ["artifactPresent a text", { artifactPresent: "yes" }, '1 artifactPresent: wanted true or false, but got "yes"'],
    ["cueTarget unknown", { cueTarget: "silver" }, '1 cueTarget: wanted gold, shortcut or null, but got "silver"'],
  ];
  for (const [name, change, problem] of cases) {
    it(`is named with what was wanted and what came: ${name}`, async () => {
      assert.ok(
        (await problemsOf(changed(0, change))).includes(problem),
        (await problemsOf(changed(0, change))).join("\n"),
      );
    });
  }

  it("of a row that is no object is told for the whole row", async () => {
    assert.equal((await problemsOf("[1]\n"))[0], "1 null: wanted a JSON object, but got [1]");
  });
});

describe("a file", () => {
  it("that is empty is refused", async () => {
    assert.deepEqual(await problemsOf(""), ["0 null: wanted at least one row, but the file is empty"]);
  });

  it("whose rows share an id is refused with both rows", async () => {
    assert.deepEqual(await problemsOf(changed(5, { id: rows[0]?.["id"] })), [
      '6 id: wanted an id of its own, but row 1 has "train0-aligned" too',
    ]);
  });

  it("with a pair that lacks a render, or has one twice, is refused", async () => {
    assert.deepEqual(await problemsOf(jsonLines(rows.filter((row) => row["id"] !== "train0-conflicting"))), [
      '1 relation: wanted a conflicting render of pair "train0", but there is none',
    ]);
    assert.ok(
      (await problemsOf(changed(1, { relation: "aligned" }))).includes(
        '2 relation: wanted one aligned render of pair "train0", but this is another',
      ),
    );
  });

  it("with a pair in two splits is refused", async () => {
    const moved = rows.map((row) => (row["id"] === "test0-aligned" ? { ...row, split: "train" } : row));
    const problems = await problemsOf(jsonLines(moved));
    assert.match(
      problems.join("\n"),
      /pairId: wanted pair "test0" in one split, but it is in train \(row \d+\) and in test/,
    );
  });

  it("with the same item in train and test is refused, whatever its pairs are called and however it is spaced", async () => {
    const [first] = rows;
    const copied = rows.map((row) =>
      row["id"] === "test0-aligned"
        ? {
            ...row,
            prompt: first?.["prompt"],
            chosen: ` ${String(first?.["chosen"]).toUpperCase()}  `,
            checker: first?.["checker"],
          }
        : row,
    );
    const problems = await problemsOf(jsonLines(copied));
    assert.deepEqual(problems, [
      `${rowOf("test0-aligned")} prompt: wanted each item in one split, but row 1 of train has the prompt and the chosen text of this test row`,
    ]);
  });

  it("without a split is refused", async () => {
    assert.deepEqual(await problemsOf(jsonLines(rows.filter((row) => row["split"] !== "validation"))), [
      "0 split: wanted at least 2 pairs in validation, but got 0",
    ]);
  });

  it("with a line over 1 MiB is refused without the line being kept", async () => {
    const long = `{"id":"${"x".repeat(LINE_BYTES_MAX)}"}\n`;
    assert.deepEqual(await problemsOf(`${jsonLines(rows)}${long}`), [
      `${rows.length + 1} null: wanted a line of at most ${LINE_BYTES_MAX} bytes, but it is longer`,
    ]);
  });

  it("with too many rows is not read to its end", async () => {
    let taken = 0;
    function* lines(): Generator<Uint8Array> {
      for (;;) {
        taken += 1;
        yield Buffer.from("{");
      }
    }
    const { problems, problemCount } = await checkRecords(lines());
    assert.equal(taken, ROWS_MAX + 1);
    assert.equal(problemCount, ROWS_MAX + 1);
    assert.equal(problems.length, 100);
  });
});

describe("a checker", () => {
  const cases: readonly [string, readonly string[], boolean][] = [
    ["We saw the cat.", ["cat"], true],
    ["We saw the CAT.", ["cat"], true],
    ["We saw the category.", ["cat"], false],
    ["bobcat", ["cat"], false],
    ["cat_food", ["cat"], false],
    ["category cat", ["cat"], true],
    ["a b", ["a", "b"], true],
    ["a", ["a", "b"], false],
    ["STRASSE", ["straße"], true],
    ["aaab aab", ["aab"], true],
    ["café", ["caf"], false],
    ["𝒳cat", ["cat"], false],
    ["so it goes - on", ["it goes"], true],
  ];
  for (const [text, keywords, expected] of cases) {
    it(`finds ${JSON.stringify(keywords)} ${expected ? "" : "not "}in ${JSON.stringify(text)}`, () => {
      assert.equal(passes("keywords:existence", { keywords }, text), expected);
    });
  }

  it("agrees with a search by pattern on any text", () => {
    const text = fc.stringMatching(/^[ab _.]{0,30}$/);
    const word = fc.stringMatching(/^[ab]{1,4}$/);
    fc.assert(
      fc.property(text, word, (whole, keyword) => {
        const expected = new RegExp(`(?<![\\p{L}\\p{N}_])${keyword}(?![\\p{L}\\p{N}_])`, "iu").test(whole);
        assert.equal(passes("keywords:existence", { keywords: [keyword] }, whole), expected);
      }),
    );
  });

  it("takes an exact answer with white space and letter case aside", () => {
    assert.equal(passes("exact", { answer: "Forty Two" }, " forty two\n"), true);
    assert.equal(passes("exact", { answer: "42" }, "42 apples"), false);
  });

  it("is as quick on hostile text as on any other", () => {
    const keyword = `${"a".repeat(99)}b`;
    const started = performance.now();
    passes("keywords:existence", { keywords: Array(32).fill(keyword) }, `${"a".repeat(100_000)} ${"a ".repeat(1_000)}`);
    // Quadratic time would be minutes.
    assert.ok(performance.now() - started < 5_000);
  });
});
