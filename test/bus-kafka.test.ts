import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, describe } from "node:test";
import kafkajs, { type Admin, Kafka, type KafkaMessage, logLevel, Partitioners } from "kafkajs";
import type { Buried } from "../src/bus/bus.js";
import { KafkaBus, type KafkaBusOptions } from "../src/bus/kafka.js";
import type { KafkaSettings } from "../src/bus/kafka-client.js";
import { recordOf } from "../src/bus/kafka-records.js";
import { createTopics, DEAD_LETTERS } from "../src/bus/kafka-topics.js";
import { newId } from "../src/domain/digest.js";
import { type Message, topics } from "../src/domain/messages.js";
import { keepPoison } from "../src/store/poison.js";
import { assertInvariants } from "./faults/checker.js";
import { busContract, testMessage } from "./support/bus-contract.js";
import { DispatchRig } from "./support/dispatch.js";
import { eventually } from "./support/eventually.js";
import { brokerLane, freshBus, freshSpace, testBroker } from "./support/kafka.js";
import { seeded, testSeed } from "./support/seed.js";
import { quietLog } from "./support/store.js";

const broker = await testBroker();
const it = brokerLane(broker);
const shape = { partitions: 3, replication: 1 };
const rig = "brokers" in broker ? await openRig() : undefined;

/** Relay and dispatchers on topics of their own. */
async function openRig(): Promise<{ readonly settings: KafkaSettings; readonly dispatch: DispatchRig }> {
  const settings = freshSpace(broker);
  await createTopics(settings, { partitions: 3, replication: 1 }, quietLog);
  const bus = new KafkaBus({ ...settings, log: quietLog });
  await bus.start();
  return { settings, dispatch: await DispatchRig.open(bus) };
}

const clientOf = ({ brokers }: KafkaSettings): Kafka =>
  new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING });

async function withAdmin<T>(settings: KafkaSettings, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = clientOf(settings).admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

/** A started bus on topics of its own. */
async function withBus(
  work: (bus: KafkaBus, settings: KafkaSettings) => Promise<void>,
  options: Partial<KafkaBusOptions> = {},
): Promise<void> {
  const settings = freshSpace(broker);
  await createTopics(settings, shape, quietLog);
  const bus = new KafkaBus({ ...settings, log: quietLog, ...options });
  await bus.start();
  try {
    await work(bus, settings);
  } finally {
    await bus.close();
  }
}

/** Puts a record on a partition as any program could. */
async function plant(
  settings: KafkaSettings,
  partition: number,
  record: Omit<KafkaRecord, "partition">,
): Promise<void> {
  const producer = clientOf(settings).producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  await producer.send({ topic: `${settings.prefix}${topics.events}`, messages: [{ ...record, partition }] });
  await producer.disconnect();
}

interface KafkaRecord {
  readonly key: string | null;
  readonly value: Buffer | null;
  readonly headers?: { readonly [name: string]: string };
  readonly partition: number;
}

/** The records of a topic, as they come. */
async function recordsOf(settings: KafkaSettings, topic: string): Promise<KafkaMessage[]> {
  const consumer = clientOf(settings).consumer({ groupId: `reader-${newId()}`, maxWaitTimeInMs: 250 });
  const records: KafkaMessage[] = [];
  await consumer.connect();
  await consumer.subscribe({ topics: [`${settings.prefix}${topic}`], fromBeginning: true });
  await consumer.run({
    eachMessage: ({ message }) => {
      records.push(message);
      return Promise.resolve();
    },
  });
  after(() => consumer.disconnect());
  return records;
}

busContract("the bus on Kafka", () => freshBus(broker), it);

describe("on Kafka, a message", () => {
  it("that nobody can read goes to the dead letters with its bytes and the reason, and its partition moves on", () =>
    withBus(async (bus, settings) => {
      const heard: Message[] = [];
      await bus.subscribe(topics.events, "group", (message) => {
        heard.push(message);
        return Promise.resolve();
      });
      const type = "assay.events.v1.EventsWritten";
      const good = { ce_id: newId(), ce_type: type, tenant: newId() };
      const garbage = Buffer.from([0xff, 0xfe, 0xfd, 0x00]);
      const poison: [Omit<KafkaRecord, "partition">, RegExp][] = [
        [{ key: "t:e", value: garbage }, /^ce_id: wanted a UUID, but got ""/],
        [
          { key: "t:e", value: garbage, headers: good },
          /^value: wanted a assay\.events\.v1\.EventsWritten, but got 4 other/,
        ],
        [{ key: "t:e", value: garbage, headers: { ...good, ce_type: "assay.events.v9.New" } }, /^ce_type: .*v9\.New/],
        [{ key: "t:e", value: garbage, headers: { ...good, tenant: "me" } }, /^tenant: wanted a UUID, but got "me"/],
        [{ key: "t:e", value: null, headers: good }, /^value: wanted a message, but got none/],
        [{ key: "t:e", value: Buffer.alloc(0), headers: good }, /^value: wanted .* with an experiment/],
        [{ key: null, value: garbage, headers: good }, /^key: wanted tenant:experiment/],
        [{ key: "t:e", value: Buffer.alloc(900_000, 7), headers: good }, /but got 900000 other bytes/],
      ];
      for (const partition of [0, 1, 2]) {
        for (const [record] of poison) await plant(settings, partition, record);
      }
      const sent = Array.from({ length: 30 }, (_, n) => testMessage(`e${n}`, n));
      await bus.publish(sent);
      await eventually("the messages behind the poison", () => heard.length === sent.length);
      await eventually("the offsets", async () => (await bus.lag(topics.events, "group")) === 0);
      const letters = await recordsOf(settings, DEAD_LETTERS);
      await eventually("every dead letter", () => letters.length === poison.length * 3);
      for (const [record, reason] of poison) {
        const found = letters.filter((letter) => reason.test(String(letter.headers?.["dead_reason"])));
        assert.equal(found.length, 3, String(reason));
        const [letter] = found;
        assert.deepEqual(letter?.value, record.value?.subarray(0, 512 * 1024) ?? null);
        assert.equal(String(letter?.headers?.["dead_topic"]), `${settings.prefix}${topics.events}`);
        assert.equal(String(letter?.headers?.["dead_bytes"]), String(record.value?.length ?? 0));
      }
    }));

  it("of random bytes, of two mebibytes or of an unknown version is kept for operators, and holds nobody up for a second", async () => {
    assert.ok(rig);
    const { work, query } = rig.dispatch.databases;
    const random = seeded(testSeed("poison"));
    const bytes = (n: number): Buffer => Buffer.from(Array.from({ length: n }, () => random.below(256)));
    let refusals = 2; // the database is away at first: the record is tried again, and lies in the table once
    const buried = async (record: Buried): Promise<void> => {
      refusals -= 1;
      if (refusals >= 0) throw new RangeError("planted: the database is away");
      await work.transaction((tx) => keepPoison(tx, record));
    };
    await withBus(
      async (bus, settings) => {
        const topic = `${settings.prefix}${topics.events}`;
        await withAdmin(settings, (admin) => {
          const configEntries = [{ name: "max.message.bytes", value: String(4 * 2 ** 20) }];
          return admin.alterConfigs({
            validateOnly: false,
            resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configEntries }],
          });
        });
        const waits: number[] = [];
        let sentAt = 0;
        await bus.subscribe(topics.events, "group", () => {
          waits.push(performance.now() - sentAt);
          return Promise.resolve();
        });
        const type = "assay.events.v1.EventsWritten";
        const good = { ce_id: newId(), ce_type: type, tenant: newId() };
        const hostile = bytes(300).toString("latin1");
        const poison: Omit<KafkaRecord, "partition">[] = [
          { key: null, value: bytes(1) },
          ...Array.from({ length: 5 }, () => ({
            key: "t:e",
            value: bytes(random.below(200)),
            headers: { ce_id: hostile },
          })),
          { key: "t:e", value: Buffer.alloc(2 * 2 ** 20, bytes(1024)), headers: good },
          { key: "t:e", value: bytes(50), headers: { ...good, ce_type: "assay.events.v9.EventsWritten\0" } },
        ];
        const producer = clientOf(settings).producer({ createPartitioner: Partitioners.DefaultPartitioner });
        await producer.connect();
        for (const [n, record] of poison.entries()) {
          const sound = recordOf(testMessage("e", n));
          sentAt = performance.now();
          await producer.send({
            topic,
            messages: [
              { ...record, headers: { ...record.headers }, partition: 0 },
              { ...sound, partition: 0 },
            ],
          });
          await eventually("the sound message behind it", () => waits.length === n + 1);
        }
        await producer.disconnect();
        await eventually("the offsets", async () => (await bus.lag(topics.events, "group")) === 0);
        // The first one waits for the database; the bound of the slowest catches hangs, not slowness.
        const [, ...later] = waits.map(Math.round);
        const median = later.toSorted((a, b) => a - b)[Math.floor(later.length / 2)] ?? 0;
        assert.ok(median < 1_000 && Math.max(...later) < 5_000, `messages behind the poison waited ${later} ms`);
        const rows = await query<{ raw: Buffer; bytes: number; reason: string; consumer: string }>(
          "select raw, bytes::int, reason, consumer from poison_message where topic = $1 order by message_offset",
          [topic],
        );
        assert.deepEqual(
          rows.map((row) => row.bytes),
          poison.map((record) => record.value?.length),
        );
        for (const [i, row] of rows.entries()) {
          assert.deepEqual(row.raw, poison[i]?.value?.subarray(0, 512 * 1024));
          assert.equal(row.consumer, `${topic}.group`);
        }
        assert.match(rows.at(-1)?.reason ?? "", /^ce_type: wanted a known type, but got "assay\.events\.v9/);
      },
      { buried },
    );
  });

  it("carries protobuf, the headers of a CloudEvent and its tenant, under tenant:experiment", () =>
    withBus(async (bus, settings) => {
      const message = testMessage("some-experiment", 7);
      await bus.publish([message]);
      const records = await recordsOf(settings, topics.events);
      await eventually("the record", () => records.length === 1);
      const [record] = records;
      assert.equal(String(record?.key), message.key);
      const headers = Object.entries(record?.headers ?? {}).map(([name, value]) => [name, String(value)]);
      assert.deepEqual(Object.fromEntries(headers), {
        ce_specversion: "1.0",
        ce_id: message.eventId,
        ce_type: message.type,
        ce_source: "assay",
        tenant: message.tenantId,
        traceparent: message.traceparent,
        "content-type": "application/protobuf",
      });
      // Field 1 as text, fields 2 and 3 as numbers.
      const expected = [Buffer.from([0x0a, 15]), Buffer.from("some-experiment"), Buffer.from([0x10, 7, 0x18, 7])];
      assert.deepEqual(record?.value, Buffer.concat(expected));
    }));

  it("comes again to another member when the first is killed in its handler", () =>
    withBus(async (bus, settings) => {
      const script = join(import.meta.dirname, "support", "kafka-consumer-process.js");
      const argument = JSON.stringify({ settings, group: "group" });
      const child = spawn(process.execPath, [script, argument], { stdio: ["ignore", "pipe", "inherit"] });
      const lines: string[] = [];
      createInterface(child.stdout).on("line", (line) => lines.push(line));
      await eventually("the other process to join", () => lines.includes("joined"));
      const message = testMessage("a", 1);
      await bus.publish([message]);
      await eventually("its handler to be at work", () => lines.includes(message.eventId));
      assert.equal(await bus.lag(topics.events, "group"), 1); // its offset has not moved before the handler's end
      child.kill("SIGKILL");
      await once(child, "exit");
      const heard: string[] = [];
      await bus.subscribe(topics.events, "group", ({ eventId }) => {
        heard.push(eventId);
        return Promise.resolve();
      });
      await eventually("the message again", () => heard.length > 0);
      assert.deepEqual(heard, [message.eventId]);
      await eventually("the offset", async () => (await bus.lag(topics.events, "group")) === 0);
    }));

  it("is handed on within seconds when members come and go", () =>
    withBus(async (bus) => {
      const heard: Message[] = [];
      const handler = (message: Message): Promise<void> => {
        heard.push(message);
        return Promise.resolve();
      };
      const first = await bus.subscribe(topics.events, "group", handler);
      const started = performance.now();
      const second = await bus.subscribe(topics.events, "group", handler);
      const joined = performance.now();
      await first.close();
      const left = performance.now();
      await bus.publish(Array.from({ length: 12 }, (_, n) => testMessage(`e${n}`, n)));
      await eventually("all messages at the member that stayed", () => heard.length >= 12);
      const taken = performance.now();
      await second.close();
      const times = { join: joined - started, leave: left - joined, takeOver: taken - left };
      if (process.env["ASSAY_TEST_LOG"] !== undefined) process.stderr.write(`${JSON.stringify(times)}\n`);
      // Each is under a second when the machine is idle; with the library's defaults a join or leave takes five and more.
      for (const [what, ms] of Object.entries(times)) assert.ok(ms < 5_000, `${what} took ${ms} ms`);
    }));
});

