import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { mcnemarExact } from "../src/domain/statistics.js";
import { ask, type GraphqlAnswer, testApi } from "./support/api.js";
import { doRobustness, ended, startWork, type TrainRun, trainRuns } from "./support/fixture.js";
import { jsonLines, preferenceRows } from "./support/preference-rows.js";
import { data, ERRORS, specFor, submit } from "./support/requests.js";
import { scoredRows } from "./support/scored-rows.js";

const test = await testApi();
/** Words of the prompts that prepare runs write; another one makes other texts. */
let prompt = "Write one sentence";
await startWork(test, async (task) => {
  if (task.spec["step"] !== "prepare") return doRobustness(task);
  await task.make("records.jsonl", "DATASET", jsonLines(preferenceRows()).replaceAll("Write one sentence", prompt));
  await task.make("trunk.safetensors", "CACHE", "trunk");
  return { metrics: { step: "prepare", seed: Number(task.spec["seed"]) } };
});
const { holder } = test;

/** An experiment of the test's tenant; gives its train runs. */
async function experiment(idempotencyKey: string, wish: object = {}): Promise<readonly TrainRun[]> {
  const spec = { ...(await specFor(test, holder)), ...wish };
  const { experiment: accepted, errors } = await submit(test, holder, { spec, idempotencyKey });
  assert.deepEqual(errors, []);
  await ended(test, holder, accepted.id);
  return trainRuns(test, holder, accepted.id);
}

/** The ids of a cell's runs, by seed. */
function cell(among: readonly TrainRun[], method: string, spuriousness: number): string[] {
  const found = among.filter((run) => run.cell.method === method && run.cell.spuriousness === spuriousness);
  assert.ok(found.length > 0);
  return found.map(({ id }) => id);
}

type Answer = GraphqlAnswer["body"]["data"];

const QUERY = `query ($baseline: [ID!]!, $candidates: [[ID!]!]!, $metric: String!, $threshold: Float) {
  compareRuns(baseline: $baseline, candidates: $candidates, metric: $metric, practicalThreshold: $threshold) {
    comparisons { metric higherIsBetter baseline { id } candidate { id seed } seeds pairedItems unpairedItems
      baselineMean candidateMean delta interval { level low high method } test pValue adjustedPValue wins losses ties
      minimumDetectableEffect verdict reason confounders
      flips(first: 100) { edges { node { id itemKey group baseline { score } candidate { score } } } } } ${ERRORS} } }`;

async function compare(
  baseline: readonly string[],
  candidates: readonly (readonly string[])[],
  wish: object = {},
): Promise<Answer> {
  const variables = { baseline, candidates, metric: "conflicting", ...wish };
  return (await data(test, holder, QUERY, variables)).compareRuns;
}

async function one(baseline: readonly string[], candidate: readonly string[], wish: object = {}): Promise<Answer> {
  const { comparisons, errors } = await compare(baseline, [candidate], wish);
  assert.deepEqual(errors, []);
  assert.equal(comparisons.length, 1);
  return comparisons[0];
}

/** Scores of the conflicting test items as the stub draws them. */
function scores(method: string, spuriousness: number, seed: number): number[] {
  return scoredRows(preferenceRows(), { method, spuriousness, seed })
    .filter(({ split, relation }) => split === "test" && relation === "conflicting")
    .map(({ score }) => Number(score));
}

let runs: readonly TrainRun[] = [];
let seeded: readonly TrainRun[] = [];
const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];
before(async () => {
  runs = await experiment("one seed");
  seeded = await experiment("eight seeds", { seeds: SEEDS, methods: ["SFT"], spuriousness: [0.1, 0.9] });
});

