import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { projectFolder } from "../src/embedded/project.js";

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function node(args: readonly string[], options: { cwd: string; env?: NodeJS.ProcessEnv }): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, args, options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
    });
  });
}

describe("npm run", () => {
  it("sets nothing up again when everything is there", async () => {
    const { code, stdout, stderr } = await node(["scripts/run.mjs", "build"], { cwd: projectFolder() });
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: "", stderr: "" });
  });

  it("refuses a verb that it does not know and lists those that it does", async () => {
    const { code, stderr } = await node(["scripts/run.mjs", "tset"], { cwd: projectFolder() });
    assert.equal(code, 64);
    assert.match(stderr, /Wanted one of start, topics, demo, .*but got tset/);
  });

  it("fails when a word names no test", async () => {
    const { code, stderr } = await node(["scripts/run.mjs", "test", "no-such-test-file"], { cwd: projectFolder() });
    assert.equal(code, 69);
    assert.match(stderr, /No test file's name holds no-such-test-file/);
  });
});

describe("the set-up scripts", () => {
  // In a copy, so that locks and stamps of the checkout stay as they are.
  const copy = mkdtempSync(join(tmpdir(), "assay-setup-"));
  cpSync(join(projectFolder(), "scripts"), join(copy, "scripts"), { recursive: true });
  after(() => rmSync(copy, { recursive: true, force: true }));
  const evaluate = (code: string, env?: NodeJS.ProcessEnv): Promise<Outcome> =>
    node(["--input-type=module", "-e", code], { cwd: copy, ...(env === undefined ? {} : { env }) });

  it("do their work one after the other when two run at once", async () => {
    const code = `
      import { appendFileSync } from "node:fs";
      import { withLock } from "./scripts/toolbox.mjs";
      await withLock(async () => {
        appendFileSync("order.txt", "in ");
        await new Promise((resolve) => setTimeout(resolve, 50));
        appendFileSync("order.txt", "out ");
      });`;
    const outcomes = await Promise.all([evaluate(code), evaluate(code), evaluate(code)]);
    assert.deepEqual(
      outcomes.map((outcome) => outcome.code),
      [0, 0, 0],
    );
    assert.equal(readFileSync(join(copy, "order.txt"), "utf8"), "in out in out in out ");
  });

  it("take over the lock of a set-up that was killed", async () => {
    mkdirSync(join(copy, ".cache"), { recursive: true });
    writeFileSync(join(copy, ".cache", "setup.lock"), "2147483646");
    const { code, stdout } = await evaluate(
      'import { withLock } from "./scripts/toolbox.mjs"; await withLock(() => console.log("done"));',
    );
    assert.deepEqual({ code, stdout }, { code: 0, stdout: "done\n" });
  });

  it("do a step again when what it was made from has changed, or when it was broken off", async () => {
    const { code, stdout } = await evaluate(`
      import { mkdirSync, writeFileSync } from "node:fs";
      import { digestOfFiles, isStamped, stamp, unstamp } from "./scripts/toolbox.mjs";
      mkdirSync("made"); writeFileSync("input", "a");
      const before = digestOfFiles(["input"]);
      stamp("made", before);
      const answers = [isStamped("made", digestOfFiles(["input"]))];
      writeFileSync("input", "b");
      answers.push(isStamped("made", digestOfFiles(["input"])));
      unstamp("made");
      answers.push(isStamped("made", before));
      console.log(answers.join());`);
    assert.deepEqual({ code, stdout }, { code: 0, stdout: "true,false,false\n" });
  });

  it("say which Python they found when it is too old or missing, and name the Debian package", async () => {
    const bin = join(copy, "bin");
    mkdirSync(bin);
    writeFileSync(join(bin, "python3"), "#!/bin/sh\necho 3.9.2\n");
    chmodSync(join(bin, "python3"), 0o755);
    const find =
      'import { findPython } from "./scripts/python.mjs"; try { findPython(); } catch (error) { console.log(error.message); }';
    const old = await evaluate(find, { PATH: bin });
    assert.match(
      old.stdout,
      /needs Python 3\.11 or newer, but python3 is 3\.9\.2.*apt-get install python3 python3-venv/,
    );
    const none = await evaluate(find, { PATH: join(copy, "nothing") });
    assert.match(none.stdout, /none of python3, .* could be run/);
  });
});
