import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { ask, type GraphqlAnswer, testApi } from "./support/api.js";
import { doRobustness, ended, startWork, type TrainRun, trainRuns } from "./support/fixture.js";
import { jsonLines, preferenceRows } from "./support/preference-rows.js";
import { data, specFor, submit } from "./support/requests.js";
import { scoredRows } from "./support/scored-rows.js";

const test = await testApi();
/** What the next experiments' train runs write, in place of the fixture's items. */
let items: ((spec: Readonly<Record<string, unknown>>) => string) | null = null;
await startWork(test, async (task) => {
  if (task.spec["step"] !== "train" || items === null) return doRobustness(task);
  await task.make("items.jsonl", "ITEMS", items(task.spec));
  return { metrics: { step: "train", estimates: {} }, partial: task.spec["method"] === "DPO" };
});
const { api, holder } = test;
let runs: readonly TrainRun[] = [];
before(async () => {
  runs = await experiment("items");
});

async function experiment(idempotencyKey: string): Promise<readonly TrainRun[]> {
  const spec = await specFor(test, holder);
  const { experiment: accepted } = await submit(test, holder, { spec, idempotencyKey });
  await ended(test, holder, accepted.id);
  return trainRuns(test, holder, accepted.id);
}

function runOf(method: string, spuriousness: number | null, among = runs): string {
  const found = among.find(({ cell }) => cell.method === method && cell.spuriousness === spuriousness);
  assert.ok(found);
  return found.id;
}

const FIELDS = `id itemKey split group score margin input expected rejected output outputScores { name value }
  spuriousFeaturePresent error { code retryable } run { id }`;

async function page(id: string, args: string, variables: object = {}): Promise<GraphqlAnswer["body"]["data"]> {
  const query = `query ($id: ID!, $cursor: String, $filter: ItemFilter) { run(id: $id) {
    items(${args}, filter: $filter) { edges { cursor node { ${FIELDS} } } pageInfo { hasNextPage hasPreviousPage endCursor startCursor } } } }`;
  return (await data(test, holder, query, { id, ...variables })).run.items;
}

async function itemsOf(id: string, filter: object = {}): Promise<GraphqlAnswer["body"]["data"]> {
  return (await page(id, "first: 100, after: $cursor", { filter })).edges.map((edge: { node: object }) => edge.node);
}

describe("items of a run", () => {
  it("are its scores line by line, with the texts of its records", async () => {
    const id = runOf("SFT", 0.9);
    const wanted = scoredRows(preferenceRows(), { method: "SFT", spuriousness: 0.9, seed: 101 });
    const found = await itemsOf(id);
    assert.deepEqual(
      found.map(({ itemKey, split, group, score, margin }: Record<string, unknown>) => [
        itemKey,
        split,
        group,
        score,
        margin,
      ]),
      wanted.map(({ itemKey, split, relation, score, margin }) => [itemKey, split, relation, score, margin]),
    );
    const rows = preferenceRows();
    for (const item of found) {
      const row = rows.find(({ pairId, relation }) => pairId === item.itemKey && relation === item.group);
      assert.equal(item.expected, row?.["chosen"]);
      assert.equal(item.rejected, row?.["rejected"]);
      assert.equal(
        item.input,
        `system: You write one sentence.\nuser: Write one sentence with the word ${item.itemKey}.`,
      );
      assert.equal(item.spuriousFeaturePresent, true);
      assert.equal(item.run.id, id);
      const generated = item.split === "test" && item.group === "conflicting";
      assert.equal(item.output, generated ? (item.score === 1 ? item.expected : item.rejected) : null);
      assert.deepEqual(item.outputScores, generated ? [{ name: "exact", value: item.score }] : []);
    }
  });

  it("have an id by which each is found again", async () => {
    const [first] = await itemsOf(runOf("DPO", 0.1));
    const { node } = await data(
      test,
      holder,
      `query ($id: ID!) { node(id: $id) { ... on ItemResult { ${FIELDS} } } }`,
      {
        id: first.id,
      },
    );
    assert.deepEqual(node, first);
    const ids = (await itemsOf(runOf("DPO", 0.1))).map(({ id }: { id: string }) => id);
    assert.equal(new Set(ids).size, ids.length);
  });

  it("are sieved by group, split, score and cue together", async () => {
    const id = runOf("SFT", 0.9);
    const all = await itemsOf(id);
    const wrong = await itemsOf(id, { group: "conflicting", split: "test", maxScore: 0 });
    assert.deepEqual(
      wrong,
      all.filter(
        (item: Record<string, unknown>) =>
          item["group"] === "conflicting" && item["split"] === "test" && item["score"] === 0,
      ),
    );
    assert.ok(wrong.length > 0 && wrong.length < 8, `${wrong.length} wrong ones`);
    assert.deepEqual(await itemsOf(id, { spuriousFeaturePresent: true }), all);
    assert.deepEqual(await itemsOf(id, { spuriousFeaturePresent: false }), []);
    assert.deepEqual(await itemsOf(id, { errored: true }), []);
    assert.deepEqual(await itemsOf(id, { errored: false }), all);
    assert.deepEqual(await itemsOf(id, { group: "nowhere" }), []);
  });

  it("are walked forwards and backwards over the same list, also where it is sieved", async () => {
    const id = runOf("SFT", 0.9);
    for (const filter of [{}, { group: "conflicting", maxScore: 0.5 }]) {
      const whole = (await itemsOf(id, filter)).map((item: { id: string }) => item.id);
      const there: string[] = [];
      for (let cursor: string | null = null, more = true; more; ) {
        const { edges, pageInfo } = await page(id, "first: 3, after: $cursor", { cursor, filter });
        assert.equal(pageInfo.hasPreviousPage, there.length > 0);
        there.push(...edges.map((edge: { node: { id: string } }) => edge.node.id));
        ({ hasNextPage: more, endCursor: cursor } = pageInfo);
      }
      assert.deepEqual(there, whole);
      const back: string[] = [];
      for (let cursor: string | null = null, more = true; more; ) {
        const { edges, pageInfo } = await page(id, "last: 3, before: $cursor", { cursor, filter });
        assert.equal(pageInfo.hasNextPage, back.length > 0);
        back.unshift(...edges.map((edge: { node: { id: string } }) => edge.node.id));
        ({ hasPreviousPage: more, startCursor: cursor } = pageInfo);
      }
      assert.deepEqual(back, whole);
    }
  });

  it("are none for a run that scores nothing", async () => {
    const query =
      "query ($id: ID!) { run(id: $id) { experiment { runs(first: 1) { edges { node { step items(first: 1) { edges { cursor } } } } } } } }";
    const { run } = await data(test, holder, query, { id: runOf("SFT", 0.1) });
    assert.deepEqual(run.experiment.runs.edges[0].node, { step: "prepare", items: { edges: [] } });
  });

  for (const [name, args, filter] of [
    ["a score above 1", "first: 1", { maxScore: 1.5 }],
    ["neither first nor last", "after: null", {}],
    ["a cursor that is none", 'first: 1, after: "!!"', {}],
  ] as const) {
    it(`are refused with INVALID_INPUT for ${name}`, async () => {
      const query = `query ($id: ID!, $filter: ItemFilter) { run(id: $id) { items(${args}, filter: $filter) { edges { cursor } } } }`;
      const { body } = await ask({ api, key: holder.key }, query, { id: runOf("SFT", 0.1), filter });
      assert.equal(body.errors?.[0]?.extensions["code"], "INVALID_INPUT");
    });
  }

  it("are null to another tenant, by run and by their own ids", async () => {
    const stranger = await test.newHolder();
    const [first] = await itemsOf(runOf("SFT", 0.1));
    const found = await data(
      test,
      stranger,
      "query ($run: ID!, $item: ID!) { run(id: $run) { items(first: 1) { edges { cursor } } } node(id: $item) { id } }",
      { run: runOf("SFT", 0.1), item: first.id },
    );
    assert.deepEqual(found, { run: null, node: null });
  });
});

