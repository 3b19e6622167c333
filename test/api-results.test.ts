import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { nodeKinds } from "../src/api/ids.js";
import { sha256 } from "../src/domain/digest.js";
import { testApi } from "./support/api.js";
import { ESTIMATES, ended, fullTenant, startWork, type TenantIds } from "./support/fixture.js";
import { data, specFor, submit } from "./support/requests.js";

const test = await testApi();
await startWork(test);
const { holder, api } = test;
let ids: TenantIds = {};
before(async () => {
  ids = await fullTenant(test, holder);
});

describe("an experiment whose runs have ended", () => {
  it("tells state, progress, usage and where its report is", async () => {
    const { experiment } = await data(
      test,
      holder,
      `query ($id: ID!) { experiment(id: $id) { state endedAt progress { completed total fraction stage stageCount }
        usage { wallSeconds cpuSeconds gpuSeconds } report { name kind bytes digest downloadUrl } } }`,
      { id: ids["Experiment"] },
    );
    assert.equal(experiment.state, "SUCCEEDED");
    assert.deepEqual(experiment.progress, { completed: 10, total: 10, fraction: 1, stage: 2, stageCount: 3 });
    assert.deepEqual(experiment.usage, { wallSeconds: 20, cpuSeconds: 15, gpuSeconds: 0 });
    const { report } = experiment;
    assert.deepEqual([report.name, report.kind, report.bytes], ["report.json", "REPORT_JSON", 15]);
    assert.equal(report.digest, sha256('{"report":true}'));
  });

  it("gives each train run's estimates with their Wilson intervals", async () => {
    const { experiment } = await data(
      test,
      holder,
      `query ($id: ID!) { experiment(id: $id) { runs(first: 100) { edges { node { step partial
        attempts { number epoch pod outcome endedAt failure { code } }
        metrics { name value items seeds interval { level low high method } } } } } } }`,
      { id: ids["Experiment"] },
    );
    const runs = experiment.runs.edges.map((edge: { node: object }) => edge.node);
    const { value, low, high, n: items } = ESTIMATES.conflicting;
    for (const run of runs) {
      assert.equal(run.attempts.length, 1);
      assert.equal(run.attempts[0].outcome, "SUCCEEDED");
      assert.equal(run.metrics.length, run.step === "train" ? 2 : 0);
      if (run.step !== "train") continue;
      const expected = {
        name: "conflicting",
        value,
        items,
        seeds: 1,
        interval: { level: 0.95, low, high, method: "WILSON" },
      };
      assert.deepEqual(
        run.metrics.find((metric: { name: string }) => metric.name === "conflicting"),
        expected,
      );
    }
  });

  it("lets its files be downloaded with the key, byte for byte", async () => {
    const { experiment } = await data(
      test,
      holder,
      "query ($id: ID!) { experiment(id: $id) { artifacts(first: 100) { edges { node { name digest bytes downloadUrl } } } } }",
      { id: ids["Experiment"] },
    );
    const files = experiment.artifacts.edges.map((edge: { node: object }) => edge.node);
    // Ten results; records and trunk; items of eight train runs; two reports.
    assert.equal(files.length, 10 + 2 + 8 + 2);
    for (const { name, digest, bytes, downloadUrl } of files) {
      const answer = await fetch(downloadUrl, { headers: { authorization: `Bearer ${holder.key}` } });
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get("etag"), `"${digest}"`);
      assert.equal(answer.headers.get("content-disposition"), `attachment; filename="${name}"`);
      assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
      const body = Buffer.from(await answer.arrayBuffer());
      assert.equal(body.length, bytes);
      assert.equal(sha256(body), digest);
    }
  });

  it("sends no bytes of a file that the client has", async () => {
    const { node } = await data(
      test,
      holder,
      "query ($id: ID!) { node(id: $id) { ... on Artifact { downloadUrl digest } } }",
      {
        id: ids["Artifact"],
      },
    );
    const headers = { authorization: `Bearer ${holder.key}`, "if-none-match": `"${node.digest}"` };
    assert.equal((await fetch(node.downloadUrl, { headers })).status, 304);
    const head = await fetch(node.downloadUrl, { method: "HEAD", headers: { authorization: headers.authorization } });
    assert.deepEqual([head.status, head.headers.get("content-type")], [200, "application/json"]);
  });
});

