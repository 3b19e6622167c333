import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Json } from "../src/domain/digest.js";
import { ranksOf } from "../src/domain/surface.js";
import { ErrorClass } from "../src/gen/assay/pod/v1/run.js";
import { ask, type GraphqlAnswer, testApi } from "./support/api.js";
import { doRobustness, ended, startWork } from "./support/fixture.js";
import { plantedReports } from "./support/planted-reports.js";
import { data, ERRORS, specFor, submit } from "./support/requests.js";

const reports = plantedReports();
const test = await testApi();
const { api, holder } = test;
/** What the next report run writes: its files by kind; null for none and a failure. */
let written: readonly (readonly [string, string, string])[] | null = [];
await startWork(test, async (task) => {
  if (task.spec["step"] !== "report") return doRobustness(task);
  if (written === null) return { errorClass: ErrorClass.ERROR_CLASS_BAD_INPUT, code: "ITEMS_INVALID" };
  for (const [name, kind, text] of written) await task.make(name, kind, text);
  return { metrics: { report: true } };
});

async function experiment(idempotencyKey: string, files: typeof written): Promise<string> {
  written = files;
  const spec = await specFor(test, holder);
  const { experiment: accepted } = await submit(test, holder, { spec, idempotencyKey });
  await ended(test, holder, accepted.id);
  return accepted.id;
}

const ESTIMATE = "{ name value items seeds interval { level low high method } }";
const CELL = "{ method task artifact spuriousness variant learningRate model { name } }";
const SURFACE = `query ($id: ID!) { experiment(id: $id) { ... on RobustnessExperiment { surface {
  summary notShown caveats missingCells { seed reason cell ${CELL} }
  untrained { task artifact warmedUp groups { group estimate ${ESTIMATE} } gap ${ESTIMATE} }
  degradations { from to verdict reason adjustedPValue estimate ${ESTIMATE} cell ${CELL} }
  ranking { method rankLow rankHigh tiedWith }
  points { verdict reason seeds cell ${CELL} groups { group estimate ${ESTIMATE} } gap ${ESTIMATE}
    controlAdjustedGap ${ESTIMATE} baseAdjustedGap ${ESTIMATE} degradation ${ESTIMATE} reliance ${ESTIMATE}
    worstGroup { group estimate ${ESTIMATE} } controls { kind method passed reason estimate ${ESTIMATE} } } } } } }`;

type Answer = GraphqlAnswer["body"]["data"];

async function surface(id: string): Promise<Answer> {
  return (await data(test, holder, SURFACE, { id })).experiment.surface;
}

function pointOf(found: Answer, method: string, spuriousness: number): Answer {
  return found.points.find(({ cell }: Answer) => cell.method === method && cell.spuriousness === spuriousness);
}

function cellOf(report: string, method: string, spuriousness: number): Answer {
  const { cells }: { cells: { method: string; spuriousness: number }[] } = JSON.parse(report);
  return cells.find((cell) => cell.method === method && cell.spuriousness === spuriousness);
}

const DERIVED = ["gap", "controlAdjustedGap", "baseAdjustedGap", "degradation", "reliance", "worstGroup"] as const;

