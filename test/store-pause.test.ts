import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { AssayError } from "../src/errors.js";
import { cancelExperiment } from "../src/store/cancel.js";
import type { ExperimentKey } from "../src/store/events.js";
import { pauseExperiment, resumeExperiment } from "../src/store/pause.js";
import { assertInvariants } from "./faults/checker.js";
import { testDatabases } from "./support/databases.js";
import { LeaseRig } from "./support/lease-rig.js";

const databases = await testDatabases();
const rig = new LeaseRig(databases);
const { app } = databases;

const pause = (key: ExperimentKey): Promise<boolean> => app.withTenant(key.tenantId, (tx) => pauseExperiment(tx, key));
const resume = (key: ExperimentKey): Promise<boolean> =>
  app.withTenant(key.tenantId, (tx) => resumeExperiment(tx, key));

const twoStages = [
  { stage: 0 },
  { stage: 0 },
  { stage: 1, inputs: [{ from: 0, artifact: "file", required: true }] },
] as const;

afterEach(() => assertInvariants(databases));

describe("a paused experiment", () => {
  it("gives no run to a pod until it is resumed, and asking twice changes nothing", async () => {
    const key = await rig.submit(twoStages);
    assert.equal(await pause(key), true);
    assert.equal(await pause(key), false);
    assert.deepEqual(await rig.states(key), ["PAUSED", "PAUSED", "WAITING"]);
    assert.deepEqual(await rig.start(key), []);
    assert.equal(await resume(key), true);
    assert.equal(await resume(key), false);
    assert.deepEqual(await rig.states(key), ["QUEUED", "QUEUED", "WAITING"]);
    assert.deepEqual(await rig.heard(key), ["QUEUED", "PAUSED", "QUEUED"]);
    assert.equal((await rig.start(key)).length, 2);
  });

  it("holds back a run whose pod or try is lost under it, and tells of the pause once no pod works", async () => {
    const key = await rig.submit(twoStages);
    const [one, other] = await rig.start(key);
    assert.ok(one !== undefined && other !== undefined);
    await pause(key);
    assert.deepEqual(await rig.states(key), ["RUNNING", "RUNNING", "WAITING"]);
    await rig.fail(one, "LOST");
    assert.deepEqual(await rig.heard(key), ["QUEUED", "RUNNING"]);
    await rig.fail(other, "TRANSIENT");
    assert.deepEqual(await rig.states(key), ["PAUSED", "PAUSED", "WAITING"]);
    assert.deepEqual(await rig.heard(key), ["QUEUED", "RUNNING", "PAUSED"]);
    await resume(key);
    const wishes = await databases.query("select 1 from run where release_reason is not null");
    assert.deepEqual(wishes, []);
  });

  it("counts what its pods still finish, and holds the next stage back as it opens", async () => {
    const key = await rig.submit(twoStages);
    const [one, other] = await rig.start(key);
    assert.ok(one !== undefined && other !== undefined);
    await pause(key);
    await rig.complete(one, "file");
    await rig.complete(other, "file");
    assert.deepEqual(await rig.states(key), ["SUCCEEDED", "SUCCEEDED", "PAUSED"]);
    assert.deepEqual((await rig.heard(key)).slice(-2), ["RUNNING", "PAUSED"]);
    await resume(key);
    const [last] = await rig.start(key);
    assert.ok(last !== undefined);
    await rig.complete(last);
    assert.equal((await rig.heard(key)).at(-1), "SUCCEEDED");
  });

  it("that ends all the same is paused no more", async () => {
    const key = await rig.submit([{ stage: 0 }]);
    const [run] = await rig.start(key);
    assert.ok(run !== undefined);
    await pause(key);
    await rig.complete(run);
    const [row] = await databases.query(
      "select paused_at, ended_at is not null as ended from experiment where id = $1",
      [key.experimentId],
    );
    assert.deepEqual(row, { paused_at: null, ended: true });
    await assert.rejects(resume(key), isConflict("SUCCEEDED"));
  });

  it("can be cancelled, and is then neither paused nor resumed", async () => {
    const key = await rig.submit(twoStages);
    const [run] = await rig.start(key, 1);
    assert.ok(run !== undefined);
    await pause(key);
    const cancelled = await app.withTenant(key.tenantId, (tx) =>
      cancelExperiment(tx, key, { mode: "GRACEFUL", reason: null }),
    );
    assert.equal(cancelled, true);
    await assert.rejects(pause(key), isConflict("CANCELLING"));
    await assert.rejects(resume(key), isConflict("CANCELLING"));
    await rig.fail(run, "LOST");
    assert.equal((await rig.heard(key)).at(-1), "CANCELLED");
  });

  it("of another tenant is not there", async () => {
    const key = await rig.submit(twoStages);
    const stranger = await databases.newTenant();
    assert.equal(await app.withTenant(stranger.tenantId, (tx) => pauseExperiment(tx, key)), false);
    assert.deepEqual(await rig.states(key), ["QUEUED", "QUEUED", "WAITING"]);
  });
});

function isConflict(currentState: string) {
  return (error: unknown): boolean =>
    error instanceof AssayError && error.code === "STATE_CONFLICT" && error.detail["currentState"] === currentState;
}
