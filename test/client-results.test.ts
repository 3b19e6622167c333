import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { AssayClient, AssayRequestError } from "../clients/typescript/index.js";
import { testApi } from "./support/api.js";
import { fullTenant, startWork, type TenantIds, type TrainRun, trainRuns } from "./support/fixture.js";

const test = await testApi();
await startWork(test);
const client = new AssayClient({ url: test.api.url, key: test.holder.key });
let ids: TenantIds = {};
let runs: readonly TrainRun[] = [];
before(async () => {
  ids = await fullTenant(test, test.holder);
  runs = await trainRuns(test, test.holder, ids["Experiment"] ?? "");
});

function runOf(spuriousness: number): string {
  return runs.find(({ cell }) => cell.method === "SFT" && cell.spuriousness === spuriousness)?.id ?? "";
}

function code(wanted: string): (thrown: unknown) => boolean {
  return (thrown) => thrown instanceof AssayRequestError && thrown.code === wanted;
}

describe("the client", () => {
  it("reads the items of a run, sieved or all", async () => {
    const all = await client.runItems(runOf(0.9));
    assert.equal(all.length, 28);
    const wrong = await client.runItems(runOf(0.9), { split: "test", group: "conflicting", maxScore: 0 });
    assert.deepEqual(
      wrong,
      all.filter(({ split, group, score }) => split === "test" && group === "conflicting" && score === 0),
    );
    for (const { output, expected } of wrong) assert.notEqual(output, expected);
    await assert.rejects(client.runItems("x"), code("NOT_FOUND"));
  });

  it("compares runs", async () => {
    const request = { baseline: [runOf(0.9)], candidates: [[runOf(0)], [runOf(0.1)]], metric: "conflicting" };
    const found = await client.compareRuns({ ...request, practicalThreshold: 0.01 });
    assert.deepEqual(
      found.map(({ seeds, test: made }) => [seeds, made]),
      [
        [1, "MCNEMAR_EXACT"],
        [1, "MCNEMAR_EXACT"],
      ],
    );
    assert.ok((found[0]?.delta ?? 0) > 0);
    await assert.rejects(client.compareRuns({ ...request, metric: "bleu" }), code("INVALID_INPUT"));
  });

  it("exports a report and downloads it", async () => {
    const artifact = await client.exportExperiment(ids["Experiment"] ?? "", "REPORT_TEXT");
    assert.equal(await client.artifactText(artifact), "A report.\n");
    await assert.rejects(
      client.exportExperiment(ids["Experiment"] ?? "", "REPORT_HTML"),
      code("UNSUPPORTED_COMBINATION"),
    );
  });
});
