import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { describe } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { type Admin, Kafka, logLevel } from "kafkajs";
import type { Subscription } from "../src/bus/bus.js";
import { KafkaBus } from "../src/bus/kafka.js";
import type { KafkaSettings } from "../src/bus/kafka-client.js";
import { createTopics } from "../src/bus/kafka-topics.js";
import { Inbox } from "../src/dispatch/inbox.js";
import { type Message, topics } from "../src/domain/messages.js";
import { jsonLog } from "../src/log.js";
import { assertInvariants } from "./faults/checker.js";
import { testMessage } from "./support/bus-contract.js";
import { DispatchRig } from "./support/dispatch.js";
import { eventually } from "./support/eventually.js";
import { brokerLane, freshSpace, type RunningBroker, testBroker } from "./support/kafka.js";
import { seeded, testSeed } from "./support/seed.js";
import { quietLog, type TestRun } from "./support/store.js";

const broker = await testBroker();
const it = brokerLane(broker);
const rig = "brokers" in broker ? await openRig(broker) : undefined;
const shape = { partitions: 3, replication: 1 };
const stages: readonly TestRun[] = [{ stage: 0 }, { stage: 0 }, { stage: 1 }];
const done = ["SUCCEEDED", "SUCCEEDED", "SUCCEEDED"];

interface Rig {
  readonly broker: RunningBroker;
  readonly settings: KafkaSettings;
  readonly bus: KafkaBus;
  readonly dispatch: DispatchRig;
  /** What the relay logged. */
  readonly logged: { readonly level: string; readonly message: string; readonly oldestSeconds?: number }[];
}

async function openRig(running: RunningBroker): Promise<Rig> {
  const settings = freshSpace(running);
  await createTopics(settings, { partitions: 3, replication: 1 }, quietLog);
  const bus = new KafkaBus({ ...settings, log: quietLog });
  await bus.start();
  const logged: Rig["logged"] = [];
  const log = jsonLog("relay", (line) => logged.push(JSON.parse(line)));
  return { broker: running, settings, bus, dispatch: await DispatchRig.open(bus, { log }), logged };
}

function opened(): Rig {
  assert.ok(rig);
  return rig;
}

