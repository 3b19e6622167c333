import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import pg from "pg";
import { DispatchRig } from "./support/dispatch.js";
import { eventually } from "./support/eventually.js";
import type { StubOutcome, StubTask } from "./support/stub-pod.js";

const rig = await DispatchRig.open();
const { query, access } = rig.databases;
afterEach(() => rig.reset());

/** Keeps the experiment's row from everybody else until what it gives is called. */
async function lock(experimentId: string): Promise<() => Promise<void>> {
  const blocker = new pg.Client({ ...access.owner });
  await blocker.connect();
  await blocker.query("begin");
  await blocker.query("select set_config('app.tenant', $1, true)", [rig.databases.caller.tenantId]);
  const { rowCount } = await blocker.query("select from experiment where id = $1 for update", [experimentId]);
  assert.equal(rowCount, 1);
  return () => blocker.end();
}

describe("an ending that cannot be written at once", () => {
  it("brings what its pod said before when it is written again", async () => {
    const gate = Promise.withResolvers<void>();
    const work = async ({ say }: StubTask): Promise<StubOutcome> => {
      say({ $case: "log", value: { level: "info", message: "said before the end" } });
      await gate.promise;
      return { metrics: {} };
    };
    await rig.pod({ work });
    await rig.dispatcher({ newsMs: 60_000 });
    const experimentId = await rig.submit([{ stage: 0 }]);
    await eventually("the run to begin", async () => (await rig.states(experimentId))[0] === "RUNNING");
    const unlock = await lock(experimentId);
    gate.resolve();
    await eventually("the ending to be torn off", async () => {
      const torn = await query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where wait_event_type = 'Lock' and query like '%from experiment where tenant_id%'`,
      );
      return torn.length > 0;
    });
    await unlock();
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
    const lines = await query("select body from event where experiment_id = $1 and kind = 'LOG'", [experimentId]);
    assert.deepEqual(lines, [{ body: { message: "said before the end" } }]);
  });
});

describe("a lease that ran out", () => {
  it("is ended while another one's experiment is locked", async () => {
    const never = new Promise<StubOutcome>(() => undefined);
    await rig.pod({ work: () => never, slots: 2 });
    const first = await rig.dispatcher();
    const experiments = [await rig.submit([{ stage: 0 }]), await rig.submit([{ stage: 0 }])];
    for (const id of experiments)
      await eventually("the run to begin", async () => (await rig.states(id))[0] === "RUNNING");
    await first.stop();
    rig.forget(first);
    rig.addresses.clear();
    const [locked = "", free = ""] = experiments;
    await query("update run set lease_until = now() - interval '2 hours' where experiment_id = $1", [locked]);
    await query("update run set lease_until = now() - interval '1 hour' where experiment_id = $1", [free]);
    const unlock = await lock(locked);
    await rig.dispatcher({ times: { ttlMs: 600, beatMs: 200 } });
    await eventually("the free one to go back", async () => (await rig.states(free))[0] === "RETRY_WAIT");
    await unlock();
    await eventually("the other one too", async () => (await rig.states(locked))[0] === "RETRY_WAIT");
  });
});