describe("the surface of an experiment", () => {
  it("holds the report's figures cell by cell, with their controls", async () => {
    const found = await surface(await experiment("measured", [["report.json", "REPORT_JSON", reports.measured]]));
    const document: Answer = JSON.parse(reports.measured);
    assert.equal(found.points.length, document.cells.length);
    for (const [method, rate] of [
      ["DPO", 0.9],
      ["SFT", 0.1],
      ["SFT", 0],
    ] as const) {
      const [point, cell] = [pointOf(found, method, rate), cellOf(reports.measured, method, rate)];
      assert.deepEqual([point.verdict, point.reason, point.seeds], [cell.verdict, cell.reason, cell.seeds]);
      const { value, low, high, n } = cell.gap;
      assert.deepEqual(point.gap, {
        name: "gap",
        value,
        items: n,
        seeds: 1,
        interval: { level: 0.95, low, high, method: "ADJUSTED_WALD" },
      });
      assert.deepEqual(
        point.groups.map(({ group, estimate }: Answer) => [group, estimate.value]),
        Object.entries<Answer>(cell.groups).flatMap(([group, one]) => (one === null ? [] : [[group, one.value]])),
      );
      assert.deepEqual(
        [point.worstGroup.group, point.worstGroup.estimate.value],
        [cell.worstGroup.group, cell.worstGroup.value],
      );
    }
    const strong = pointOf(found, "DPO", 0.9);
    assert.equal(strong.verdict, "MEASURED");
    assert.equal(strong.cell.model.name, "SmolLM2");
    assert.deepEqual(
      strong.controls.map(({ kind, method, passed }: Answer) => [kind, method, passed]),
      [
        ["UNTRAINED_BASE", "BASE", true],
        ["RATE_ZERO", "DPO", true],
        ["RATE_ONE", "DPO", true],
      ],
    );
    assert.equal(
      strong.degradation.value,
      found.degradations.find(({ cell }: Answer) => cell.method === "DPO").estimate.value,
    );
    assert.equal(pointOf(found, "DPO", 0.1).degradation, null, "only the second rate has lost something");
    assert.equal(
      pointOf(found, "SFT", 0.9).controls.at(-1).method,
      "DPO",
      "the one positive control serves all methods",
    );
    assert.deepEqual([found.untrained.length, found.untrained[0].warmedUp], [1, false]);
    assert.deepEqual(found.summary, document.summary);
    assert.deepEqual(found.caveats, document.caveats);
  });

  it("has no derived figure where the core was not learned, but the accuracies", async () => {
    const found = await surface(await experiment("unlearned", [["report.json", "REPORT_JSON", reports.unlearned]]));
    for (const point of found.points) {
      assert.equal(point.verdict, "CORE_NOT_LEARNED");
      for (const name of DERIVED) assert.equal(point[name], null, name);
      assert.ok(point.groups.length > 0);
    }
    for (const row of found.degradations) assert.deepEqual([row.verdict, row.estimate], ["NOT_MEASURABLE", null]);
  });

  it("gives none either where a document holds figures that its verdict forbids", async () => {
    const document: Answer = JSON.parse(reports.measured);
    for (const cell of document.cells) cell.verdict = "CONTROL_FAILED";
    const found = await surface(
      await experiment("forbidden", [["report.json", "REPORT_JSON", JSON.stringify(document)]]),
    );
    for (const point of found.points) for (const name of DERIVED) assert.equal(point[name], null, name);
  });

  it("names runs without a full result", async () => {
    const found = await surface(await experiment("incomplete", [["report.json", "REPORT_JSON", reports.incomplete]]));
    assert.equal(found.missingCells.length, 1);
    assert.equal(found.missingCells[0].seed, 101);
    assert.ok(found.missingCells[0].reason.length > 0);
    const { cell } = found.missingCells[0];
    assert.equal(pointOf(found, cell.method, cell.spuriousness).verdict, "INCOMPLETE");
  });

  it("is null until there is a report, and to another tenant with its experiment", async () => {
    const id = await experiment("none", null);
    assert.equal(await surface(id), null);
    assert.deepEqual(await data(test, await test.newHolder(), SURFACE, { id }), { experiment: null });
  });

  for (const [name, text, code] of [
    ["is no JSON", "{", "ARTIFACT_CORRUPT"],
    ["says no schema", '{"report":true}', "ARTIFACT_CORRUPT"],
    ["has a verdict that nobody knows", unknownVerdict(), "ARTIFACT_CORRUPT"],
    ["is of an older schema", '{"schema":"assay.robustness.report/1"}', "UNSUPPORTED_COMBINATION"],
  ] as const) {
    it(`answers ${code} for a report that ${name}`, async () => {
      const id = await experiment(name, [["report.json", "REPORT_JSON", text]]);
      const { body } = await ask({ api, key: holder.key }, SURFACE, { id });
      assert.equal(body.errors?.[0]?.extensions["code"], code);
      assert.deepEqual(body.errors?.[0]?.path, ["experiment", "surface"]);
    });
  }
});

function unknownVerdict(): string {
  const document: { cells: { [name: string]: Json }[] } = JSON.parse(reports.measured);
  for (const cell of document.cells) cell["verdict"] = "SPLENDID";
  return JSON.stringify(document);
}