describe("node", () => {
  for (const kind of nodeKinds) {
    const typename = kind === "Experiment" ? "RobustnessExperiment" : kind;
    it(`finds the ${kind} of an id and gives the same id back`, async () => {
      const id = ids[kind];
      const { node } = await data(test, holder, "query ($id: ID!) { node(id: $id) { __typename id } }", { id });
      // An upload is no node: it has nothing to look at.
      assert.deepEqual(node, kind === "Upload" ? null : { __typename: typename, id });
    });
  }

  it("answers null for other kinds of text", async () => {
    for (const id of [
      "",
      "x",
      "a".repeat(1_000),
      Buffer.from("Run:1").toString("base64url"),
      `${ids["Run"]}=`,
      ids["Run"]?.slice(0, -1),
    ]) {
      const { node } = await data(test, holder, "query ($id: ID!) { node(id: $id) { id } }", { id });
      assert.equal(node, null, String(id));
    }
  });

  it("answers null for another kind's id in a field that wants one kind", async () => {
    const found = await data(
      test,
      holder,
      "query ($a: ID!, $b: ID!) { run(id: $a) { id } experiment(id: $b) { id } project(id: $b) { id } }",
      { a: ids["Experiment"], b: ids["Run"] },
    );
    assert.deepEqual(found, { run: null, experiment: null, project: null });
  });

  it("takes many ids at once, in order", async () => {
    const wanted = [ids["Model"], "nothing", ids["Run"]];
    const { nodes } = await data(test, holder, "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", { ids: wanted });
    assert.deepEqual(nodes, [{ id: ids["Model"] }, null, { id: ids["Run"] }]);
  });
});

