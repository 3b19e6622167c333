import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, describe, it } from "node:test";
import { AssayClient, type Leaderboard } from "../clients/typescript/index.js";
import { leaderboardLines } from "../src/cli/leaderboard-table.js";
import { retrievalSpec } from "../src/cli/retrieval.js";
import { parseRetrievalArguments, type RetrievalOptions, retrievalUsage } from "../src/cli/retrieval-arguments.js";
import { parseRetrievalDemoArguments } from "../src/cli/retrieval-demo.js";
import { Screen } from "../src/cli/screen.js";
import { testApi } from "./support/api.js";

const folder = mkdtempSync(join(tmpdir(), "assay-retrieval-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function parsed(...args: string[]): RetrievalOptions {
  const options = parseRetrievalArguments(args);
  assert.ok(options !== "help");
  return options;
}

/** A collection in BEIR's layout, its corpus written as on Windows. */
function beir(name: string, qrels: readonly string[]): string {
  const path = join(folder, name);
  mkdirSync(join(path, "qrels"), { recursive: true });
  writeFileSync(join(path, "corpus.jsonl"), '{"_id":"d1","text":"a b"}\r\n{"_id":"d2","text":""}\r\n');
  writeFileSync(join(path, "queries.jsonl"), '{"_id":"q1","text":"a"}\n{"_id":"q2","text":"b"}\n');
  for (const [i, part] of qrels.entries()) {
    writeFileSync(join(path, "qrels", `${part}.tsv`), `query-id\tcorpus-id\tscore\nq${i + 1}\td1\t1\n`);
  }
  return path;
}

describe("the arguments of assay retrieval", () => {
  it("name a collection, and where its expansions come from", () => {
    assert.deepEqual(parsed("--collection", "planted").expansions, { kind: "PLANTED" });
    assert.deepEqual(parsed("--collection", "stdlib").expansions, { kind: "PRF" });
    assert.deepEqual(parsed("--collection", "stdlib", "--expansions", "x.jsonl").expansions, {
      kind: "FILE",
      file: resolve("x.jsonl"),
    });
    assert.deepEqual(parsed("--collection", "stdlib", "--teacher", "m", "--endpoint", "http://l/v1").expansions, {
      kind: "ENDPOINT",
      url: "http://l/v1",
      model: "m",
    });
    const options = parsed(
      "--corpus",
      "c",
      "--queries",
      "q",
      "--qrels",
      "r",
      "--gains=-1=0,1=3",
      "--split",
      "cross-fit",
    );
    assert.deepEqual(options.collection, { corpus: resolve("c"), queries: resolve("q"), qrels: resolve("r") });
    assert.deepEqual(options.gains, [
      { code: -1, gain: 0 },
      { code: 1, gain: 3 },
    ]);
    assert.equal(options.split, "CROSS_FIT");
  });

  it("take a folder in BEIR's layout with whatever judgements it has", () => {
    const test = beir("whole", ["test", "train"]);
    assert.deepEqual(parsed("--collection", test).collection, {
      corpus: join(test, "corpus.jsonl"),
      queries: join(test, "queries.jsonl"),
      qrels: join(test, "qrels", "test.tsv"),
      qrelsTrain: join(test, "qrels", "train.tsv"),
    });
  });

  it("are refused with what was wanted", () => {
    const refused: [string[], RegExp][] = [
      [[], /wanted --collection, or --corpus, --queries and --qrels, but got nothing/],
      [["--corpus", "c"], /but got c/],
      [["--collection", "planted", "--corpus", "c"], /either --collection or files of your own/],
      [["--collection", join(folder, "none")], /a folder in BEIR's layout, but got .*none without .*corpus.jsonl/],
      [["--collection", "planted", "--split", "half"], /--split: wanted one of hash, given, cross-fit/],
      [["--collection", "planted", "--gains", "1:2"], /--gains: codes with gains, as 1=3,-1=0, but got 1:2/],
      [["--collection", "planted", "--endpoint", "http://l"], /--teacher beside --endpoint/],
      [["--collection", "planted", "--teacher", "m", "--expansions", "prf"], /either --expansions or --teacher/],
      [["--collection", "planted", "--seeds", "0"], /--seeds: wanted an integer from 1 to 100/],
    ];
    for (const [args, message] of refused) {
      assert.throws(() => parseRetrievalArguments(args), { code: "INVALID_INPUT", message });
    }
    assert.throws(() => parseRetrievalDemoArguments(["--seeds", "3"]), { code: "INVALID_INPUT" });
  });

  it("are all explained by --help", () => {
    assert.equal(parseRetrievalArguments(["--help"]), "help");
    assert.equal(parseRetrievalDemoArguments(["--help"]), "help");
    for (const flag of ["collection", "corpus", "queries", "qrels", "qrels-train", "qrels-dev", "gains", "split"]) {
      assert.ok(retrievalUsage.includes(`--${flag} `), flag);
    }
    for (const flag of [
      "expansions",
      "endpoint",
      "teacher",
      "secret-env",
      "encoder",
      "seeds",
      "gate",
      "index",
      "name",
    ]) {
      assert.ok(retrievalUsage.includes(`--${flag} `), flag);
    }
  });
});

describe("assay retrieval", async () => {
  const { api, holder } = await testApi();
  const client = new AssayClient({ url: api.url, key: holder.key });

  it("uploads a collection, says how its files are written, and submits what the service accepts", async () => {
    const said: string[] = [];
    const screen = new Screen({ isTTY: false, columns: 80, write: (line: string) => said.push(line) > 0 });
    const options = parsed("--collection", beir("own", ["test", "train"]), "--seeds", "2");
    const spec = await retrievalSpec(client, options, screen);
    assert.deepEqual([spec.split, spec.seeds, spec.expansion], [{ kind: "GIVEN" }, [101, 102], { kind: "PRF" }]);
    const words = said.join("");
    for (const word of ["corpus corpus.jsonl: 2 rows", "CRLF", "documents without text: 1", "a header row"]) {
      assert.ok(words.includes(word), `${word}: ${words}`);
    }
    const { id } = await client.submitRetrievalExperiment(spec, "once");
    const again = await client.submitRetrievalExperiment(await retrievalSpec(client, options, screen), "once");
    assert.deepEqual(again, { id, replayed: true });
    const { runs } = await client.experiment(id);
    assert.equal(runs.filter(({ step }) => step === "train").length, 5 * 2 + 1);
    assert.deepEqual(runs.find(({ step }) => step === "train")?.cell, {
      __typename: "RetrievalCell",
      system: "SOFTQE",
      alpha: 1,
      fold: 0,
    });
  });
});

describe("a leaderboard in a terminal", () => {
  const estimate = { value: 0.5, items: 4, seeds: 1, interval: { level: 0.95, low: 0.4, high: 0.6, method: "X" } };
  const nothing = {
    seeds: [],
    rrAt10: null,
    recallAt100: null,
    averagePrecision: null,
    judgedAt10: null,
    seedDeviation: null,
    againstBase: null,
    groups: [],
    latency: null,
    promptTokensPerThousand: null,
    completionTokensPerThousand: null,
    pricePerThousand: null,
  };
  const leaderboard: Leaderboard = {
    verdict: "GATE_CLOSED",
    reason: "",
    summary: ["Nothing was distilled."],
    queryCount: 4,
    queriesWithoutRelevant: 0,
    rows: [
      { ...nothing, system: "SOFTQE_MIXED", alpha: 0.5, ndcgAt10: estimate },
      { ...nothing, system: "BASE", alpha: null, ndcgAt10: null },
    ],
    tests: [
      {
        candidate: { system: "SOFTQE", alpha: 1 },
        baseline: { system: "BASE", alpha: null },
        delta: { ...estimate, value: -0.1, interval: { ...estimate.interval, low: -0.2, high: 0 } },
        pValue: 0.01,
        adjustedPValue: 0.03,
        pairedTPValue: 0.01,
        wins: 1,
        ties: 2,
        losses: 3,
        minimumDetectableEffect: 0.1,
        underpowered: false,
        verdict: "WORSE",
        reason: "",
      },
    ],
    gate: [{ fold: 2, open: false, delta: 0, low: -1, high: 1, queries: 3 }],
    recoveredGain: null,
    breakEven: null,
    missing: [],
    notShown: [],
    caveats: [],
  };

  it("has a row a system, the tests with their adjusted p, closed gates and the verdict", () => {
    const text = leaderboardLines(leaderboard).join("\n");
    assert.match(text, /^SOFTQE_MIXED 0\.5 +0\.500 +\[0\.400, 0\.600\]/m);
    assert.match(text, /^BASE +- +- /m);
    assert.ok(
      text.includes("SOFTQE - BASE: -0.100 [-0.200, +0.000] (p 0.030 after Holm; 1 won, 2 tied, 3 lost): WORSE"),
    );
    assert.ok(text.includes("Gate closed in fold 2."));
    assert.ok(text.endsWith("Nothing was distilled."));
  });
});