describe("ranks", () => {
  it("are ranges where nothing was shown, and follow what was", () => {
    const pairs = [
      { method: "DPO", against: "KTO", verdict: "INCONCLUSIVE" },
      { method: "DPO", against: "SFT", verdict: "WORSE" },
      { method: "KTO", against: "SFT", verdict: "INCONCLUSIVE" },
    ];
    assert.deepEqual(ranksOf(pairs), [
      { method: "DPO", rankLow: 2, rankHigh: 3, tiedWith: ["KTO"] },
      { method: "KTO", rankLow: 1, rankHigh: 3, tiedWith: ["DPO", "SFT"] },
      { method: "SFT", rankLow: 1, rankHigh: 2, tiedWith: ["KTO"] },
    ]);
  });

  it("are none where no two methods could be compared", () => {
    assert.deepEqual(ranksOf([{ method: "DPO", against: "SFT", verdict: "NO_COMPARISON" }]), []);
  });
});

const EXPORT = `mutation ($input: ExportExperimentInput!) { exportExperiment(input: $input) {
  artifact { id name kind bytes digest downloadUrl } ${ERRORS} clientMutationId } }`;

async function exported(experimentId: string, format: string, by = holder): Promise<Answer> {
  return (await data(test, by, EXPORT, { input: { experimentId, format, clientMutationId: "m" } })).exportExperiment;
}

describe("exportExperiment", () => {
  const files = [
    ["report.json", "REPORT_JSON", reports.measured],
    ["report.txt", "REPORT_TEXT", "A report.\n"],
    ["report.md", "REPORT_MARKDOWN", "# A report\n"],
    ["report.html", "REPORT_HTML", "<!doctype html><script>alert(1)</script>"],
    ["lm-eval.json", "LM_EVAL_JSON", '{"results":{}}'],
    ["items-export.jsonl", "ITEMS_EXPORT", '{"cell":{},"item":{}}\n'],
  ] as const;
  const types: Readonly<Record<string, string>> = {
    REPORT_JSON: "application/json",
    REPORT_TEXT: "text/plain; charset=utf-8",
    REPORT_MARKDOWN: "text/markdown; charset=utf-8",
    REPORT_HTML: "text/html; charset=utf-8",
    LM_EVAL_JSON: "application/json",
    ITEMS_EXPORT: "application/x-ndjson",
  };

  it("gives each form as a file that browsers save and never run", async () => {
    const id = await experiment("all forms", files);
    for (const [name, kind, text] of files) {
      const { artifact, errors, clientMutationId } = await exported(id, kind);
      assert.deepEqual([errors, clientMutationId, artifact.name, artifact.kind], [[], "m", name, kind]);
      const answer = await fetch(artifact.downloadUrl, { headers: { authorization: `Bearer ${holder.key}` } });
      assert.equal(await answer.text(), text);
      assert.equal(answer.headers.get("content-type"), types[kind]);
      assert.equal(answer.headers.get("content-disposition"), `attachment; filename="${name}"`);
      assert.equal(answer.headers.get("content-security-policy"), "sandbox; default-src 'none'");
      assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
      assert.equal((await fetch(artifact.downloadUrl)).status, 401);
    }
  });

  it("says which forms there are where the report lacks one", async () => {
    const id = await experiment("two forms", files.slice(0, 2));
    const { artifact, errors } = await exported(id, "REPORT_HTML");
    assert.equal(artifact, null);
    assert.deepEqual(
      [errors[0].code, errors[0].path, errors[0].supported],
      ["UNSUPPORTED_COMBINATION", ["input", "format"], ["REPORT_JSON", "REPORT_TEXT"]],
    );
  });

  it("is a STATE_CONFLICT before there is a report", async () => {
    const { artifact, errors } = await exported(await experiment("no forms", null), "REPORT_JSON");
    assert.equal(artifact, null);
    assert.deepEqual(
      [errors[0].code, errors[0].currentState, errors[0].allowedFrom],
      ["STATE_CONFLICT", "FAILED", ["SUCCEEDED", "PARTIAL"]],
    );
  });

  it("answers another tenant as for an experiment of nothing, and needs READ", async () => {
    const id = await experiment("foreign", files);
    const { artifact, errors } = await exported(id, "REPORT_JSON", await test.newHolder());
    assert.deepEqual([artifact, errors[0].code], [null, "NOT_FOUND"]);
    const writer = await test.newKeyOf(holder.caller, { scopes: ["SUBMIT"] });
    const refused = await exported(id, "REPORT_JSON", writer);
    assert.deepEqual([refused.artifact, refused.errors[0].code], [null, "PERMISSION_DENIED"]);
  });
});
