import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { checkUpload } from "../src/api/dataset/check.js";
import type { DatasetKind } from "../src/domain/dataset.js";
import { LeakageScan, NEAR, splitOf } from "../src/domain/leakage.js";
import { ROWS_MAX } from "../src/domain/records.js";
import type { RecordReport } from "../src/domain/upload-report.js";
import { gsm8kRows, ifevalRows, squadDocument } from "./support/user-data.js";

function check(kind: DatasetKind, file: string | Uint8Array, chunkBytes = 1_000): Promise<RecordReport> {
  const bytes = Buffer.from(file);
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
  }
  return checkUpload(kind, chunks());
}

const lines = (rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join("");

async function problemsOf(kind: DatasetKind, file: string | Uint8Array): Promise<string[]> {
  const { problems } = await check(kind, file);
  return problems.map(({ row, column, message }) => `${row} ${column}: ${message}`);
}

describe("files in order", () => {
  const files: readonly [DatasetKind, string, number][] = [
    ["GSM8K", lines(gsm8kRows(80)), 80],
    ["IFEVAL", lines(ifevalRows(80)), 80],
    ["SQUAD", JSON.stringify(squadDocument(60)), 120],
  ];
  for (const [kind, file, rows] of files) {
    it(`have no problems, whatever the chunks they come in: ${kind}`, async () => {
      for (const chunkBytes of [1, 7, 10_000_000]) {
        const report = await check(kind, file, chunkBytes);
        assert.deepEqual([report.problems, report.rows, report.leftOutCount], [[], rows, 0]);
        assert.deepEqual([report.leakage?.exactDuplicates, report.leakage?.nearDuplicates], [0, 0]);
      }
    });
  }
});

describe("a problem is named by row and column", () => {
  const gsm8k = gsm8kRows(80);
  const ifeval = ifevalRows(80);
  const at = (rows: readonly object[], change: object): string =>
    lines(rows.map((row, i) => (i === 4 ? { ...row, ...change } : row)));
  const cases: readonly [DatasetKind, string, RegExp][] = [
    ["GSM8K", at(gsm8k, { question: "" }), /^5 question: wanted a text of 1 to 20000 characters, but got ""$/],
    ["GSM8K", at(gsm8k, { answer: "It is 5." }), /^5 answer: wanted a text whose last line is #### and a number/],
    ["GSM8K", at(gsm8k, { split: "dev" }), /^5 split: wanted one of train, validation, test, but got "dev"/],
    ["GSM8K", `${lines(gsm8k)}{"question": }\n`, /^81 14: wanted a value at column 14/],
    ["GSM8K", lines(gsm8k.slice(0, 3)), /^0 split: wanted at least 16 usable rows in train, but got/],
    ["GSM8K", "", /^0 null: wanted at least one row, but the file is empty/],
    ["IFEVAL", at(ifeval, { key: 1 }), /^5 key: wanted a key of its own, but row 1 has "1" too/],
    ["IFEVAL", at(ifeval, { key: null }), /^5 key: wanted an integer or a text/],
    ["IFEVAL", at(ifeval, { instruction_id_list: [] }), /^5 instruction_id_list: wanted a list of 1 to 16 texts/],
    ["IFEVAL", at(ifeval, { kwargs: [] }), /^5 kwargs: wanted one object for each of 1 instructions/],
    ["IFEVAL", at(ifeval, { kwargs: [7] }), /^5 kwargs.0: wanted an object, but got 7/],
  ];
  for (const [kind, file, expected] of cases) {
    it(`${kind}: ${expected.source}`, async () => {
      assert.match((await problemsOf(kind, file))[0] ?? "", expected);
    });
  }

  it("and the first hundred are listed, the rest counted", async () => {
    const report = await check("GSM8K", lines(gsm8kRows(150).map((row) => ({ ...row, answer: "none" }))));
    assert.deepEqual([report.problems.length, report.problemCount], [100, 150]);
    assert.equal(report.leakage, null);
  });

  it("and a file with too many rows is left early", async () => {
    const report = await check("GSM8K", "{}\n".repeat(ROWS_MAX + 5), 100_000);
    assert.equal(report.rows, ROWS_MAX + 1);
  });
});

describe("a SQuAD file", () => {
  const changed = (change: (text: string) => string): string => change(JSON.stringify(squadDocument(60)));
  const cases: readonly [string, string, RegExp][] = [
    [
      "an answer that is elsewhere",
      changed((t) => t.replace('"answer_start":4,', '"answer_start":5,')),
      /^1 qas.0.answers.0.answer_start: wanted the place, counted in code points, where "/,
    ],
    [
      "no answer and no word of it",
      changed((t) => t.replace(/"answers":\[\{[^\]]*\]/, '"answers":[]')),
      /^1 qas.0.answers: wanted at least one answer, or is_impossible/,
    ],
    [
      "an id twice",
      changed((t) => t.replace('"id":"q1"', '"id":"q0"')),
      /^2 qas.1.id: wanted a key of its own, but row 1 has "q0" too/,
    ],
    [
      "no context",
      changed((t) => t.replace(/"context":"[^"]*"/, '"context":""')),
      /^1 context: wanted a text of 1 to 50000/,
    ],
    ["no list of articles", '{"data": 5}', /^0 null: wanted \{"data": \[articles\]\}/],
    [
      "an article without paragraphs",
      changed((t) => t.replace('"paragraphs":', '"texts":')),
      /^0 null: data.0: wanted \{"paragraphs"/,
    ],
    ["an end too early", changed((t) => t.slice(0, -10)), /^0 null: around its paragraphs: wanted/],
    [
      "no JSON inside a paragraph",
      changed((t) => t.replace('"qas":[', '"qas":[,')),
      /^1 null: in its paragraph: wanted a value/,
    ],
  ];
  for (const [name, file, expected] of cases) {
    it(`is refused for ${name}`, async () => {
      assert.match((await problemsOf("SQUAD", file))[0] ?? "", expected);
    });
  }

  it("counts offsets in code points", async () => {
    const text = JSON.stringify(squadDocument(60))
      .replace('"context":"', '"context":"\ud83c\udf0a ')
      .replace('"answer_start":4,', '"answer_start":6,');
    assert.deepEqual(
      (await problemsOf("SQUAD", text)).filter((problem) => problem.startsWith("1 ")),
      [],
    );
  });

  it("is read a paragraph at a time: one that is too long is refused without being kept", async () => {
    const long = JSON.stringify({ data: [{ paragraphs: [{ context: "x".repeat(3_000_000), qas: [] }] }] });
    assert.match((await problemsOf("SQUAD", long))[0] ?? "", /^1 null: wanted a paragraph in UTF-8 of at most/);
  });
});

describe("rows that no injection can use", () => {
  it("are named with the reason, and are no problem", async () => {
    const hard = {
      ...ifevalRows(81)[80],
      instruction_id_list: ["length_constraints:number_sentences"],
      kwargs: [{ num_sentences: 3 }],
    };
    const ifeval = await check("IFEVAL", lines([...ifevalRows(80), hard]));
    assert.deepEqual([ifeval.problemCount, ifeval.leftOutCount, ifeval.leftOut[0]?.row], [0, 1, 81]);
    assert.match(
      ifeval.leftOut[0]?.message ?? "",
      /number_sentences cannot be checked offline: it counts sentences by nltk/,
    );
    const document = JSON.stringify(squadDocument(60)).replace(
      /"answers":\[\{[^\]]*\]/,
      '"is_impossible":true,"answers":[]',
    );
    const squad = await check("SQUAD", document);
    assert.deepEqual([squad.problemCount, squad.leftOutCount, squad.leftOut[0]?.row], [0, 1, 1]);
  });
});

describe("leakage between train and test", () => {
  const question =
    "Ann has twelve apples and gives four of them to her brother who lives next door and likes apples very much today";

  it("is found where a text repeats, exactly or nearly, and not where it does not", () => {
    const scan = new LeakageScan();
    scan.add(question, 1, "train");
    scan.add(`${question.toUpperCase()}  `, 2, "test");
    scan.add(question.replace("today", "indeed"), 3, "validation");
    scan.add("Bob walks nine miles to the market on each of five days and then rests for two days at home", 4, "test");
    scan.add("A train leaves the old station at noon and comes back after seven hours with ninety people", 5, "train");
    const found = scan.finish();
    assert.deepEqual([found.exactDuplicates, found.nearDuplicates, found.complete], [1, 1, true]);
    assert.deepEqual(
      found.examples.map(({ row, otherRow }) => [row, otherRow]),
      [
        [2, 1],
        [1, 3],
      ],
    );
    assert.ok((found.examples[1]?.similarity ?? 0) >= NEAR);
  });

  it("finds the same pairs as a comparison of all with all", () => {
    const words = "sea sand wave gull rope sail mast deck crew port".split(" ");
    const texts = Array.from({ length: 120 }, (_, i) =>
      Array.from(
        { length: 14 },
        (_, j) => words[((i % 20) * 7 + j * (1 + (i % 3)) + (j === i % 17 ? i : 0)) % 10] ?? "",
      ).join(" "),
    );
    const triples = (text: string): Set<string> => {
      const parts = text.split(" ");
      return new Set(parts.slice(2).map((_, i) => parts.slice(i, i + 3).join(" ")));
    };
    const splitAt = (i: number): "train" | "test" => (i % 2 === 0 ? "train" : "test");
    const near = texts.filter((text, i) => {
      if (splitAt(i) !== "train" || (texts.indexOf(text) < i && splitAt(texts.indexOf(text)) === "train")) return false;
      return texts.some((other, j) => {
        const [a, b] = [triples(text), triples(other)];
        const shared = [...a].filter((one) => b.has(one)).length;
        return splitAt(j) === "test" && other !== text && shared / (a.size + b.size - shared) >= NEAR;
      });
    });
    const scan = new LeakageScan();
    for (const [i, text] of texts.entries()) scan.add(text, i, splitAt(i));
    assert.ok(near.length > 0 && near.length < 60);
    assert.equal(scan.finish().nearDuplicates, near.length);
  });

  it("is told of an upload that names its parts, and equal texts that name none are never parted", async () => {
    const planted = gsm8kRows(80).map((row, i) =>
      i === 0 ? { ...row, split: "test" } : i === 1 ? { ...gsm8kRows(1)[0], split: "train" } : row,
    );
    const { leakage } = await check("GSM8K", lines(planted));
    assert.equal(leakage?.exactDuplicates, 1);
    assert.equal(splitOf("  A  question "), splitOf("a question"));
  });

  it("ends in time on texts that are all alike", () => {
    const scan = new LeakageScan();
    for (let i = 0; i < 6_000; i += 1) scan.add(`${question} ${i}`, i, i % 2 === 0 ? "train" : "test");
    const started = performance.now();
    assert.equal(scan.finish().nearDuplicates, 3_000);
    assert.ok(performance.now() - started < 20_000);
  });
});

describe("public files", { skip: !existsSync("../shared/data") }, () => {
  const files: readonly [DatasetKind, string, number][] = [
    ["GSM8K", "gsm8k/test.jsonl", 1319],
    ["IFEVAL", "ifeval/input_data.jsonl", 541],
    ["SQUAD", "squad/dev-v2.0-8-articles.json", 2993],
    ["SQUAD", "squad/xquad.en-40-articles-v1.1.json", 997],
  ];
  for (const [kind, file, rows] of files) {
    it(`are in order: ${file}`, async () => {
      const report = await check(kind, readFileSync(`../shared/data/${file}`), 65_536);
      assert.deepEqual([report.problems, report.rows], [[], rows]);
    });
  }
});
