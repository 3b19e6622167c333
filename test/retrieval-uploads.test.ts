import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkCollection } from "../src/domain/retrieval-check.js";
import type { CollectionKind } from "../src/domain/retrieval-check-collection.js";
import type { RecordReport } from "../src/domain/upload-report.js";

/** Comes in pieces of seven bytes, so that no reader relies on where a piece ends. */
async function* inPieces(file: string | Uint8Array): AsyncGenerator<Uint8Array, void> {
  const bytes = typeof file === "string" ? Buffer.from(file) : file;
  for (let at = 0; at < bytes.length; at += 7) yield bytes.subarray(at, at + 7);
}

function check(kind: CollectionKind, file: string | Uint8Array): Promise<RecordReport> {
  return checkCollection(kind, inPieces(file));
}

/** The problems, as row, column and the beginning of the message. */
function told({ problems }: RecordReport): string[] {
  return problems.map(({ row, column, message }) => `${row} ${column}: ${message}`);
}

function notes({ notes: found }: RecordReport): string[] {
  return found.map(({ row, message }) => `${row}: ${message}`);
}

const HEADER = "query-id\tcorpus-id\tscore\n";
const noHeader = "0: no header row was found; the first row is read as any other";

describe("collections in the formats of BEIR, TREC, MS MARCO and query2doc", () => {
  const files: [string, CollectionKind, string, number][] = [
    ["a BEIR corpus", "CORPUS", '{"_id":"1","title":"A","text":"b","metadata":{}}\n{"_id":"2","text":"c"}\n', 2],
    [
      "a TREC corpus",
      "CORPUS",
      "<DOC>\n<DOCNO> 1 </DOCNO>\n<TEXT>\na < b\n</TEXT>\n</DOC>\n<doc><docno>2</docno>x</doc>\n",
      2,
    ],
    ["MS MARCO passages", "CORPUS", "0\tA passage\n1\tAnother\n", 2],
    ["MS MARCO documents", "CORPUS", "D1\thttp://x\tA title\tA body\n", 1],
    ["BEIR queries", "QUERIES", '{"_id":"q","text":"what"}\n', 1],
    [
      "TREC topics",
      "QUERIES",
      "<top>\n<num> Number: 301\n<title> Organized crime\n<desc> Description:\nx\n</top>\n",
      1,
    ],
    ["MS MARCO queries", "QUERIES", "1048585\twhat is paula\n", 1],
    ["BEIR judgements", "QRELS", `${HEADER}q1\td1\t1\nq1\td2\t0\n`, 2],
    ["TREC judgements", "QRELS", "301 0 FBIS3-10082 1\n301 0 FBIS3-10169 0\n", 2],
    ["judgements as JSON lines", "QRELS", '{"query-id":"q","corpus-id":"d","score":2}\n', 1],
    ["our own judgements", "QRELS", '{"query":"q","document":"d","relevance":2}\n', 1],
    ["expansions", "EXPANSIONS", '{"query_id":"q","text":"a","provider":"p"}\n{"query_id":"q","text":"b"}\n', 2],
    ["query2doc", "EXPANSIONS", '{"query_id":"q","query":"w","pseudo_doc":"a"}\n', 1],
  ];
  for (const [name, kind, file, rows] of files) {
    it(`${name} pass, with the number of their rows`, async () => {
      const report = await check(kind, file);
      assert.deepEqual(told(report), []);
      assert.deepEqual([report.rows, report.problemCount], [rows, 0]);
    });
  }
});

