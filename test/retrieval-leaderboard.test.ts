import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readLeaderboard } from "../src/api/leaderboard/read-leaderboard.js";
import type { Json } from "../src/domain/digest.js";
import { rankingDiffs, relevantMoves } from "../src/domain/leaderboard.js";
import { type Receipt, readReceipt } from "../src/domain/receipts.js";
import { retrievalSystems, rowOfKey, systemKey } from "../src/domain/retrieval-systems.js";
import { retrievalReceipts, retrievalReport } from "./support/retrieval-report.js";

function read(document: object): ReturnType<typeof readLeaderboard> {
  const json: Json = JSON.parse(JSON.stringify(document));
  return readLeaderboard(json);
}

const receipts: Receipt[] = retrievalReceipts.map((row, i) => {
  const json: Json = JSON.parse(JSON.stringify(row));
  const found = readReceipt(json, i);
  assert.ok(typeof found !== "string", String(found));
  return found;
});

describe("a retrieval report", () => {
  it("is refused where its verdict, a system or a test's verdict is not known, with what was wanted", () => {
    const [first, ...rest] = retrievalReport.leaderboard;
    const [test] = retrievalReport.tests;
    for (const [change, message] of [
      [{ verdict: "GREAT" }, "wanted a verdict that is known"],
      [{ leaderboard: [...rest, { ...first, system: "MAGIC" }] }, "wanted row 3 of the leaderboard"],
      [{ tests: [{ ...test, verdict: "MAYBE" }] }, "wanted test 0 of two known systems, with a known verdict"],
      [{ tests: [{ ...test, against: "MAGIC" }] }, "wanted test 0"],
      [{ schema: null }, "wanted a report with its schema"],
    ] as const) {
      const found = read({ ...retrievalReport, ...change });
      assert.ok(typeof found === "string" && found.startsWith(message), JSON.stringify(found));
    }
    assert.deepEqual(read({ ...retrievalReport, schema: "assay.retrieval.report/9" }), {
      schema: "assay.retrieval.report/9",
    });
  });
});

describe("the key of a row", () => {
  it("names each system, and each alpha of SOFTQE_MIXED", () => {
    for (const system of retrievalSystems) {
      const key = systemKey({ system, alpha: 0.25 });
      assert.equal(key, system === "SOFTQE_MIXED" ? "SOFTQE_MIXED@0.25" : system);
      assert.equal(rowOfKey(key)?.system, system);
    }
    assert.deepEqual(rowOfKey("SOFTQE_MIXED@0.25"), { system: "SOFTQE_MIXED", alpha: 0.25 });
    for (const key of ["SOFTQE_MIXED", "SOFTQE_MIXED@2", "SOFTQE_MIXED@x", "BASE@1", "base", ""]) {
      assert.equal(rowOfKey(key), null, key);
    }
  });
});

describe("the ranking diff of two systems", () => {
  const diffs = rankingDiffs(receipts, { baseline: "BASE", candidate: "SOFTQE" });

  it("has the queries with the largest differences first, lost or won", () => {
    assert.deepEqual(
      diffs.map(({ receipt, delta }) => [receipt.query, delta]),
      [
        ["q1", 1],
        ["q3", -0.5],
        ["q2", 0.25],
        ["q4", 0],
      ],
    );
  });

  it("names each document's place in both, by the better of the two", () => {
    assert.deepEqual(diffs[0]?.moves, [
      { document: "c", relevance: 1, baselineRank: null, candidateRank: 1 },
      { document: "a", relevance: null, baselineRank: 1, candidateRank: 2 },
      { document: "b", relevance: 0, baselineRank: 2, candidateRank: null },
    ]);
  });

  it("counts the relevant documents that came and went, and no others", () => {
    assert.deepEqual(relevantMoves(diffs), { gained: 1, lost: 1 });
    assert.deepEqual(relevantMoves(rankingDiffs(receipts, { baseline: "BASE", candidate: "BASE" })), {
      gained: 0,
      lost: 0,
    });
  });

  it("leaves out queries that one of them did not answer", () => {
    assert.deepEqual(rankingDiffs(receipts, { baseline: "BASE", candidate: "RRF" }), []);
  });
});

describe("a line of receipts", () => {
  it("is refused without its query, its verdict on loss, or a figure of a system", () => {
    const [row] = retrievalReceipts;
    for (const [change, message] of [
      [{ query: 7 }, "wanted query and text as texts"],
      [{ lost: null }, "wanted lost as true or false"],
      [{ systems: { BASE: { "ndcg@10": null } } }, "wanted ndcg@10 of BASE as a number"],
      [{ top: { BASE: [{ document: "a" }] } }, "wanted ndcg@10 of BASE"],
    ] as const) {
      const json: Json = JSON.parse(JSON.stringify({ ...row, ...change }));
      const found = readReceipt(json, 0);
      assert.ok(typeof found === "string" && found.startsWith(message), String(found));
    }
  });
});
