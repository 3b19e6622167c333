import assert from "node:assert/strict";
import { describe, it, mock } from "node:test";
import pg from "pg";
import { testApi } from "./support/api.js";
import { data, ERRORS, specFor, submit } from "./support/requests.js";

const test = await testApi();
const { holder, newKeyOf } = test;

describe("an experiment", () => {
  it("is accepted with its grid and stands in queries at once", async () => {
    const spec = await specFor(test, holder);
    const payload = await submit(test, holder, { spec, idempotencyKey: "accept", clientMutationId: "mine" });
    assert.deepEqual(payload.errors, []);
    assert.equal(payload.replayed, false);
    assert.equal(payload.clientMutationId, "mine");
    assert.equal(payload.experiment.state, "QUEUED");
    // 1 prepare, BASE, SFT at 0 .1 .9, DPO at 0 .1 .9 1, report.
    assert.deepEqual(payload.experiment.progress, { completed: 0, total: 10 });
    assert.deepEqual(payload.experiment.grid, {
      methods: ["SFT", "DPO"],
      tasks: ["KEYWORD_INCLUSION"],
      artifacts: ["FEATURE_AMBIGUITY"],
      spuriousness: [0.1, 0.9],
      seeds: [101],
    });
    const { experiment } = await data(
      test,
      holder,
      `query ($id: ID!) { experiment(id: $id) {
        __typename id name capability createdAt endedAt cancelReason state specDigest
        project { id slug } createdBy { __typename id displayName ... on ServiceAccount { scopes project { id } } }
        usage { wallSeconds cpuSeconds gpuSeconds } report { id }
        runs(first: 100) { edges { node {
          id step stage seed state stateReason digest partial failure { code } attempts { number } progress { stage }
          cell { ... on RobustnessCell { method task artifact spuriousness model { digest name } } }
          metrics { name } usage { cpuSeconds } experiment { id }
          provenance { specDigest datasetDigests modelDigests codeDigest seeds precision threads }
          artifacts(first: 1) { edges { node { id } } } events(first: 5) { edges { node { sequence kind state } } }
        } } }
        artifacts(first: 1) { edges { node { id } } }
      } }`,
      { id: payload.experiment.id },
    );
    assert.equal(experiment.__typename, "RobustnessExperiment");
    assert.equal(experiment.createdBy.__typename, "ServiceAccount");
    assert.deepEqual(experiment.usage, { wallSeconds: 0, cpuSeconds: 0, gpuSeconds: 0 });
    const runs = experiment.runs.edges.map((edge: { node: Record<string, unknown> }) => edge.node);
    assert.deepEqual(
      runs.map((run: { step: string; state: string }) => `${run.step} ${run.state}`),
      ["prepare QUEUED", ...Array(8).fill("train WAITING"), "report WAITING"],
    );
    assert.deepEqual(runs[1].cell, {
      method: "BASE",
      task: "KEYWORD_INCLUSION",
      artifact: "FEATURE_AMBIGUITY",
      spuriousness: null,
      model: { digest: runs[1].provenance.modelDigests[0], name: "SmolLM2" },
    });
    assert.equal(runs[0].cell, null);
    assert.deepEqual(runs[0].provenance.seeds, [101]);
    assert.equal(runs[0].provenance.codeDigest, "c".repeat(64));
    assert.equal(runs[0].experiment.id, payload.experiment.id);
    assert.deepEqual(
      runs[0].events.edges.map((edge: { node: object }) => edge.node),
      [{ sequence: 2, kind: "STATE", state: "QUEUED" }],
    );
  });

  it("sent again under the same key is the same experiment, and nothing is stored twice", async () => {
    const spec = { ...(await specFor(test, holder)), name: "Sent again" };
    const first = await submit(test, holder, { spec, idempotencyKey: "again" });
    const more = await Promise.all([1, 2, 3].map(() => submit(test, holder, { spec, idempotencyKey: "again" })));
    for (const payload of more) {
      assert.equal(payload.replayed, true);
      assert.equal(payload.experiment.id, first.experiment.id);
    }
    const stored = await test.databases.query<{ n: number }>(
      "select count(*)::int as n from experiment where tenant_id = $1 and name = 'Sent again'",
      [holder.caller.tenantId],
    );
    assert.equal(stored[0]?.n, 1);
  });

  it("under a used key with another request is a conflict that tells when the key was first seen", async () => {
    const spec = await specFor(test, holder);
    await submit(test, holder, { spec, idempotencyKey: "conflict" });
    const payload = await submit(test, holder, { spec: { ...spec, seeds: [102] }, idempotencyKey: "conflict" });
    assert.equal(payload.experiment, null);
    assert.equal(payload.errors.length, 1);
    assert.equal(payload.errors[0].__typename, "IdempotencyConflictError");
    assert.equal(payload.errors[0].code, "IDEMPOTENCY_CONFLICT");
    assert.deepEqual(payload.errors[0].path, ["input", "idempotencyKey"]);
    assert.ok(Date.parse(payload.errors[0].firstSeenAt) <= Date.now());
  });

  it("is cancelled by its submitter, and a second cancel changes nothing", async () => {
    const spec = await specFor(test, holder);
    const { experiment } = await submit(test, holder, { spec, idempotencyKey: "cancel" });
    const cancel = `mutation ($input: CancelExperimentInput!) {
      cancelExperiment(input: $input) { experiment { id state cancelReason endedAt } changed ${ERRORS} }
    }`;
    const input = { experimentId: experiment.id, reason: "wrong model" };
    const { cancelExperiment: first } = await data(test, holder, cancel, { input });
    assert.deepEqual(first.errors, []);
    assert.equal(first.changed, true);
    assert.equal(first.experiment.state, "CANCELLED");
    assert.equal(first.experiment.cancelReason, "wrong model");
    const { cancelExperiment: second } = await data(test, holder, cancel, { input });
    assert.equal(second.changed, false);
    assert.equal(second.experiment.state, "CANCELLED");
    const found = await data(
      test,
      holder,
      `query ($id: ID!) { experiment(id: $id) { cancellation { runCount complete
        first: runs(first: 2) { edges { node { state run { step } } } } last: runs(last: 1) { edges { node { run { step } } } }
      } } }`,
      { id: experiment.id },
    );
    const { first: begin, last: end, ...receipt } = found.experiment.cancellation;
    assert.deepEqual(receipt, { runCount: 10, complete: true });
    const steps = ({ edges }: { edges: { node: { run: { step: string } } }[] }) =>
      edges.map(({ node }) => node.run.step);
    assert.deepEqual([steps(begin), steps(end)], [["prepare", "train"], ["report"]]);
    assert.equal(begin.edges[0].node.state, "CANCELLED");
  });

  it("of another key is cancelled only with the scope for it", async () => {
    const spec = await specFor(test, holder);
    const { experiment } = await submit(test, holder, { spec, idempotencyKey: "cancel any" });
    const other = await newKeyOf(holder.caller, { scopes: ["READ", "SUBMIT"] });
    const cancel = `mutation ($input: CancelExperimentInput!) { cancelExperiment(input: $input) { changed ${ERRORS} } }`;
    const input = { experimentId: experiment.id };
    const { cancelExperiment: refused } = await data(test, other, cancel, { input });
    assert.equal(refused.changed, false);
    assert.equal(refused.errors[0].requiredScope, "CANCEL_ANY");
    const { cancelExperiment: done } = await data(test, await newKeyOf(holder.caller), cancel, { input });
    assert.equal(done.changed, true);
  });
});

