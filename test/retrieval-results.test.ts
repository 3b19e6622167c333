import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { AssayClient, AssayRequestError } from "../clients/typescript/index.js";
import { Submitter } from "../src/store/submit.js";
import { ask, idOf, testApi } from "./support/api.js";
import { beginUpload, completeUpload, ended, putPart, startWork } from "./support/fixture.js";
import { jsonLines } from "./support/preference-rows.js";
import { data, specFor, submit } from "./support/requests.js";
import { retrievalReceipts, retrievalReport } from "./support/retrieval-report.js";
import { submission, testPlan } from "./support/store.js";

const test = await testApi();
const { holder } = test;
const submitter = new Submitter(test.databases.app);
const client = new AssayClient({ url: test.api.url, key: holder.key });
await startWork(test, async ({ spec, make }) => {
  if (spec["makes"] === "student") await make("student.zip", "ENCODER", `student ${spec["system"]} ${spec["seed"]}`);
  if (spec["makes"] !== "report") return { metrics: {} };
  await make("report.json", "REPORT_JSON", JSON.stringify({ ...retrievalReport, schema: spec["schema"] }));
  await make("queries.jsonl", "ITEMS_EXPORT", jsonLines(retrievalReceipts));
  await make("run.trec", "TREC_RUN", "q1 Q0 c 1 1.000000 SOFTQE\n");
  await make("qrels.trec", "TREC_QRELS", "q1 0 c 1\n");
  return { metrics: { report: true } };
});

/** An experiment with three students and a report, worked on to its end. */
async function experiment(schema = retrievalReport.schema): Promise<string> {
  const students = ["CONTRASTIVE", "SOFTQE", "SOFTQE"];
  const plan = testPlan([
    ...students.map((system, seed) => ({ stage: 0, spec: { makes: "student", system, seed, schema } })),
    { stage: 1, spec: { makes: "report", schema } },
  ]);
  const runs = plan.runs.map((run, i) => ({
    ...run,
    cell: students[i] === undefined ? null : { system: students[i] },
  }));
  const planned = { ...plan, capability: "RETRIEVAL" as const, runs };
  const { experimentId } = await submitter.submit(submission(holder.caller, planned));
  const id = idOf("Experiment", experimentId);
  const state = await ended(test, holder, id);
  assert.equal(state, "SUCCEEDED", JSON.stringify((await client.experiment(id)).runs));
  return id;
}

function code(wanted: string): (thrown: unknown) => boolean {
  return (thrown) => thrown instanceof AssayRequestError && thrown.code === wanted;
}

