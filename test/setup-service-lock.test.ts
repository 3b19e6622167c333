import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { holdDataFolder } from "../src/embedded/service-lock.js";

describe("the hold on a data folder", () => {
  const dataDir = mkdtempSync(join(tmpdir(), "assay-lock-"));
  const file = join(dataDir, "service.json");
  after(() => rmSync(dataDir, { recursive: true, force: true }));

  it("is refused while another service lives, and says which", () => {
    const other = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
    try {
      writeFileSync(file, JSON.stringify({ pid: other.pid, url: "http://127.0.0.1:1" }));
      assert.throws(() => holdDataFolder(dataDir), { code: "SETUP_FAILED", message: new RegExp(`pid ${other.pid}`) });
    } finally {
      other.kill("SIGKILL");
    }
  });

  it("is taken over from a service that was killed, or a file that was cut short", () => {
    for (const left of ['{"pid":2147483646}', '{"pi']) {
      writeFileSync(file, left);
      holdDataFolder(dataDir).release();
      assert.equal(existsSync(file), false);
    }
  });

  it("tells commands where the service answers", () => {
    const lock = holdDataFolder(dataDir);
    lock.announce("http://127.0.0.1:4000");
    assert.deepEqual(JSON.parse(readFileSync(file, "utf8")), { pid: process.pid, url: "http://127.0.0.1:4000" });
    lock.release();
  });
});