describe("on Kafka, the bus", () => {
  it("refuses to start without its topics, and says what makes them", async () => {
    const settings = freshSpace(broker);
    const bus = new KafkaBus({ ...settings, log: quietLog });
    await assert.rejects(bus.start(), /SETUP_FAILED|wanted the topics .*; "assay topics" makes them/);
    assert.deepEqual(
      await withAdmin(settings, async (admin) =>
        (await admin.listTopics()).filter((topic) => topic.startsWith(settings.prefix)),
      ),
      [],
    );
  });

  it("makes each topic once, with the partitions asked for", async () => {
    const settings = freshSpace(broker);
    const first = await createTopics(settings, { partitions: 2, replication: 1 }, quietLog);
    assert.deepEqual(
      first.map(({ partitions, created }) => [partitions, created]),
      [
        [2, true],
        [2, true],
        [2, true],
      ],
    );
    const again = await createTopics(settings, { partitions: 5, replication: 1 }, quietLog);
    assert.deepEqual(
      again.map(({ partitions, created }) => [partitions, created]),
      [
        [2, false],
        [2, false],
        [2, false],
      ],
    );
  });

  it("says that there is no broker, and that it may be tried again", async () => {
    const bus = new KafkaBus({ brokers: ["127.0.0.1:1"], tls: false, prefix: "", log: quietLog });
    await assert.rejects(bus.start(), { code: "BUS_UNAVAILABLE", retriable: true });
  });

  it("does not spin while it is idle", () =>
    withBus(async (bus) => {
      await bus.subscribe(topics.events, "group", () => Promise.resolve());
      const timers: number[] = [];
      const set = globalThis.setTimeout;
      const counted = Object.assign((...args: Parameters<typeof set>) => {
        timers.push(args[1] ?? 0);
        return set(...args);
      }, set);
      globalThis.setTimeout = counted;
      const started = performance.now();
      await eventually("two seconds to pass", () => performance.now() - started > 2_000);
      globalThis.setTimeout = set;
      // A fetch each 250 ms and some beats; the library unmended sets a timer each millisecond and connection.
      assert.ok(timers.length < 200, `${timers.length} timers`);
    }));

  it("goes on by itself after its topics were deleted and made anew", () =>
    withBus(async (bus, settings) => {
      const heard: string[] = [];
      await bus.subscribe(topics.events, "group", ({ eventId }) => {
        heard.push(eventId);
        return Promise.resolve();
      });
      await bus.publish([testMessage("a", 1)]);
      await eventually("the first message", () => heard.length === 1);
      await deleteTopics(settings);
      await assert.rejects(bus.publish([testMessage("a", 2)]), { code: "BUS_UNAVAILABLE" });
      await createTopics(settings, shape, quietLog);
      // A consumer that saw nothing of it reads on where it stood, behind as many new messages as it has read old ones.
      let n = 3;
      await eventually("a message of the new topic", async () => {
        n += 1;
        await bus.publish([testMessage("a", n)]).catch(() => undefined); // until the producer knows the new topic
        return heard.length > 1;
      });
    }));
});

