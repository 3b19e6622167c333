import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { AssayClient } from "../clients/typescript/index.js";
import { openService, type Service } from "../src/cli/service.js";
import { eventually } from "./support/eventually.js";
import { jsonLines, preferenceRows } from "./support/preference-rows.js";
import { writeTinyModel } from "./support/tiny-model.js";

/** The demo's own command, with a tiny random model so that it takes seconds; the path is the same for any model. */
const folder = mkdtempSync(join(tmpdir(), "assay-demo-"));
const dataDir = join(folder, "data");
const model = join(folder, "tiny");
const env = { ...process.env, ASSAY_DATA_DIR: dataDir, ASSAY_MODEL_CACHE: join(folder, "models") };

interface Running {
  readonly child: ChildProcess;
  readonly out: () => string;
  readonly err: () => string;
  readonly exit: Promise<number | null>;
}

function demo(args: readonly string[]): Running {
  const main = join(import.meta.dirname, "..", "src", "cli", "main.js");
  const child = spawn(process.execPath, [main, "demo", "--blocks", "2", ...args], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [out, err] = ["", ""];
  child.stdout.on("data", (chunk) => {
    out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    err += chunk;
  });
  return { child, out: () => out, err: () => err, exit: once(child, "close").then(([code]) => code) };
}

before(() => writeTinyModel(model));
after(() => rmSync(folder, { recursive: true, force: true }));

describe("assay demo", () => {
  let service: Service;
  before(async () => {
    process.env["ASSAY_MODEL_CACHE"] = join(folder, "models");
    service = await openService({ dataDir });
  });
  after(() => service.stop());

  it("names its contrast before it runs, prints the report, writes it as JSON and ends with 0", async () => {
    const json = join(folder, "report.json");
    const { out, err, exit } = demo(["--model", model, "--json", json]);
    assert.equal(await exit, 0, err());
    const [declared, submitted] = ["Declared before it runs: DPO", "Submitted experiment"].map((words) =>
      err().indexOf(words),
    );
    assert.ok(declared !== undefined && submitted !== undefined && declared >= 0 && declared < submitted, err());
    assert.match(err(), /^Using the service at /);
    assert.match(err(), /SUCCEEDED after/);
    for (const method of ["SFT", "DPO", "KTO"]) assert.ok(out().includes(method), out());
    const report: unknown = JSON.parse(readFileSync(json, "utf8"));
    assert.ok(typeof report === "object" && report !== null && Object.keys(report).length > 5);
    assert.doesNotMatch(err(), /answered from/);
  });

  it("answers the same request again from the earlier runs, with the same report, and says so", async () => {
    const json = join(folder, "again.json");
    const { err, exit } = demo(["--model", model, "--json", json]);
    assert.equal(await exit, 0, err());
    const [, reused, all] =
      /(\d+) of (\d+) runs were answered from equal ones .* --fresh works on all/.exec(err()) ?? [];
    assert.ok(reused !== undefined && reused === all, err());
    assert.equal(readFileSync(json, "utf8"), readFileSync(join(folder, "report.json"), "utf8"));
  });

  it("evaluates a person's own rows by the same path", async () => {
    const rows = join(folder, "rows.jsonl");
    writeFileSync(rows, jsonLines(preferenceRows()));
    const { out, err, exit } = demo(["--model", model, "--data", rows]);
    assert.equal(await exit, 0, err());
    assert.match(err(), new RegExp(`Data: ${preferenceRows().length} rows`));
    assert.match(out(), /UPLOADED/);
  });

  it("ends with an error that names line and column for rows that break the format", async () => {
    const [first = {}, ...rest] = preferenceRows();
    const rows = join(folder, "bad.jsonl");
    writeFileSync(rows, jsonLines([{ ...first, relation: "sideways" }, ...rest]));
    const { err, exit } = demo(["--model", model, "--data", rows]);
    assert.equal(await exit, 65);
    assert.match(err(), /DATASET_INVALID: line 1, relation: wanted/);
  });

  it("ends with the reason when the model is unsafe or not there, before anything is spent", async () => {
    const { err, exit } = demo(["--model", join(folder, "no-such-model")]);
    assert.equal(await exit, 65);
    assert.match(err(), /^[A-Z_]+: .*no-such-model/m);
    assert.doesNotMatch(err(), /Submitted/);
  });

  it("cancels the experiment on Ctrl-C and leaves the service that it found", async () => {
    const { child, err, exit } = demo(["--model", model, "--seeds", "3", "--fresh"]);
    const id = await eventually("the experiment", () => /Submitted experiment (\S+);/.exec(err())?.[1]);
    child.kill("SIGINT");
    assert.equal(await exit, 130, err());
    const client = new AssayClient(service);
    const { state } = await eventually("the experiment to end", async () => {
      const experiment = await client.experiment(id);
      return experiment.endedAt === null ? undefined : experiment;
    });
    assert.equal(state, "CANCELLED");
  });
});

describe("assay demo without a service", () => {
  it("stops the service that it started, also when it is interrupted", async () => {
    const { child, err, exit } = demo(["--model", model, "--fresh"]);
    await eventually("the experiment", () => err().includes("Submitted experiment"));
    child.kill("SIGINT");
    assert.equal(await exit, 130, err());
    assert.equal(existsSync(join(dataDir, "service.json")), false);
    assert.equal(existsSync(join(dataDir, "postgres", "postmaster.pid")), false);
  });

  it("says that the service ended, with its last words, when it is killed underneath", async () => {
    const { err, exit } = demo(["--model", model, "--fresh"]);
    await eventually("the experiment", () => err().includes("Submitted experiment"));
    const { pid }: { pid: number } = JSON.parse(readFileSync(join(dataDir, "service.json"), "utf8"));
    assert.ok(pid > 1);
    process.kill(pid, "SIGKILL");
    assert.equal(await exit, 69, err());
    assert.match(err(), /SETUP_FAILED: the service ended with SIGKILL; its log ends with:\n\{/);
    // The database outlives its service; this one has served.
    const service = await openService({ dataDir });
    await service.stop();
  });
});