async function withAdmin<T>({ brokers }: KafkaSettings, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

const waiting = async ({ databases }: DispatchRig): Promise<number> => {
  const [found] = await databases.query<{ n: number }>(
    "select count(*)::int as n from outbox where published_at is null",
  );
  return found?.n ?? 0;
};

/** At rest: all is published, every bell was noted by a dispatcher, and the invariants hold. */
async function assertAtRest(dispatch: DispatchRig): Promise<void> {
  await eventually("the outbox to be empty", async () => (await waiting(dispatch)) === 0);
  await dispatch.reset();
  await assertInvariants(dispatch.databases);
}

const median = (times: readonly number[]): number => times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;

describe("while the broker is away for a minute", () => {
  it("submits are accepted and runs go on, the outbox grows and says so, and drains afterwards", async () => {
    const { dispatch, broker, logged } = opened();
    await dispatch.pod({ slots: 4 });
    await dispatch.dispatcher({ pollMs: 500 });
    const submitted: string[] = [];
    const times: number[] = [];
    const submit = async (): Promise<void> => {
      const started = performance.now();
      submitted.push(await dispatch.submit(stages));
      times.push(performance.now() - started);
    };
    for (let n = 0; n < 20; n += 1) await submit();
    const before = times.splice(0);
    let grown = 0;
    await broker.make("down");
    try {
      const wentDown = performance.now();
      await eventually(
        "a minute to pass",
        async () => {
          const seconds = (performance.now() - wentDown) / 1000;
          if (times.length < seconds * 2) await submit();
          return seconds > 60;
        },
        120_000,
      );
      // Polls find the work: what was submitted at first has ended although no bell was heard.
      for (const experimentId of submitted.slice(0, 60)) assert.deepEqual(await dispatch.states(experimentId), done);
      grown = await waiting(dispatch);
      assert.ok(grown >= times.length * 2, `${grown} messages wait, of ${times.length} submissions`);
      const alarms = logged.filter(({ message }) => message === "messages wait to be published");
      assert.ok(alarms.length > 0, JSON.stringify(logged.slice(-3)));
      assert.ok(alarms.every(({ level, oldestSeconds = 0 }) => level === "error" && oldestSeconds >= 30));
    } finally {
      await broker.make("up");
    }
    for (const experimentId of submitted) assert.deepEqual(await dispatch.ended(experimentId), done);
    await eventually("the outbox to be empty", async () => (await waiting(dispatch)) === 0);
    await eventually("the end of the alarm", () =>
      logged.some(({ message }) => message === "no message waits for long any more"),
    );
    await eventually("every bell to be noted", async () => (await unheard(dispatch)) === 0);
    const figures = { before: median(before), away: median(times), slowest: Math.max(...times), grown };
    process.stderr.write(`broker away: ${JSON.stringify(figures)}\n`);
    assert.ok(figures.slowest < 5_000, `a submission took ${figures.slowest} ms`);
    await assertAtRest(dispatch);
  });
});

async function unheard({ databases }: DispatchRig): Promise<number> {
  const rows = await databases.query(
    `select 1 from outbox o left join inbox i on i.tenant_id = o.tenant_id and i.event_id = o.event_id and i.consumer = 'dispatcher'
     where o.topic = $1 and i.event_id is null`,
    [topics.runsQueued],
  );
  return rows.length;
}

describe("while the broker hangs", () => {
  it("no transaction is held for longer than the relay waits, and submits go on", async () => {
    const { dispatch, broker } = opened();
    const { query } = dispatch.databases;
    await broker.make("hang");
    const submitted: string[] = [];
    let longest = 0;
    const hung = performance.now();
    await eventually("some seconds to pass", async () => {
      if (submitted.length < 100) submitted.push(await dispatch.submit(stages));
      const [oldest] = await query<{ seconds: number }>(
        `select coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0)::float8 as seconds
         from pg_stat_activity where datname = current_database() and state = 'idle in transaction'`,
      );
      longest = Math.max(longest, oldest?.seconds ?? 0);
      return performance.now() - hung > 12_000;
    });
    assert.equal(submitted.length, 100);
    assert.ok(longest > 1, "the relay never waited for the broker");
    assert.ok(longest < 7, `a transaction was open for ${longest} s`);
    await broker.make("resume");
    await dispatch.pod({ slots: 4 });
    await dispatch.dispatcher();
    for (const experimentId of submitted) assert.deepEqual(await dispatch.ended(experimentId), done);
    await assertAtRest(dispatch);
  });
});

describe("when all topics are deleted while work is queued", () => {
  it("`assay topics` makes them again, reconciliation rings anew, and nothing is lost", async () => {
    const { dispatch, settings } = opened();
    const { query } = dispatch.databases;
    const submitted = await Promise.all(Array.from({ length: 10 }, () => dispatch.submit(stages)));
    await eventually("the bells to be on the bus", async () => (await waiting(dispatch)) === 0);
    await withAdmin(settings, async (admin) => {
      const names = (await admin.listTopics()).filter((name) => name.startsWith(settings.prefix));
      await admin.deleteTopics({ topics: names });
    });
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [join(import.meta.dirname, "..", "src", "topics.js"), "--partitions", "3"],
      { env: { ...process.env, ASSAY_KAFKA_BROKERS: settings.brokers.join(","), ASSAY_KAFKA_PREFIX: settings.prefix } },
    );
    assert.equal(stdout.match(/^made /gm)?.length, 3);
    // Their bells are gone with the topics. As if a minute had passed:
    await query("update run set not_before = now() - interval '61 seconds' where state = 'QUEUED'");
    const [before] = await query<{ at: Date }>("select now() as at");
    await dispatch.dispatcher(); // with no pod, so that nothing is claimed before the bells
    const noted = (): Promise<object[]> =>
      query(
        `select distinct o.payload ->> 'experimentId' from outbox o join inbox i on i.tenant_id = o.tenant_id and i.event_id = o.event_id
         where o.created_at > $1 and o.topic = $2`,
        [before?.at, topics.runsQueued],
      );
    await eventually("a new bell for each experiment", async () => (await noted()).length === submitted.length);
    await dispatch.pod({ slots: 4 });
    for (const experimentId of submitted) assert.deepEqual(await dispatch.ended(experimentId), done);
    await assertAtRest(dispatch);
  });
});