describe("with Kafka between relay and dispatcher", () => {
  it("runs are claimed on the bell alone", async () => {
    assert.ok(rig);
    const { dispatch } = rig;
    await dispatch.pod();
    await dispatch.dispatcher({ pollMs: 120_000 });
    // The first may still be seen by the look at the start; polls would take minutes.
    for (let n = 0; n < 3; n += 1) {
      const experimentId = await dispatch.submit([{ stage: 0 }]);
      assert.deepEqual(await dispatch.ended(experimentId), ["SUCCEEDED"]);
    }
    await dispatch.reset();
    await assertInvariants(dispatch.databases);
  });

  it("nothing is lost when all topics are deleted under load and made anew", async () => {
    assert.ok(rig);
    const { dispatch, settings } = rig;
    await dispatch.pod({ slots: 2 });
    await dispatch.dispatcher({ pollMs: 1_000 });
    const runs = Array.from({ length: 4 }, () => ({ stage: 0 }));
    const before = await Promise.all(Array.from({ length: 5 }, () => dispatch.submit(runs)));
    await deleteTopics(settings);
    const without = await Promise.all(Array.from({ length: 5 }, () => dispatch.submit(runs)));
    const unpublished = await dispatch.databases.query("select 1 from outbox where published_at is null");
    assert.ok(unpublished.length > 0, "the relay had nothing that waits for the topics");
    await createTopics(settings, shape, quietLog);
    for (const experimentId of [...before, ...without]) {
      assert.deepEqual(await dispatch.ended(experimentId), ["SUCCEEDED", "SUCCEEDED", "SUCCEEDED", "SUCCEEDED"]);
    }
    await eventually("the outbox to be empty", async () => {
      const waiting = await dispatch.databases.query("select 1 from outbox where published_at is null");
      return waiting.length === 0;
    });
    await dispatch.reset();
    await assertInvariants(dispatch.databases);
  });
});

async function deleteTopics(settings: KafkaSettings): Promise<void> {
  await withAdmin(settings, async (admin) => {
    await admin.deleteTopics({
      topics: (await admin.listTopics()).filter((topic) => topic.startsWith(settings.prefix)),
    });
  });
}
