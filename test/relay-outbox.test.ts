import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import pg from "pg";
import type { Bus, Subscription } from "../src/bus/bus.js";
import { MemoryBus } from "../src/bus/memory.js";
import { newId } from "../src/domain/digest.js";
import { type Message, topics } from "../src/domain/messages.js";
import { jsonLog } from "../src/log.js";
import { Relay, type RelayOptions } from "../src/relay/relay.js";
import { AppDatabase, OUTBOX_CHANNEL } from "../src/store/database.js";
import { announceOverdue, dispatchBell, RUNS_QUEUED, receiveMessages, writeMessages } from "../src/store/outbox.js";
import { Submitter } from "../src/store/submit.js";
import { testDatabases } from "./support/databases.js";
import { eventually } from "./support/eventually.js";
import { quietLog, submission, testPlan } from "./support/store.js";

const wakes: (() => void)[] = [];
const { access, app, work, caller, query } = await testDatabases(() => {
  for (const wake of wakes) wake();
});

/** A bus that remembers what was published; `failAfter` makes it take the messages and then break. */
class RecordingBus implements Bus {
  readonly published: Message[] = [];
  failAfter = false;
  start = (): Promise<void> => Promise.resolve();
  close = (): Promise<void> => Promise.resolve();
  lag = (): Promise<number> => Promise.resolve(0);
  subscribe = (): Promise<Subscription> => Promise.reject(new RangeError("not used"));
  publish(messages: readonly Message[]): Promise<void> {
    this.published.push(...messages);
    return this.failAfter ? Promise.reject(new RangeError("planted: the relay dies here")) : Promise.resolve();
  }
}

const ring = (experimentId = newId()): Promise<void> =>
  app.withTenant(caller.tenantId, (tx) =>
    writeMessages(tx, [dispatchBell({ tenantId: caller.tenantId, experimentId: experimentId }, RUNS_QUEUED)]),
  );

const relayTo = (bus: Bus): Relay => new Relay({ database: work, bus, log: quietLog, pollMs: 60_000 });

const running: Relay[] = [];

/** A relay that begins to publish now and ends with its test, however that ends. */
function startRelay(options: Partial<RelayOptions> & Pick<RelayOptions, "bus">): Relay {
  const relay = new Relay({ database: work, log: quietLog, ...options });
  running.push(relay);
  relay.start();
  return relay;
}

afterEach(async () => {
  for (const relay of running.splice(0)) await relay.stop();
  wakes.length = 0;
  await query("delete from outbox");
});

