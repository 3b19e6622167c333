import assert from "node:assert/strict";
import { describe, it } from "node:test";
import pg from "pg";
import { MemoryBus } from "../src/bus/memory.js";
import { topics } from "../src/domain/messages.js";
import { assertInvariants } from "./faults/checker.js";
import { DispatchRig } from "./support/dispatch.js";
import { eventually } from "./support/eventually.js";
import { FaultyBus } from "./support/faulty-bus.js";
import { seeded, testSeed } from "./support/seed.js";
import { quietLog, type TestRun } from "./support/store.js";

const random = seeded(testSeed("faulty bus"));
const bus = new FaultyBus(new MemoryBus({ log: quietLog, retryMs: 1 }), { random, refusalRate: 0.1, forgetRate: 0.05 });
const rig = await DispatchRig.open(bus);
const { query } = rig.databases;
const stages: readonly TestRun[] = [{ stage: 0 }, { stage: 0 }, { stage: 1 }, { stage: 2 }];

describe("with a bus that doubles, reorders, refuses and forgets", () => {
  it("every run is done once, and the inbox drops what came again", async () => {
    const pod = await rig.pod({ slots: 4 });
    await rig.dispatcher();
    await rig.dispatcher();
    const experiments = await Promise.all(Array.from({ length: 40 }, () => rig.submit(stages)));
    for (const experimentId of experiments) {
      assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED", "SUCCEEDED", "SUCCEEDED", "SUCCEEDED"]);
    }
    const unheard = `select o.event_id from outbox o
      left join inbox i on i.tenant_id = o.tenant_id and i.event_id = o.event_id and i.consumer = 'dispatcher'
      where o.topic = $1 and (o.published_at is null or i.event_id is null)`;
    await eventually("every bell to be heard", async () => (await query(unheard, [topics.runsQueued])).length === 0);
    const [inbox] = await query<{ messages: number; duplicates: number }>(
      "select count(*)::int as messages, sum(copies - 1)::int as duplicates from inbox",
    );
    const [outbox] = await query<{ n: number }>("select count(*)::int as n from outbox where topic = $1", [
      topics.runsQueued,
    ]);
    assert.equal(inbox?.messages, outbox?.n);
    assert.ok((inbox?.duplicates ?? 0) >= (outbox?.n ?? 0), `${inbox?.duplicates} duplicates`);
    for (const [fault, count] of Object.entries(bus.counts)) {
      if (fault !== "lost") assert.ok(count > 0, `the bus never ${fault}`);
    }
    assert.equal(pod.taken.length, experiments.length * stages.length);
    await rig.reset();
    await assertInvariants(rig.databases);
  });
});

describe("a dispatcher", () => {
  it("lets the bus forget a bell only once it is noted, and begins to work before", async () => {
    await rig.pod();
    await rig.dispatcher({ pollMs: 120_000 });
    await eventually("the bus to be quiet", async () => (await bus.lag(topics.runsQueued, "dispatcher")) === 0);
    const locker = new pg.Client(rig.databases.access.owner);
    await locker.connect();
    await locker.query("begin");
    await locker.query("lock table inbox in access exclusive mode");
    const experimentId = await rig.submit([{ stage: 0 }]);
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
    await eventually("the bell", async () => (await bus.lag(topics.runsQueued, "dispatcher")) > 0);
    // The connection that waits for the lock is cut: the note fails, and the message comes again.
    await eventually("somebody to wait for the note's lock, and to be cut", async () => {
      const cut = await rig.databases.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where wait_event_type = 'Lock' and query like 'insert into inbox%'",
      );
      return cut.length > 0;
    });
    await locker.query("commit");
    await locker.end();
    await eventually("the note", async () => (await bus.lag(topics.runsQueued, "dispatcher")) === 0);
    const noted = await query(
      `select 1 from outbox o join inbox i on i.tenant_id = o.tenant_id and i.event_id = o.event_id
       where o.topic = $1 and o.payload ->> 'experimentId' = $2`,
      [topics.runsQueued, experimentId],
    );
    assert.equal(noted.length, 1);
    await rig.reset();
    await assertInvariants(rig.databases);
  });
});
