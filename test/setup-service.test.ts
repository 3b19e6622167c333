import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { projectFolder } from "../src/embedded/project.js";
import { eventually } from "./support/eventually.js";

describe("npm start", () => {
  const dataDir = mkdtempSync(join(tmpdir(), "assay-start-"));
  const started: ChildProcess[] = [];
  const start = (): ChildProcess => {
    const env = { ...process.env, ASSAY_DATA_DIR: dataDir, ASSAY_PORT: "0" };
    const child = spawn(process.execPath, ["scripts/run.mjs", "start"], { cwd: projectFolder(), env, stdio: "ignore" });
    started.push(child);
    return child;
  };
  const announced = (): string | undefined => {
    if (!existsSync(join(dataDir, "service.json"))) return undefined;
    return /"url":"([^"]+)"/.exec(readFileSync(join(dataDir, "service.json"), "utf8"))?.[1];
  };
  let service: ChildProcess;
  after(async () => {
    for (const child of started) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGTERM");
        await once(child, "exit");
      }
    }
    rmSync(dataDir, { recursive: true, force: true });
  });

  it("brings up a service that answers, with a key that only its owner can read", async () => {
    service = start();
    const url = await eventually("the service to announce itself", announced);
    assert.equal((await fetch(new URL("/healthz", url))).status, 200);
    assert.equal(statSync(join(dataDir, "key")).mode & 0o777, 0o600);
  });

  it("refuses a second service on the same data folder and leaves the first alone", async () => {
    const url = announced();
    const [code] = await once(start(), "exit");
    assert.equal(code, 69);
    assert.equal(announced(), url);
    assert.equal((await fetch(new URL("/healthz", url))).status, 200);
  });

  it("ends in order on SIGTERM and leaves no server behind", async () => {
    const exit = once(service, "exit");
    service.kill("SIGTERM");
    assert.deepEqual(await exit, [0, null]);
    assert.equal(announced(), undefined);
    assert.equal(existsSync(join(dataDir, "postgres", "postmaster.pid")), false);
  });

  it("ends in order on Ctrl-C, also where npm and the terminal both tell it", async () => {
    service = start();
    const url = await eventually("the service to announce itself", announced);
    assert.equal((await fetch(new URL("/healthz", url))).status, 200);
    const pid = Number(/"pid":(\d+)/.exec(readFileSync(join(dataDir, "service.json"), "utf8"))?.[1]);
    const exit = once(service, "exit");
    process.kill(pid, "SIGINT");
    service.kill("SIGINT");
    assert.deepEqual(await exit, [0, null]);
    assert.equal(announced(), undefined);
    assert.equal(existsSync(join(dataDir, "postgres", "postmaster.pid")), false);
  });
});