describe("the relay", () => {
  it("publishes what was committed, once, and nothing of a transaction that failed", async () => {
    const bus = new RecordingBus();
    const relay = relayTo(bus);
    const committed = newId();
    await ring(committed);
    const failed = app.withTenant(caller.tenantId, async (tx) => {
      await writeMessages(tx, [dispatchBell({ tenantId: caller.tenantId, experimentId: newId() }, RUNS_QUEUED)]);
      throw new RangeError("planted");
    });
    await assert.rejects(failed, /planted/);
    assert.equal(await relay.publishBatch(), 1);
    assert.equal(await relay.publishBatch(), 0);
    assert.deepEqual(
      bus.published.map((message) => message.payload),
      [{ experimentId: committed }],
    );
    assert.equal(bus.published[0]?.key, `${caller.tenantId}:${committed}`);
  });

  it("that dies between the bus and its commit publishes again, and the inbox drops the second one", async () => {
    const bus = new RecordingBus();
    await ring();
    bus.failAfter = true;
    await assert.rejects(relayTo(bus).publishBatch(), /the relay dies here/);
    bus.failAfter = false;
    assert.equal(await relayTo(bus).publishBatch(), 1);
    assert.equal(bus.published.length, 2);
    assert.equal(bus.published[0]?.eventId, bus.published[1]?.eventId);
    const effects: Message[] = [];
    for (const message of bus.published) {
      effects.push(...(await work.transaction((tx) => receiveMessages(tx, "test", [message]))));
    }
    assert.equal(effects.length, 1);
    assert.equal((await work.transaction((tx) => receiveMessages(tx, "another", bus.published))).length, 1);
  });

  it("publishes rows that commit after rows with higher ids; a cursor over ids would lose them", async () => {
    const slow = new pg.Client(access.work);
    await slow.connect();
    const bus = new RecordingBus();
    const early = newId(Date.now() - 1000);
    await slow.query("begin");
    await slow.query(
      `insert into outbox (tenant_id, event_id, topic, key, type, payload)
       values ($1, $2, 'assay.events', 'k', 't', '{"experimentId": "late commit"}')`,
      [caller.tenantId, early],
    );
    await ring();
    let cursor = "00000000-0000-0000-0000-000000000000";
    const byCursor: string[] = [];
    const readByCursor = async (): Promise<void> => {
      const rows = await query<{ event_id: string }>(
        "select event_id from outbox where event_id > $1 order by event_id",
        [cursor],
      );
      byCursor.push(...rows.map((row) => row.event_id));
      cursor = rows.at(-1)?.event_id ?? cursor;
    };
    await readByCursor();
    await relayTo(bus).publishBatch();
    await slow.query("commit");
    await slow.end();
    await readByCursor();
    await relayTo(bus).publishBatch();
    assert.equal(byCursor.includes(early), false, "the planted cursor reader loses the row");
    assert.equal(bus.published.length, 2);
    assert.equal(bus.published[1]?.eventId, early);
  });

  it("shares the outbox with other relays without publishing anything twice", async () => {
    for (let i = 0; i < 30; i += 1) await ring();
    const bus = new RecordingBus();
    const relays = [1, 2, 3].map(() => new Relay({ database: work, bus, log: quietLog, batchSize: 4 }));
    const drain = async (relay: Relay): Promise<void> => {
      while ((await query("select 1 from outbox where published_at is null limit 1")).length > 0)
        await relay.publishBatch();
    };
    await Promise.all(relays.map(drain));
    assert.equal(bus.published.length, 30);
    assert.equal(new Set(bus.published.map((message) => message.eventId)).size, 30);
  });

  it("is woken by a commit, and goes on after the bus failed", async () => {
    const bus = new RecordingBus();
    bus.failAfter = true;
    const relay = startRelay({ bus, pollMs: 50 });
    wakes.push(() => relay.wake());
    await ring();
    await eventually("a failed publication", () => bus.published.length > 0);
    bus.failAfter = false;
    await eventually(
      "the row to be published",
      async () => (await query("select 1 from outbox where published_at is null")).length === 0,
    );
  });

  it("says again and again that messages wait too long, and then that none does", async () => {
    const bus = new RecordingBus();
    bus.failAfter = true;
    const lines: { level: string; message: string; waiting: number; oldestSeconds?: number }[] = [];
    const log = jsonLog("relay", (line) => lines.push(JSON.parse(line)));
    await ring();
    startRelay({ bus, log, pollMs: 20, alarmMs: 300, alarmPollMs: 20 });
    const alarms = (): typeof lines => lines.filter(({ message }) => message === "messages wait to be published");
    await eventually("two alarms", () => alarms().length >= 2);
    assert.deepEqual([alarms()[0]?.level, alarms()[0]?.waiting], ["error", 1]);
    bus.failAfter = false;
    await eventually("the end of it", () => lines.some(({ message }) => message.startsWith("no message waits")));
  });

  it("lets its transaction go when the bus hangs, and notes what went through late", async () => {
    const published: Message[] = [];
    const gates: (() => void)[] = [];
    const bus: Bus = Object.assign(new RecordingBus(), {
      publish: (messages: readonly Message[]) => {
        published.push(...messages);
        return new Promise<void>((resolve) => gates.push(resolve));
      },
    });
    await ring();
    startRelay({ bus, pollMs: 20, publishMs: 200 });
    await eventually("the publication", () => gates.length === 1);
    const rows = (): Promise<object[]> =>
      query("select 1 from outbox where published_at is null for update skip locked");
    assert.equal((await rows()).length, 0, "the relay holds the row");
    await eventually("the row to be let go", async () => (await rows()).length === 1);
    await ring();
    for (const gate of gates) gate();
    await eventually("the second publication", () => gates.length === 2);
    // The first is noted and not published again: it went through, if late.
    assert.equal(published.length, 2);
    assert.equal(new Set(published.map((message) => message.eventId)).size, 2);
    gates[1]?.();
    await eventually("an empty outbox", async () => (await rows()).length === 0);
  });

  it("hears of a commit in another process through a notification", async () => {
    let heard = 0;
    const listening = await work.listen(OUTBOX_CHANNEL, () => {
      heard += 1;
    });
    const other = await AppDatabase.open({ login: access.app, log: quietLog, notifyOutbox: true });
    await other.withTenant(caller.tenantId, (tx) =>
      writeMessages(tx, [dispatchBell({ tenantId: caller.tenantId, experimentId: newId() }, RUNS_QUEUED)]),
    );
    await eventually("the notification", () => heard === 1);
    await other.close();
    await listening.close();
  });

  it("listens again when the connection that listens was cut, and looks at once, for something may have been missed", async () => {
    let heard = 0;
    const listening = await work.listen(OUTBOX_CHANNEL, () => {
      heard += 1;
    });
    const cut =
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query like 'listen%'";
    assert.equal((await query(cut)).length, 1);
    await eventually("a look after the cut", () => heard === 1);
    await query("select pg_notify($1, '')", [OUTBOX_CHANNEL]);
    await eventually("a notification over the new connection", () => heard === 2);
    await listening.close();
  });

  it("carries a message from the commit to a subscriber of the bus", async () => {
    const bus = new MemoryBus({ log: quietLog });
    await bus.start();
    const heard: Message[] = [];
    await bus.subscribe(topics.runsQueued, "test", (message) => {
      heard.push(message);
      return Promise.resolve();
    });
    const relay = startRelay({ bus, pollMs: 60_000 });
    wakes.push(() => relay.wake());
    const experimentId = newId();
    await ring(experimentId);
    await eventually("the bell", () => heard.length === 1);
    assert.equal(heard[0]?.payload.experimentId, experimentId);
    await bus.close();
  });
});

describe("reconciliation", () => {
  it("rings again for an experiment whose runs are overdue, once while that bell is unpublished", async () => {
    const { experimentId } = await new Submitter(app).submit(submission(caller, testPlan([{ stage: 0 }])));
    await query("delete from outbox");
    const announce = (): Promise<number> => work.transaction((tx) => announceOverdue(tx, 60));
    assert.equal(await announce(), 0);
    await query("update run set not_before = now() - interval '61 seconds' where experiment_id = $1", [experimentId]);
    assert.equal(await announce(), 1);
    assert.equal(await announce(), 0);
    const bells = await query("select topic, type from outbox");
    assert.deepEqual(bells, [{ topic: topics.runsQueued, type: RUNS_QUEUED }]);
  });
});