describe("the results of a retrieval experiment", () => {
  let id = "";
  before(async () => {
    id = await experiment();
  });

  it("have a leaderboard with every figure of the report, its tests, gate and verdict", async () => {
    const found = await client.leaderboard(id);
    assert.ok(found !== null);
    const { rows, tests, gate, recoveredGain, breakEven, missing, ...words } = found;
    assert.deepEqual(words, {
      verdict: "HELPED",
      reason: retrievalReport.reason,
      summary: retrievalReport.summary,
      queryCount: 4,
      queriesWithoutRelevant: 1,
      notShown: retrievalReport.notShown,
      caveats: retrievalReport.caveats,
    });
    assert.deepEqual(
      rows.map(({ system, alpha, ndcgAt10, recallAt100 }) => [system, alpha, ndcgAt10?.value, recallAt100]),
      [
        ["BASE_EXPANDED", null, 0.9, null],
        ["SOFTQE", 1, 0.8, null],
        ["SOFTQE_MIXED", 0.5, 0.7, null],
        ["BASE", null, 0.4, null],
      ],
    );
    const [expanded, softqe, , base] = rows;
    assert.deepEqual(expanded?.latency?.total, { p50: 10, p95: 14 });
    assert.deepEqual([expanded?.promptTokensPerThousand, expanded?.pricePerThousand], [70000, 0.12]);
    assert.deepEqual([softqe?.seeds, softqe?.seedDeviation], [[101, 102, 103], 0.01]);
    assert.deepEqual(
      softqe?.groups.map(({ group, ndcgAt10, delta }) => [group, ndcgAt10?.value, delta?.seeds]),
      [["seen", 0.9, 3]],
    );
    assert.deepEqual([base?.againstBase, base?.latency, base?.promptTokensPerThousand], [null, null, null]);
    assert.deepEqual(softqe?.ndcgAt10?.interval.method, "BOOTSTRAP_PERCENTILE");
    const [tested] = tests;
    assert.deepEqual(tested?.candidate, { system: "SOFTQE", alpha: 1 });
    assert.deepEqual(tested?.baseline, { system: "BASE", alpha: null });
    assert.deepEqual([tested?.pValue, tested?.adjustedPValue, tested?.pairedTPValue], [0.001, 0.003, 0.002]);
    assert.deepEqual([tested?.wins, tested?.ties, tested?.losses, tested?.underpowered], [2, 1, 1, true]);
    assert.equal(tested?.verdict, "BETTER");
    assert.deepEqual(gate, retrievalReport.gate);
    assert.deepEqual(recoveredGain, retrievalReport.recoveredGain);
    assert.deepEqual(breakEven, { queries: 12000, reason: "at the declared prices" });
    assert.deepEqual(missing, retrievalReport.missing);
  });

  it("have a receipt of every test query, and can be sieved to those that were lost", async () => {
    const all = await client.queryReceipts(id);
    assert.deepEqual(
      all.map(({ query }) => query),
      ["q1", "q2", "q3", "q4"],
    );
    const [first] = all;
    assert.deepEqual(
      [first?.text, first?.group, first?.expansion, first?.latencySavedMs],
      ["what is q1", "seen", "about q1", 4.5],
    );
    assert.deepEqual(
      first?.scores.map(({ system, alpha, ndcgAt10, delta }) => [system, alpha, ndcgAt10, delta]),
      [
        ["BASE", null, 0, null],
        ["SOFTQE", 1, 1, 1],
        ["SOFTQE_MIXED", 0.5, 0.5, 0.5],
      ],
    );
    assert.deepEqual(first?.scores[1]?.top[0], { document: "c", score: 1, relevance: 1 });
    const queriesOf = async (filter: object): Promise<string[]> =>
      (await client.queryReceipts(id, filter)).map(({ query }) => query);
    assert.deepEqual(await queriesOf({ lost: true }), ["q3"]);
    assert.deepEqual(await queriesOf({ lost: false, group: "unseen" }), ["q4"]);
    assert.deepEqual(await queriesOf({ query: "q2" }), ["q2"]);
  });

  it("are walked page by page in both directions", async () => {
    const page = `query ($id: ID!, $after: String, $before: String, $first: Int, $last: Int) { experiment(id: $id) {
      ... on RetrievalExperiment { queries(first: $first, after: $after, last: $last, before: $before) {
        edges { node { query } } pageInfo { hasNextPage hasPreviousPage endCursor startCursor } } } } }`;
    const pageWith = async (
      args: object,
    ): Promise<{ edges: { node: { query: string } }[]; pageInfo: Record<string, string> }> =>
      (await data(test, holder, page, { id, ...args })).experiment.queries;
    const one = await pageWith({ first: 3 });
    assert.deepEqual([one.edges.length, one.pageInfo["hasNextPage"]], [3, true]);
    const two = await pageWith({ first: 3, after: one.pageInfo["endCursor"] });
    assert.deepEqual(
      two.edges.map(({ node }) => node.query),
      ["q4"],
    );
    const back = await pageWith({ last: 2, before: two.pageInfo["startCursor"] });
    assert.deepEqual(
      back.edges.map(({ node }) => node.query),
      ["q2", "q3"],
    );
  });

  it("hold the rankings of two systems against one another, over all queries and for one", async () => {
    const request = { baseline: { system: "BASE" }, candidate: { system: "SOFTQE" } } as const;
    const diff = await client.rankingDiff(id, request);
    assert.ok(diff !== null);
    const { queries, ...sums } = diff;
    assert.deepEqual(sums, {
      baseline: { system: "BASE", alpha: null },
      candidate: { system: "SOFTQE", alpha: 1 },
      queryCount: 4,
      delta: 0.1875,
      wins: 2,
      ties: 1,
      losses: 1,
      relevantGained: 1,
      relevantLost: 1,
    });
    assert.deepEqual(
      queries.map(({ query }) => query),
      ["q1", "q3", "q2", "q4"],
    );
    const single = await client.rankingDiff(id, { ...request, query: "q2" });
    assert.deepEqual(single?.queries[0]?.documents, [
      { document: "d", relevance: 1, baselineRank: 2, candidateRank: 1 },
      { document: "a", relevance: null, baselineRank: 1, candidateRank: 2 },
    ]);
    const mixed = await client.rankingDiff(id, { ...request, candidate: { system: "SOFTQE_MIXED" } });
    assert.equal(mixed?.candidate.alpha, 0.5, "the one row of a system needs no alpha");
  });

  it("name the rows and queries that there are where another is asked for", async () => {
    const refused = (candidate: object, query: string | null): Promise<unknown> =>
      ask({ api: test.api, key: holder.key }, DIFF, { id, candidate, query }).then(({ body }) => body.errors?.[0]);
    const DIFF = `query ($id: ID!, $candidate: RetrievalRowInput!, $query: String) { experiment(id: $id) {
      ... on RetrievalExperiment { rankingDiff(baseline: { system: BASE }, candidate: $candidate, query: $query) { delta } } } }`;
    assert.match(
      JSON.stringify(await refused({ system: "RRF" }, null)),
      /one of the rows BASE, SOFTQE, SOFTQE_MIXED@0.5.*INVALID_INPUT/,
    );
    assert.match(JSON.stringify(await refused({ system: "SOFTQE" }, "q9")), /the id of a test query.*INVALID_INPUT/);
  });

  it("are exported as TREC files, receipts, and the student of SOFTQE that comes first in the plan", async () => {
    const text = async (format: "TREC_RUN" | "TREC_QRELS" | "ITEMS_EXPORT" | "ENCODER"): Promise<string> =>
      client.artifactText(await client.exportExperiment(id, format));
    assert.equal(await text("TREC_RUN"), "q1 Q0 c 1 1.000000 SOFTQE\n");
    assert.equal(await text("TREC_QRELS"), "q1 0 c 1\n");
    assert.equal(await text("ITEMS_EXPORT"), jsonLines(retrievalReceipts));
    assert.equal(await text("ENCODER"), "student SOFTQE 1");
    await assert.rejects(client.exportExperiment(id, "LM_EVAL_JSON"), code("UNSUPPORTED_COMBINATION"));
  });

  it("are nobody else's", async () => {
    const other = new AssayClient({ url: test.api.url, key: (await test.newHolder()).key });
    await assert.rejects(other.leaderboard(id), code("NOT_FOUND"));
    await assert.rejects(other.queryReceipts(id), code("NOT_FOUND"));
    await assert.rejects(other.exportExperiment(id, "TREC_RUN"), code("NOT_FOUND"));
  });
});