describe("items of a run that was ended early", () => {
  it("name what was not scored, with an error", async () => {
    items = (spec) => jsonLines(scoredRows(preferenceRows(), spec).slice(0, 20));
    const mine = await experiment("partial");
    const id = runOf("DPO", 0.9, mine);
    const errored = await itemsOf(id, { errored: true });
    assert.equal(errored.length, 8);
    for (const item of errored) {
      assert.deepEqual([item.score, item.margin], [null, null]);
      assert.deepEqual(item.error, { code: "ITEM_NOT_SCORED", retryable: true });
      assert.ok(item.expected.length > 0);
    }
    assert.equal((await itemsOf(id, { errored: false })).length, 20);
    assert.deepEqual(await itemsOf(id, { maxScore: 1, errored: true }), []);
    // A run that is whole has scored what it should; what its records hold besides is no error.
    assert.equal((await itemsOf(runOf("SFT", 0.9, mine))).length, 20);
  });
});

describe("a file that is broken", () => {
  for (const [name, text] of [
    ["is no JSON", "not json\n"],
    ["lacks the item's name", '{"split":"test","relation":"aligned","margin":1,"score":1}\n'],
    ["has a score that is none", '{"itemKey":"a","split":"test","relation":"aligned","margin":1,"score":0.7}\n'],
    ["has a margin that is none", '{"itemKey":"a","split":"test","relation":"aligned","margin":null,"score":1}\n'],
  ] as const) {
    it(`and ${name} answers ARTIFACT_CORRUPT, and the rest of the run`, async () => {
      items = () => text;
      const [first] = await experiment(name);
      assert.ok(first);
      const query = "query ($id: ID!) { run(id: $id) { state items(first: 1) { edges { cursor } } } }";
      const { body } = await ask({ api, key: holder.key }, query, { id: first.id });
      assert.equal(body.errors?.[0]?.extensions["code"], "ARTIFACT_CORRUPT");
      assert.deepEqual(body.errors?.[0]?.path, ["run", "items"]);
    });
  }

  it("or gone answers ARTIFACT_CORRUPT", async () => {
    items = (spec) =>
      jsonLines([
        ...scoredRows(preferenceRows(), spec),
        { itemKey: "gone", split: "test", relation: "aligned", margin: 1, score: 1 },
      ]);
    const [first] = await experiment("gone");
    assert.ok(first);
    const { run } = await data(
      test,
      holder,
      "query ($id: ID!) { run(id: $id) { artifacts(first: 9) { edges { node { kind digest } } } } }",
      { id: first.id },
    );
    const files: { kind: string; digest: string }[] = run.artifacts.edges.map((edge: { node: object }) => edge.node);
    await test.artifacts.remove(files.find(({ kind }) => kind === "ITEMS")?.digest ?? "");
    const query = "query ($id: ID!) { run(id: $id) { items(first: 1) { edges { cursor } } } }";
    const { body } = await ask({ api, key: holder.key }, query, { id: first.id });
    assert.equal(body.errors?.[0]?.extensions["code"], "ARTIFACT_CORRUPT");
  });
});