describe("pages", () => {
  const page = (args: string): string => `query ($id: ID!, $cursor: String) { experiment(id: $id) { runs(${args}) {
    edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }`;

  /** Walks a connection forwards in pages of four and gives the ids of each page. */
  async function forwards(): Promise<string[][]> {
    const pages: string[][] = [];
    for (let cursor: string | null = null, more = true; more; ) {
      const { experiment }: RunsAnswer = await data(test, holder, page("first: 4, after: $cursor"), {
        id: ids["Experiment"],
        cursor,
      });
      pages.push(idsOf(experiment.runs));
      assert.equal(experiment.runs.pageInfo.hasPreviousPage, pages.length > 1);
      ({ hasNextPage: more, endCursor: cursor } = experiment.runs.pageInfo);
    }
    return pages;
  }

  /** The same, backwards. */
  async function backwards(): Promise<string[][]> {
    const pages: string[][] = [];
    for (let cursor: string | null = null, more = true; more; ) {
      const { experiment }: RunsAnswer = await data(test, holder, page("last: 4, before: $cursor"), {
        id: ids["Experiment"],
        cursor,
      });
      pages.push(idsOf(experiment.runs));
      assert.equal(experiment.runs.pageInfo.hasNextPage, pages.length > 1);
      ({ hasPreviousPage: more, startCursor: cursor } = experiment.runs.pageInfo);
    }
    return pages;
  }

  function idsOf({ edges, pageInfo }: RunPage): string[] {
    assert.equal(pageInfo.startCursor, edges[0]?.cursor);
    assert.equal(pageInfo.endCursor, edges.at(-1)?.cursor);
    return edges.map((edge) => edge.node.id);
  }

  it("walk a list forwards and backwards over the same things", async () => {
    const onwards = await forwards();
    const back = await backwards();
    assert.deepEqual(
      onwards.map((ids) => ids.length),
      [4, 4, 2],
    );
    assert.deepEqual(
      back.map((ids) => ids.length),
      [4, 4, 2],
    );
    assert.deepEqual(back.reverse().flat(), onwards.flat());
    assert.equal(new Set(onwards.flat()).size, 10);
  });

  it("of events and artifacts walk too", async () => {
    const query = `query ($id: ID!, $after: String, $from: String) { experiment(id: $id) {
      artifacts(first: 7, after: $after) { edges { cursor node { id } } pageInfo { hasNextPage endCursor } }
      runs(first: 1) { edges { node { events(first: 2, after: $from) { edges { node { sequence } } pageInfo { hasNextPage endCursor } } } } } } }`;
    const files: string[] = [];
    const sequences: number[] = [];
    let [after, from, more]: [string | null, string | null, boolean] = [null, null, true];
    while (more) {
      const { experiment } = await data(test, holder, query, { id: ids["Experiment"], after, from });
      const { events } = experiment.runs.edges[0].node;
      files.push(...experiment.artifacts.edges.map((edge: { node: { id: string } }) => edge.node.id));
      sequences.push(...events.edges.map((edge: { node: { sequence: number } }) => edge.node.sequence));
      after = experiment.artifacts.pageInfo.endCursor ?? after;
      from = events.pageInfo.endCursor ?? from;
      more = experiment.artifacts.pageInfo.hasNextPage || events.pageInfo.hasNextPage;
    }
    assert.equal(new Set(files).size, 22);
    assert.equal(files.length, 22);
    const lastOf = `query ($id: ID!, $before: String) { experiment(id: $id) {
      artifacts(last: 5, before: $before) { edges { node { id } } pageInfo { hasNextPage hasPreviousPage } } } }`;
    for (const [before, end] of [
      [null, 22],
      [Buffer.from(uuidIn(files[17] ?? "")).toString("base64url"), 17],
    ] as const) {
      const { experiment } = await data(test, holder, lastOf, { id: ids["Experiment"], before });
      const { edges, pageInfo } = experiment.artifacts;
      assert.deepEqual(
        edges.map((edge: { node: { id: string } }) => edge.node.id),
        files.slice(end - 5, end),
      );
      assert.deepEqual([pageInfo.hasNextPage, pageInfo.hasPreviousPage], [end < 22, true]);
    }
    assert.deepEqual(
      sequences,
      [...new Set(sequences)].sort((a, b) => a - b),
    );
  });

  it("of experiments that were accepted in one moment miss none and repeat none", async () => {
    const spec = await specFor(test, holder);
    const names = Array.from({ length: 12 }, (_, i) => `same moment ${i}`);
    const submitted = await Promise.all(
      names.map((name) => submit(test, holder, { spec: { ...spec, name }, idempotencyKey: name })),
    );
    const query =
      "query ($after: String) { experiments(first: 5, after: $after) { edges { node { id } } pageInfo { hasNextPage endCursor } } }";
    const seen: string[] = [];
    for (let after: string | null = null, more = true; more; ) {
      const {
        experiments,
      }: { experiments: { edges: { node: { id: string } }[]; pageInfo: { hasNextPage: boolean; endCursor: string } } } =
        await data(test, holder, query, { after });
      seen.push(...experiments.edges.map((edge) => edge.node.id));
      after = experiments.pageInfo.endCursor;
      more = experiments.pageInfo.hasNextPage;
    }
    assert.deepEqual(new Set(seen), new Set([ids["Experiment"], ...submitted.map((payload) => payload.experiment.id)]));
    assert.equal(seen.length, 13);
    for (const { experiment } of submitted) await ended(test, holder, experiment.id);
  });

  for (const [name, args] of [
    ["neither first nor last", ""],
    ["both first and last", "(first: 1, last: 1)"],
    ["an empty page", "(first: 0)"],
    ["a negative page", "(last: -1)"],
    ["a cursor of the other direction", '(first: 1, before: "MQ")'],
    ["a cursor that is none", '(first: 1, after: "!!!")'],
    ["a cursor with SQL in it", `(first: 1, after: "${Buffer.from("1; drop table run").toString("base64url")}")`],
  ]) {
    it(`are refused with INVALID_INPUT for ${name}`, async () => {
      const query = `query { experiments${args} { edges { cursor } } }`;
      const answer = await fetch(`${api.url}/graphql`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${holder.key}` },
        body: JSON.stringify({ query }),
      });
      const { errors } = JSON.parse(await answer.text());
      assert.equal(errors[0].extensions.code, "INVALID_INPUT");
    });
  }
});

interface RunsAnswer {
  readonly experiment: { readonly runs: RunPage };
}

interface RunPage {
  readonly edges: readonly { readonly cursor: string; readonly node: { readonly id: string } }[];
  readonly pageInfo: {
    readonly hasNextPage: boolean;
    readonly hasPreviousPage: boolean;
    readonly startCursor: string | null;
    readonly endCursor: string | null;
  };
}

/** The UUID in a global id, which is what the cursors of files hold. */
function uuidIn(id: string): string {
  return Buffer.from(id, "base64url").toString("utf8").split(":")[1] ?? "";
}
