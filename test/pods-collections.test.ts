import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { checkCollection } from "../src/domain/retrieval-check.js";
import type { CollectionKind } from "../src/domain/retrieval-check-collection.js";
import { projectFolder } from "../src/embedded/project.js";

const folder = mkdtempSync(join(tmpdir(), "assay-collections-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const header = "query-id\tcorpus-id\tscore\n";
/** Files that are in order, and files that are not: both readers must say the same. */
const files: readonly (readonly [CollectionKind, string])[] = [
  ["CORPUS", '{"_id":"1","title":"A","text":"b","metadata":{}}\n{"id":"2","text":""}\n'],
  ["CORPUS", '\ufeff{"_id":"1","text":"b"}\r\n\r\n{"_id":"2","text":"c"}'],
  ["CORPUS", '{"_id":"a b","text":"x"}\n'],
  ["CORPUS", '{"_id":"a\\u00a0b","text":"x"}\n'],
  ["CORPUS", '{"_id":"1","text":"a"}\n{"_id":"1","text":"b"}\n'],
  ["CORPUS", '{"_id":1,"text":"a"}\n'],
  ["CORPUS", '{"_id":"1","title":null,"text":"a"}\n'],
  ["CORPUS", '{"_id":"1","title":7,"text":"a"}\n'],
  ["CORPUS", '{"_id":"1"}\n'],
  ["CORPUS", '{"_id":"1","text":"a"\n'],
  ["CORPUS", "[1]\n"],
  ["CORPUS", "<DOC>\n<DOCNO> 1 </DOCNO>\n<TEXT>a &amp; b</TEXT>\n</DOC>\n<doc id='x'><docno>2</docno>x</doc>\n"],
  ["CORPUS", "<DOC><DOCNO>1</DOCNO>a\n<DOC><DOCNO>2</DOCNO>b</DOC>\n"],
  ["CORPUS", "<DOC><DOCNO>1</DOCNO>a</DOC>\n<DOC>\n"],
  ["CORPUS", "<DOC>a</DOC>\n"],
  ["CORPUS", "<DOC><DOCNO>1 2</DOCNO>a</DOC>\n"],
  ["CORPUS", "0\tA passage\n1\tAnother\n"],
  ["CORPUS", "id\ttext\n1\tAnother\n"],
  ["CORPUS", "D1\thttp://x\tA title\tA body\n"],
  ["CORPUS", "0\tA\tb\n1\tAnother\n"],
  ["CORPUS", "just text\n"],
  ["QUERIES", '{"_id":"q","text":"what","group":"seen"}\n'],
  ["QUERIES", '{"_id":"q","text":"what","group":7}\n'],
  ["QUERIES", '{"_id":"q","text":" "}\n'],
  ["QUERIES", "<top>\n<num> Number: 301\n<title> Organized crime\n<desc> Description:\nx\n</top>\n"],
  ["QUERIES", "<top>\n<title> Organized crime\n</top>\n"],
  ["QUERIES", "<top>\n<num> 1\n</top>\n"],
  ["QUERIES", "1048585\twhat is paula\n"],
  ["QUERIES", "1048585\t\n"],
  ["QUERIES", "1\ta\tb\n"],
  ["QRELS", `${header}q1\td1\t1\nq1\td2\t0\n`],
  ["QRELS", "q1\td1\t1\r\nq1\td2\t-1\r\n"],
  ["QRELS", "301 0 FBIS3-10082 1\n301   0  FBIS3-10169 0\n"],
  ["QRELS", "301 0 d1 1\n301 d2 1\n"],
  ["QRELS", `${header}q\td\t1\nq\td\t1\n`],
  ["QRELS", `${header}q\td\t0.5\n`],
  ["QRELS", `${header}q\td\t5000\n`],
  ["QRELS", `${header}q\td e\t1\n`],
  ["QRELS", "q\td\t1\nquery-id\tcorpus-id\tscore\n"],
  ["QRELS", '{"query-id":"q","corpus-id":"d","score":2}\n'],
  ["QRELS", '{"query":"q","document":"d","relevance":2}\n'],
  ["QRELS", '{"query-id":"q","corpus-id":"d","score":true}\n'],
  ["QRELS", "<q> 0 d 1\n"],
  ["EXPANSIONS", '{"query_id":"q","text":"a","provider":"p"}\n{"query_id":"q","text":"b"}\n'],
  ["EXPANSIONS", '{"query_id":"q","query":"w","pseudo_doc":"a"}\n'],
  ["EXPANSIONS", '{"query_id":"q","text":""}\n'],
  ["EXPANSIONS", "q\ta\n"],
  ["CORPUS", "\n\n"],
];

async function* bytesOf(text: string): AsyncGenerator<Uint8Array, void> {
  yield Buffer.from(text);
}

describe("the check at upload and the pod's readers", () => {
  it("take and refuse the same files, and count the same rows", async () => {
    const named = files.map(([kind, text], i) => {
      const path = join(folder, String(i));
      writeFileSync(path, text);
      return { kind, path };
    });
    const root = projectFolder();
    const read: unknown = JSON.parse(
      execFileSync(join(root, ".venv", "bin", "python"), ["-B", "-m", "tests.read_collections"], {
        cwd: join(root, "pods"),
        input: JSON.stringify(named),
        encoding: "utf8",
      }),
    );
    assert.ok(Array.isArray(read) && read.length === files.length);
    const differences: string[] = [];
    for (const [i, [kind, text]] of files.entries()) {
      const { problemCount, problems, rows } = await checkCollection(kind, bytesOf(text));
      const checked = problemCount === 0 ? rows : null;
      if (checked !== read[i]) {
        const said = checked ?? problems[0]?.message;
        differences.push(`${kind} ${JSON.stringify(text)}: check ${said}, pod ${read[i]}`);
      }
    }
    assert.deepEqual(differences, []);
  });
});