describe("one run against one run", () => {
  it("is McNemar's exact test over the same items, with the items that flipped", async () => {
    const [low, high] = [scores("SFT", 0.1, 101), scores("SFT", 0.9, 101)];
    const found = await one(cell(runs, "SFT", 0.1), cell(runs, "SFT", 0.9));
    const expected = mcnemarExact(low, high);
    assert.equal(found.test, "MCNEMAR_EXACT");
    assert.equal(found.pValue, expected.pValue);
    assert.equal(found.adjustedPValue, expected.pValue);
    assert.deepEqual([found.pairedItems, found.unpairedItems, found.seeds], [8, 0, 1]);
    assert.deepEqual(
      [found.wins, found.losses, found.ties],
      [expected.onlySecond, expected.onlyFirst, 8 - expected.onlyFirst - expected.onlySecond],
    );
    const meanOf = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
    assert.ok(Math.abs(found.delta - (meanOf(high) - meanOf(low))) < 1e-12);
    assert.equal(found.interval.method, "ADJUSTED_WALD");
    assert.ok(found.interval.low < found.delta && found.delta < found.interval.high);
    assert.ok(found.minimumDetectableEffect > 0.2, "eight items find large differences only");
    const flips = found.flips.edges.map((edge: { node: object }) => edge.node);
    assert.equal(flips.length, expected.onlyFirst + expected.onlySecond);
    for (const flip of flips) assert.notEqual(flip.baseline.score, flip.candidate.score);
    const { node } = await data(test, holder, "query ($id: ID!) { node(id: $id) { ... on Flip { itemKey group } } }", {
      id: flips[0].id,
    });
    assert.deepEqual(node, { itemKey: flips[0].itemKey, group: "conflicting" });
  });

  it("turns round when the sides are swapped", async () => {
    const [a, b] = [cell(runs, "SFT", 0.1), cell(runs, "SFT", 0.9)];
    const [there, back] = [await one(a, b), await one(b, a)];
    assert.equal(there.delta, -back.delta);
    assert.equal(there.pValue, back.pValue);
    assert.deepEqual([there.wins, there.losses], [back.losses, back.wins]);
  });

  it("by a gap is better where the gap is smaller, and is resampled", async () => {
    const found = await one(cell(runs, "SFT", 0.9), cell(runs, "SFT", 0), { metric: "gap" });
    assert.deepEqual([found.test, found.higherIsBetter, found.verdict], ["PAIRED_BOOTSTRAP", false, "BETTER"]);
    assert.ok(found.delta < 0);
    assert.equal(found.losses, 0);
    assert.ok(found.wins > 0);
  });

  it("takes generated text and nats as well", async () => {
    const text = await one(cell(runs, "SFT", 0.1), cell(runs, "SFT", 0.9), { metric: "exact:conflicting" });
    const choice = await one(cell(runs, "SFT", 0.1), cell(runs, "SFT", 0.9));
    assert.equal(text.pValue, choice.pValue);
    const nats = await one(cell(runs, "SFT", 0.1), cell(runs, "SFT", 0.9), { metric: "margin:conflicting" });
    assert.equal(nats.interval.method, "BOOTSTRAP_ITEMS");
    assert.deepEqual(await one(cell(runs, "SFT", 0.1), cell(runs, "SFT", 0.9), { metric: "margin:conflicting" }), nats);
  });

  it("of equal answers is INCONCLUSIVE, and EQUIVALENT only within a threshold that the items can hold", async () => {
    const [a, b] = [cell(runs, "SFT", 0), cell(runs, "DPO", 0)];
    const plain = await one(a, b);
    assert.deepEqual([plain.delta, plain.verdict], [0, "INCONCLUSIVE"]);
    assert.equal((await one(a, b, { threshold: 0.05 })).verdict, "INCONCLUSIVE");
    const wide = await one(a, b, { threshold: 0.5 });
    assert.equal(wide.verdict, "EQUIVALENT");
    assert.deepEqual(wide.interval, plain.interval);
  });

  it("names what else differs, and two things that differ at once", async () => {
    const plain = await one(cell(runs, "SFT", 0.1), cell(runs, "SFT", 0.9));
    assert.deepEqual(plain.confounders, []);
    const longer = await experiment("longer", { trainer: { epochs: 4 } });
    const found = await one(cell(runs, "SFT", 0.1), cell(longer, "DPO", 0.9));
    assert.deepEqual(
      found.confounders.filter((said: string) => !said.startsWith("trainer.learningRate")),
      ["trainer.epochs: 2 and 4", 'method: "SFT" and "DPO"', "spuriousness: 0.1 and 0.9"],
    );
  });
});

describe("several candidates", () => {
  it("have p-values adjusted after Holm", async () => {
    const candidates = [cell(runs, "SFT", 0.9), cell(runs, "DPO", 0.9), cell(runs, "SFT", 0.1)];
    const { comparisons } = await compare(cell(runs, "SFT", 0), candidates);
    const raw: number[] = comparisons.map((found: { pValue: number }) => found.pValue);
    const smallest = Math.min(...raw);
    for (const { pValue, adjustedPValue } of comparisons) assert.ok(adjustedPValue >= pValue);
    const [first] = comparisons.filter((found: { pValue: number }) => found.pValue === smallest);
    assert.equal(first.adjustedPValue, Math.min(1, 3 * smallest));
  });
});

describe("cells of several seeds", () => {
  it("are compared over seeds and items, and tested by sign flips from six seeds on", async () => {
    const found = await one(cell(seeded, "SFT", 0.9), cell(seeded, "SFT", 0));
    assert.deepEqual([found.test, found.seeds, found.interval.method], ["JOINT_SIGN_FLIP", 8, "SEEDS_AND_ITEMS_T"]);
    assert.deepEqual([found.pairedItems, found.losses], [64, 0]);
    assert.equal(found.pValue, 2 / 2 ** 8);
    assert.equal(found.verdict, "BETTER");
    assert.deepEqual(
      found.candidate.map(({ seed }: { seed: number }) => seed),
      SEEDS,
    );
  });

  it("say with fewer seeds that nothing could be shown", async () => {
    const [a, b] = [cell(seeded, "SFT", 0.9).slice(0, 3), cell(seeded, "SFT", 0).slice(0, 3)];
    const found = await one(a, b);
    assert.deepEqual([found.pValue, found.adjustedPValue, found.verdict], [null, null, "INCONCLUSIVE"]);
    assert.match(found.reason, /3 seeds cannot reach \.05/);
  });

  it("are adjusted together", async () => {
    const { comparisons } = await compare(cell(seeded, "SFT", 0.9), [cell(seeded, "SFT", 0), cell(seeded, "SFT", 0.1)]);
    for (const { pValue, adjustedPValue } of comparisons)
      assert.ok(adjustedPValue >= pValue && adjustedPValue >= 2 / 2 ** 8);
  });
});