describe("what could change a figure is refused, with its row", () => {
  const refused: [string, CollectionKind, string | Uint8Array, string[]][] = [
    [
      "a blank in an id",
      "CORPUS",
      '{"_id":"a","text":"x"}\n{"_id":"a b","text":"x"}\n',
      ['2 _id: wanted an id of 1 to 512 characters without blanks, but got "a b"'],
    ],
    ["a blank in a judged id", "QRELS", "q 1\td1\t1\n", ["1 query-id: wanted an id of 1 to 512"]],
    ["no id", "QUERIES", '{"_id":"","text":"x"}\n', ["1 _id: wanted an id of 1 to 512"]],
    [
      "an id that came before",
      "QUERIES",
      "1\ta\n2\tb\n1\tc\n",
      ['3 id: wanted an id of its own, but row 1 has "1" too'],
    ],
    [
      "a document that came before in TREC's form",
      "CORPUS",
      "<DOC><DOCNO>1</DOCNO>a</DOC>\n<DOC><DOCNO>1</DOCNO>b</DOC>\n",
      ['2 DOCNO: wanted an id of its own, but row 1 has "1" too'],
    ],
    [
      "a pair that was judged before, whatever the code",
      "QRELS",
      `${HEADER}q\td\t1\nq\te\t1\nq\td\t0\n`,
      ['4 corpus-id: wanted a query and a document to be judged once, but row 2 judges "q d" too'],
    ],
    [
      "a code that is no integer",
      "QRELS",
      `${HEADER}q\td\t0.5\n`,
      ["2 score: wanted a relevance code, an integer from -1000 to 1000"],
    ],
    [
      "a code that is a text",
      "QRELS",
      '{"query-id":"q","corpus-id":"d","score":"1"}\n',
      ["1 score: wanted a relevance code"],
    ],
    [
      "another number of columns",
      "QRELS",
      "301 0 d1 1\n301 d2 1\n",
      ["2 null: wanted 4 columns with blanks between, but got 3"],
    ],
    ["five columns", "QRELS", "301 0 d1 1 x\n", ["1 null: wanted 3 or 4 columns with blanks between, but got 5"]],
    ["an empty query", "QUERIES", '{"_id":"q","text":" "}\n', ["1 text: wanted a text of 1 to 20000 characters"]],
    ["an empty expansion", "EXPANSIONS", '{"query_id":"q","text":""}\n', ["1 text: wanted a text of 1 to 20000"]],
    ["a field that is missing", "CORPUS", '{"_id":"q","body":"x"}\n', ["1 text: wanted a text, but got no text"]],
    [
      "a line that is no JSON",
      "CORPUS",
      '{"_id":"1","text":"a"}\n{"_id":"2","text":"b"\n',
      ["2 22: wanted a comma or }"],
    ],
    ["expansions that are no JSON lines", "EXPANSIONS", "q\ta text\n", ["1 1: wanted a value"]],
    ["bytes that are no UTF-8", "QUERIES", Buffer.from([0x31, 0x09, 0xff, 0x0a]), ["1 null: wanted UTF-8"]],
    ["NUL in a text", "CORPUS", "1\ta\0b\n", ["1 null: wanted text without NUL characters"]],
    [
      "a tag that is not closed",
      "CORPUS",
      "<DOC><DOCNO>1</DOCNO>\na\n<DOC><DOCNO>2</DOCNO>b</DOC>\n<DOC>\n",
      ["1 null: wanted </DOC> after this <DOC>", "4 null: wanted </DOC> after this <DOC>"],
    ],
    [
      "text outside of documents",
      "CORPUS",
      "<DOC><DOCNO>1</DOCNO>a</DOC>\nstray\n",
      ['2 null: wanted text within <DOC>, but got "stray"'],
    ],
    ["a topic without a number", "QUERIES", "<top><title>x</top>\n", ["1 num: wanted one <num>, but got 0"]],
    ["a file without rows", "CORPUS", "\n\n", ["0 null: wanted at least one row, but the file has none"]],
    ["a header and nothing else", "QRELS", HEADER, ["0 null: wanted at least one row, but the file has none"]],
  ];
  for (const [name, kind, file, expected] of refused) {
    it(`${name}`, async () => {
      const report = await check(kind, file);
      const found = told(report);
      assert.equal(found.length, expected.length, found.join("\n"));
      for (const [i, beginning] of expected.entries()) assert.ok(found[i]?.startsWith(beginning), found[i]);
    });
  }
});

describe("what everybody reads past alike is told and not refused", () => {
  it("a byte order mark, CRLF, blank lines and a last row without an end, each with its first row", async () => {
    const report = await check(
      "QUERIES",
      '\ufeff{"_id":"1","text":"a"}\n\n{"_id":"2","text":"b"}\r\n{"_id":"3","text":"c"}\r\n\n{"_id":"4","text":"d"}',
    );
    assert.deepEqual(told(report), []);
    assert.equal(report.rows, 4);
    assert.deepEqual(notes(report), [
      "1: a byte order mark before the first row; it is read past",
      "3: lines that end in CRLF: 2, this the first; CR is read past",
      "2: blank lines: 2, this the first; they are read past",
      "6: no line end after the last row; make sure that the file is whole",
    ]);
  });

  it("CRLF does not become part of the last column", async () => {
    const report = await check("QRELS", "q\td\t1\r\nq\te\t-1\r\n");
    assert.deepEqual(told(report), []);
    assert.ok(notes(report).includes("0: relevance codes: -1 (1), 1 (1)"));
  });

  it("a header row, or that there is none", async () => {
    assert.ok(
      notes(await check("QRELS", `${HEADER}q\td\t1\n`)).includes(
        '1: a header row, which is passed over: "query-id corpus-id score"',
      ),
    );
    assert.ok(notes(await check("QRELS", "q\td\t1\n")).includes(noHeader));
    const queries = await check("QUERIES", "qid\ttext\n1\ta\n");
    assert.equal(queries.rows, 1);
    assert.ok(notes(queries).includes('1: a header row, which is passed over: "qid text"'));
    assert.deepEqual(notes(await check("QUERIES", '{"_id":"1","text":"a"}\n')), []);
  });

  it("relevance codes with their counts, negative ones with their first row, and queries with nothing relevant", async () => {
    const report = await check("QRELS", "q1 0 a 3\nq1 0 b -1\nq2 0 a -1\nq2 0 b 0\n");
    assert.deepEqual(told(report), []);
    assert.deepEqual(
      notes(report).filter((note) => note !== noHeader),
      [
        "0: relevance codes: -1 (2), 0 (1), 3 (1)",
        "2: the negative code -1, 2 times, here first; what it means is not guessed: a submission says it with relevance.gains",
        "0: queries without a document of code 1 or more: 1 of 2",
      ],
    );
  });

  it("documents without text are kept and listed", async () => {
    const report = await check("CORPUS", '{"_id":"1","title":"","text":""}\n{"_id":"2","title":"t","text":""}\n');
    assert.deepEqual([report.rows, report.problemCount, report.leftOutCount], [2, 0, 1]);
    assert.equal(report.leftOut[0]?.row, 1);
  });
});

describe("a collection of many rows", () => {
  it("has all its problems counted and the first hundred listed", async () => {
    const report = await check("QRELS", Array.from({ length: 250 }, () => "q\td\t1\n").join(""));
    assert.deepEqual([report.rows, report.problemCount, report.problems.length], [250, 249, 100]);
  });
});