describe("a page of experiments", () => {
  it("takes as many statements as one of them, with all that each says of itself", async () => {
    const who = await test.newHolder();
    const spec = await specFor(test, who);
    for (const idempotencyKey of ["one", "two", "three"]) {
      const { experiment } = await submit(test, who, { spec, idempotencyKey });
      const input = { experimentId: experiment.id };
      await data(
        test,
        who,
        "mutation ($input: CancelExperimentInput!) { cancelExperiment(input: $input) { changed } }",
        { input },
      );
    }
    const page = async (first: number): Promise<{ found: number; statements: string[] }> => {
      const counted = mock.method(pg.Client.prototype, "query");
      const { experiments } = await data(
        test,
        who,
        `query ($first: Int!) { experiments(first: $first) { edges { node {
          id state progress { completed } project { id } createdBy { id } waves { at } usage { wallSeconds }
          report { name } cancellation { runCount secondsUsed filesKept requestedBy { id } }
        } } } }`,
        { first },
      );
      const statements = counted.mock.calls
        .map(({ arguments: [sent] }) => textOf(sent))
        .filter((text) => reads.test(text));
      counted.mock.restore();
      for (const { node } of experiments.edges) assert.equal(node.cancellation.runCount, 10);
      return { found: experiments.edges.length, statements };
    };
    const [one, three] = [await page(1), await page(3)];
    assert.deepEqual([one.found, three.found], [1, 3]);
    assert.equal(new Set(one.statements).size >= 8, true, one.statements.join("\n"));
    assert.deepEqual(three.statements.toSorted(), one.statements.toSorted());
  });
});

/** What reads experiments and what belongs to them; the check of the caller's key is now and then among the others. */
const reads = /\b(from|join) "?(experiment|run|wave|usage|project|ledger)\b/i;

function textOf(sent: unknown): string {
  const text = typeof sent === "object" && sent !== null && "text" in sent ? String(sent.text) : String(sent);
  return text.replace(/LIMIT \d+/, "LIMIT"); // says how large the page is
}