describe("results that are not there", () => {
  it("are a typed error where the report is of another version, and none before there is one", async () => {
    await assert.rejects(
      client.leaderboard(await experiment("assay.retrieval.report/0")),
      code("UNSUPPORTED_COMBINATION"),
    );
    const unfinished = testPlan([{ stage: 0 }, { stage: 1 }]);
    const { experimentId } = await submitter.submit(
      submission(holder.caller, { ...unfinished, capability: "RETRIEVAL" }),
    );
    const id = idOf("Experiment", experimentId);
    await ended(test, holder, id);
    assert.equal(await client.leaderboard(id), null);
    assert.deepEqual(await client.queryReceipts(id), []);
    assert.equal(await client.rankingDiff(id, { baseline: { system: "BASE" }, candidate: { system: "SOFTQE" } }), null);
  });

  it("are refused with the reason where the experiment is of another capability", async () => {
    const { experiment: accepted } = await submit(test, holder, {
      spec: await specFor(test, holder),
      idempotencyKey: "robust",
    });
    await assert.rejects(client.leaderboard(accepted.id), code("UNSUPPORTED_COMBINATION"));
  });
});

describe("uploads of a collection", () => {
  async function uploaded(kind: string, text: string): Promise<ReturnType<typeof completeUpload>> {
    const bytes = Buffer.from(text);
    const begun = await beginUpload(test, holder, bytes, { kind, name: `my ${kind}` });
    await putPart(holder, begun.parts[0].url, bytes);
    return completeUpload(test, holder, { uploadId: begun.uploadId });
  }

  it("become versions with notes of how they are written, or name each problem with its row", async () => {
    const { version } = await uploaded("QRELS", "q1 0 d1 1\r\nq1 0 d2 -1\r\n");
    const { rows, validation } = (
      await data(
        test,
        holder,
        "query ($id: ID!) { node(id: $id) { ... on DatasetVersion { rows validation { ok notes { row message } } } } }",
        {
          id: version.id,
        },
      )
    ).node;
    assert.deepEqual([rows, validation.ok], [2, true]);
    const notes = JSON.stringify(validation.notes);
    for (const word of ["CRLF", "no header row", "relevance codes: -1 (1), 1 (1)", "negative code -1"]) {
      assert.ok(notes.includes(word), `${word}: ${notes}`);
    }
    const { version: none, errors } = await uploaded("CORPUS", '{"_id":"a b","text":"x"}\n');
    assert.equal(none, null);
    assert.deepEqual([errors[0].code, errors[0].validation.problems[0].row], ["DATASET_INVALID", 1]);
  });

  it("keep to the kind of their data set", async () => {
    const { errors } = await beginUpload(test, holder, Buffer.from("x"), { kind: "CORPUS", name: "my QRELS" });
    assert.deepEqual([errors[0].code, errors[0].path], ["INVALID_INPUT", ["input", "kind"]]);
    assert.match(
      errors[0].message,
      /wanted QRELS, as the other versions of data set \\?"my QRELS\\?", but got "CORPUS"/,
    );
  });

  it("are no data of a robustness experiment", async () => {
    const { version } = await uploaded("QUERIES", '{"_id":"q","text":"what"}\n');
    const spec = { ...(await specFor(test, holder)), datasetVersionId: version.id };
    const { errors } = await submit(test, holder, { spec, idempotencyKey: "wrong kind" });
    assert.deepEqual(errors[0].path, ["input", "spec", "datasetVersionId"]);
    assert.match(errors[0].message, /kind PREFERENCE, GSM8K, IFEVAL, SQUAD, but got "QUERIES"/);
  });
});
