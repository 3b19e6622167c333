import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { AssayClient } from "../clients/typescript/index.js";
import { parseExperimentArguments } from "../src/cli/experiments.js";
import { parseRobustnessArguments, robustnessUsage } from "../src/cli/robustness.js";
import { openService } from "../src/cli/service.js";
import { eventually } from "./support/eventually.js";
import { writeTinyModel } from "./support/tiny-model.js";

const folder = mkdtempSync(join(tmpdir(), "assay-robustness-"));
const dataDir = join(folder, "data");
const model = join(folder, "tiny");
const env = { ...process.env, ASSAY_DATA_DIR: dataDir, ASSAY_MODEL_CACHE: join(folder, "models") };

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

async function assay(args: readonly string[]): Promise<Ended> {
  const main = join(import.meta.dirname, "..", "src", "cli", "main.js");
  const child = spawn(process.execPath, [main, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  let [out, err] = ["", ""];
  child.stdout.on("data", (chunk) => {
    out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    err += chunk;
  });
  const [code]: unknown[] = await once(child, "close");
  return { code: typeof code === "number" ? code : null, out, err };
}

/** Ends the service that a detached command left, and waits until it is gone. */
async function stopService(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  const file = join(dataDir, "service.json");
  if (!existsSync(file)) return;
  const { pid }: { pid: number } = JSON.parse(readFileSync(file, "utf8"));
  assert.ok(pid > 1);
  process.kill(pid, signal);
  await eventually("the service to end", () => {
    try {
      process.kill(pid, 0);
      return undefined;
    } catch {
      return true;
    }
  });
}

before(() => writeTinyModel(model));
after(async () => {
  await stopService("SIGTERM");
  rmSync(folder, { recursive: true, force: true });
});

describe("assay robustness --detach", () => {
  it("leaves an experiment that outlives the command and its service, and is watched to its report", async () => {
    const { code, out, err } = await assay([
      "robustness",
      "--preset",
      "smoke",
      "--model",
      model,
      "--blocks",
      "2",
      "--detach",
    ]);
    assert.equal(code, 0, err);
    const id = out.trim();
    assert.match(id, /^\S+$/);
    assert.match(err, new RegExp(`The service goes on at .*"assay watch ${id}"`));
    // The service is killed amid the work; another one takes the experiment up.
    await stopService("SIGKILL");
    process.env["ASSAY_MODEL_CACHE"] = join(folder, "models");
    const service = await openService({ dataDir });
    try {
      const watched = await assay(["watch", id, "--out", join(folder, "watched")]);
      assert.equal(watched.code, 0, watched.err);
      assert.equal((await new AssayClient(service).experiment(id)).state, "SUCCEEDED");
      const reported = await assay(["report", id, "--out", join(folder, "reported")]);
      assert.equal(reported.code, 0, reported.err);
      assert.equal(reported.out, watched.out);
      const files = readdirSync(join(folder, "reported"));
      for (const name of ["report.json", "report.txt"]) assert.ok(files.includes(name), files.join());
      for (const name of files) {
        assert.deepEqual(readFileSync(join(folder, "reported", name)), readFileSync(join(folder, "watched", name)));
      }
    } finally {
      await service.stop();
    }
  });
});

describe("the arguments of assay robustness, watch and report", () => {
  it("name a preset, and are refused with what was wanted where they do not", () => {
    const options = parseRobustnessArguments([
      "--preset",
      "laptop",
      "--data",
      "x.jsonl",
      "--format",
      "gsm8k",
      "--seeds",
      "4",
    ]);
    assert.ok(options !== "help");
    assert.equal(options.preset, "LAPTOP");
    assert.equal(options.data?.format, "GSM8K");
    assert.equal(options.seeds, 4);
    const refused: [string[], RegExp][] = [
      [[], /--preset: wanted one of smoke, laptop, full, but got nothing/],
      [["--preset", "huge"], /but got huge/],
      [
        ["--preset", "smoke", "--format", "csv", "--data", "x"],
        /--format: wanted one of preference, gsm8k, ifeval, squad/,
      ],
      [["--preset", "smoke", "--seeds", "0"], /--seeds: wanted an integer from 1 to 100/],
    ];
    for (const [args, message] of refused) {
      assert.throws(() => parseRobustnessArguments(args), { code: "INVALID_INPUT", message });
    }
    assert.throws(() => parseExperimentArguments([]), { code: "INVALID_INPUT", message: /the id of one experiment/ });
    assert.throws(() => parseExperimentArguments(["a", "b"]), { code: "INVALID_INPUT", message: /but got a b/ });
  });

  it("are all explained by --help", () => {
    assert.equal(parseRobustnessArguments(["--help"]), "help");
    for (const flag of [
      "--preset",
      "--name",
      "--model",
      "--seeds",
      "--blocks",
      "--data",
      "--format",
      "--fresh",
      "--detach",
      "--out",
    ]) {
      assert.ok(robustnessUsage.includes(flag), flag);
    }
  });
});