describe("items with other texts under the same name", () => {
  it("are not paired, and nothing is compared where none is left", async () => {
    prompt = "Please write one sentence";
    const others = await experiment("other texts");
    prompt = "Write one sentence";
    const { comparisons, errors } = await compare(cell(runs, "SFT", 0.1), [cell(others, "SFT", 0.1)]);
    assert.deepEqual(comparisons, []);
    assert.equal(errors[0].code, "UNSUPPORTED_COMBINATION");
    assert.match(errors[0].message, /same texts/);
  });
});

describe("a comparison is refused", () => {
  const refused = async (
    [baseline, candidates, wish]: readonly [readonly string[], readonly (readonly string[])[], object],
    code: string,
    path: readonly string[],
  ): Promise<void> => {
    const { comparisons, errors } = await compare(baseline, candidates, wish);
    assert.deepEqual(comparisons, []);
    assert.deepEqual([errors[0]?.code, errors[0]?.path], [code, path], JSON.stringify(errors));
  };

  it("between different trainers", async () => {
    const full = await experiment("full", { trainer: { kind: "TRL_FULL" } });
    await refused([cell(runs, "SFT", 0.1), [cell(full, "SFT", 0.1)], {}], "UNSUPPORTED_COMBINATION", [
      "candidates",
      "0",
    ]);
  });

  it("in nats between methods", async () => {
    await refused(
      [cell(runs, "SFT", 0.1), [cell(runs, "DPO", 0.1)], { metric: "margin:conflicting" }],
      "UNSUPPORTED_COMBINATION",
      ["candidates", "0"],
    );
  });

  it("by a metric that there is not, with those that there are", async () => {
    const [a, b] = [cell(runs, "SFT", 0.1), [cell(runs, "SFT", 0.9)]];
    for (const metric of ["", "bleu", "neutral", "prompt_blind", "exact:aligned", "margin:a:b"]) {
      await refused([a, b, { metric }], "INVALID_INPUT", ["metric"]);
    }
    const { errors } = await compare(a, b, { metric: "neutral" });
    assert.match(errors[0].message, /balanced, gap, aligned, conflicting, margin:aligned/);
  });

  it("for other seeds on the two sides, seeds twice, and cells mixed on one side", async () => {
    const eight = cell(seeded, "SFT", 0.1);
    await refused([eight, [cell(seeded, "SFT", 0.9).slice(1)], {}], "INVALID_INPUT", ["candidates", "0"]);
    await refused([[eight[0] ?? "", eight[0] ?? ""], [eight], {}], "INVALID_INPUT", ["baseline"]);
    await refused([[eight[0] ?? "", cell(seeded, "SFT", 0.9)[1] ?? ""], [eight], {}], "INVALID_INPUT", ["baseline"]);
  });

  it("for no runs, too many candidates, a threshold of 0", async () => {
    const a = cell(runs, "SFT", 0.1);
    await refused([[], [a], {}], "INVALID_INPUT", ["baseline"]);
    await refused([a, [], {}], "INVALID_INPUT", ["candidates"]);
    await refused([a, Array.from({ length: 11 }, () => a), {}], "INVALID_INPUT", ["candidates"]);
    await refused([a, [a], { threshold: 0 }], "INVALID_INPUT", ["practicalThreshold"]);
  });

  it("for runs that score nothing and runs that are not there", async () => {
    const a = cell(runs, "SFT", 0.1);
    const { run } = await data(
      test,
      holder,
      "query ($id: ID!) { run(id: $id) { experiment { runs(first: 1) { edges { node { id } } } } } }",
      { id: a[0] },
    );
    await refused([a, [[run.experiment.runs.edges[0].node.id]], {}], "INVALID_INPUT", ["candidates", "0", "0"]);
    await refused([a, [["x"]], {}], "NOT_FOUND", ["candidates", "0", "0"]);
  });

  it("to another tenant, as if the runs were not there", async () => {
    const stranger = await test.newHolder();
    const variables = { baseline: cell(runs, "SFT", 0.1), candidates: [cell(runs, "SFT", 0.9)], metric: "conflicting" };
    const { body } = await ask({ api: test.api, key: stranger.key }, QUERY, variables);
    assert.deepEqual(body.data.compareRuns.comparisons, []);
    assert.equal(body.data.compareRuns.errors[0].code, "NOT_FOUND");
    const { comparisons } = await compare(variables.baseline, variables.candidates);
    const id = comparisons[0].flips.edges[0].node.id;
    assert.deepEqual(await data(test, stranger, "query ($id: ID!) { node(id: $id) { id } }", { id }), { node: null });
  });
});