/** A bus on topics of its own on the same broker. */
async function withBus(work: (bus: KafkaBus, settings: KafkaSettings) => Promise<void>): Promise<void> {
  const settings = freshSpace(opened().broker);
  await createTopics(settings, shape, quietLog);
  const bus = new KafkaBus({ ...settings, log: quietLog });
  await bus.start();
  try {
    await work(bus, settings);
  } finally {
    await bus.close();
  }
}

describe("a consumer that handles one message a second", () => {
  it("stays in its group, its lag grows and is told, and it misses nothing", () =>
    withBus(async (bus, settings) => {
      const heard: string[] = [];
      let turn = Promise.resolve();
      let ms = 1_000;
      await bus.subscribe(topics.events, "slow", (message) => {
        turn = turn.then(() => pause(ms)).then(() => void heard.push(message.eventId));
        return turn;
      });
      const groupId = `${settings.prefix}${topics.events}.slow`;
      const members = (): Promise<string> =>
        withAdmin(settings, async (admin) => {
          const { groups } = await admin.describeGroups([groupId]);
          return groups.map((group) => `${group.state} ${group.members.map((member) => member.memberId)}`).join();
        });
      const first = await members();
      assert.match(first, /^Stable \S+/);
      const sent: Message[] = [];
      const lags: number[] = [];
      const seen = new Set<string>();
      const started = performance.now();
      // Twice the session's time: a member that did not beat would be gone by then.
      await eventually("twenty seconds to pass", async () => {
        const batch = Array.from({ length: 5 }, (_, n) => testMessage(`e${n}`, sent.length));
        sent.push(...batch);
        await bus.publish(batch);
        lags.push(await bus.lag(topics.events, "slow"));
        seen.add(await members());
        return performance.now() - started > 20_000;
      });
      assert.deepEqual([...seen], [first]);
      assert.ok((lags.at(-1) ?? 0) > (lags[0] ?? 0) + 50, `the lag went from ${lags[0]} to ${lags.at(-1)}`);
      assert.ok(heard.length >= 5 && heard.length <= 30, `${heard.length} messages in twenty seconds`);
      ms = 0;
      await eventually("all of them", async () => (await bus.lag(topics.events, "slow")) === 0);
      assert.deepEqual(heard.toSorted(), sent.map((message) => message.eventId).toSorted());
    }));
});

describe("when members join and leave during handling", () => {
  it("every message is noted, and those that came to two members are dropped once", () =>
    withBus(async (bus) => {
      const { databases } = opened().dispatch;
      const random = seeded(testSeed("members that come and go"));
      const inbox = new Inbox(databases.work, "comers and goers");
      let duplicates = 0;
      const join = (): Promise<Subscription> =>
        bus.subscribe(topics.events, "group", async (message) => {
          await pause(random.below(20));
          if (!(await inbox.note(message))) duplicates += 1;
        });
      const members: Subscription[] = [await join()];
      const sent: Message[] = [];
      let publishing = true;
      const publisher = (async () => {
        while (publishing) {
          const batch = Array.from({ length: 20 }, (_, n) => testMessage(`e${n}`, sent.length + n));
          sent.push(...batch);
          await bus.publish(batch);
          await pause(100);
        }
      })();
      for (let change = 0; change < 8; change += 1) {
        const heard = sent.length + 100;
        members.push(await join());
        await eventually("more messages", () => sent.length > heard);
        const leaving = members.splice(random.below(members.length), 1);
        await Promise.all(leaving.map((member) => member.close()));
      }
      publishing = false;
      await publisher;
      const noted = async (): Promise<number> => {
        const rows = await databases.query("select event_id from inbox where consumer = 'comers and goers'");
        return rows.length;
      };
      await eventually("every message to be noted", async () => (await noted()) === sent.length);
      await eventually("no lag", async () => (await bus.lag(topics.events, "group")) === 0);
      const copies = await databases.query<{ n: number }>(
        "select sum(copies - 1)::int as n from inbox where consumer = 'comers and goers'",
      );
      assert.equal(copies[0]?.n, duplicates);
      process.stderr.write(`members that come and go: ${sent.length} messages, ${duplicates} duplicates dropped\n`);
    }));
});
