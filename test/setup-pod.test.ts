import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { LocalPod } from "../src/embedded/pod.js";
import { relayLine } from "../src/embedded/pod-lines.js";
import { podEnvironment } from "../src/embedded/pod-process.js";
import { jsonLog } from "../src/log.js";
import { eventually } from "./support/eventually.js";

function accepts(address: string | undefined): Promise<boolean> {
  const [host = "", port = "0"] = (address ?? "").split(":");
  return new Promise((resolve) => {
    const socket = connect(Number(port), host, () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

/** Never 0: a signal to pid 0 would go to the test's own process group. */
function pidOf(pod: LocalPod): number {
  assert.ok(pod.pid !== undefined && pod.pid > 1, "the pod has no process");
  return pod.pid;
}

describe("the local pod", () => {
  const folder = mkdtempSync(join(tmpdir(), "assay-pod-"));
  const lines: string[] = [];
  const addresses: (string | undefined)[] = [];
  const pod = LocalPod.start({
    artifactsDir: join(folder, "artifacts"),
    cacheDir: join(folder, "models"),
    slots: 1,
    arguments: ["--device", "cpu", "--preload", "none"],
    log: jsonLog("pod", (line) => lines.push(line)),
    onAddress: (address) => addresses.push(address),
  });
  after(async () => {
    await pod.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("tells its address once it accepts connections", async () => {
    const address = await eventually("an address", () => addresses.at(-1));
    assert.match(address, /^127\.0\.0\.1:\d+$/);
    assert.equal(await accepts(address), true);
  });

  it("is started again at a new address after it was killed", async () => {
    const first = pidOf(pod);
    process.kill(first, "SIGKILL");
    await eventually("word that the pod is gone", () => addresses.includes(undefined));
    const address = await eventually("another address", () => addresses.at(-1));
    assert.notEqual(pod.pid, first);
    assert.equal(await accepts(address), true);
  });

  it("writes what it says into the service's log, one line each", () => {
    const said = lines.map((line): Record<string, unknown> => JSON.parse(line));
    assert.ok(said.every(({ part }) => part === "pod"));
    assert.ok(said.some(({ message }) => message === "listening"));
  });

  it("is gone after closing, and no other comes", async () => {
    const pid = pidOf(pod);
    await pod.close();
    assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
    assert.equal(pod.pid, undefined);
    assert.equal(addresses.at(-1), undefined);
  });
});

describe("a pod's variables", () => {
  it("hold no login of the service's bucket, bus or database, and what else the service was given", () => {
    const secrets = [
      "AWS_ACCESS_KEY_ID",
      "AWS_SECRET_ACCESS_KEY",
      "AWS_SESSION_TOKEN",
      "AWS_PROFILE",
      "AWS_WEB_IDENTITY_TOKEN_FILE",
      "ASSAY_KAFKA_SASL_PASSWORD",
      "ASSAY_DATABASE_WORK_PASSWORD",
    ];
    const given = Object.fromEntries(secrets.map((name) => [name, "canary"]));
    const env = podEnvironment({ ...given, HF_HUB_OFFLINE: "1" });
    assert.deepEqual(
      Object.keys(env).filter((name) => env[name] === "canary"),
      [],
    );
    assert.equal(env["HF_HUB_OFFLINE"], "1");
  });
});

describe("a line of the pod's log", () => {
  const relayed = (line: string): Record<string, unknown> => {
    const lines: string[] = [];
    relayLine(
      line,
      jsonLog("pod", (text) => lines.push(text)),
    );
    assert.equal(lines.length, 1);
    return JSON.parse(lines[0] ?? "");
  };

  it("keeps its level and fields", () => {
    const { level, message, run, at } = relayed(
      '{"at":"then","level":"warning","event":"slow run","run":"r1","part":"forged"}',
    );
    assert.deepEqual({ level, message, run }, { level: "warn", message: "slow run", run: "r1" });
    assert.notEqual(at, "then");
    assert.equal(relayed('{"level":"error","event":"x","part":"forged"}')["part"], "pod");
  });

  it("is kept as text when it is not JSON", () => {
    assert.deepEqual(relayed("Segmentation fault")["message"], "Segmentation fault");
    assert.deepEqual(relayed("[1]")["message"], "[1]");
  });
});
