import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { before, describe } from "node:test";
import pg from "pg";
import { KafkaBus } from "../src/bus/kafka.js";
import { createTopics } from "../src/bus/kafka-topics.js";
import { topics } from "../src/domain/messages.js";
import { eventually } from "./support/eventually.js";
import { brokerLane, freshSpace, testBroker } from "./support/kafka.js";
import type { TestProcess } from "./support/processes.js";
import { allEnded, isRetriable, openRoles, submitUntilAnswered } from "./support/roles.js";
import { quietLog } from "./support/store.js";

const broker = await testBroker();
const it = brokerLane(broker);
const kafka = freshSpace(broker);
if ("brokers" in broker) await createTopics(kafka, { partitions: 3, replication: 1 }, quietLog);
const rig = await openRoles(kafka);
const { cluster } = rig;

/** What may fail while a gateway is away, until it does not. */
const again = <T>(work: () => Promise<T>): Promise<T> =>
  eventually("an answer", async () => {
    try {
      return await work();
    } catch (error) {
      if (!isRetriable(error)) throw error;
      return undefined;
    }
  });

describe("two of every role on Kafka, each in a process of its own", () => {
  let gateways: TestProcess[];
  let relays: TestProcess[];
  let dispatchers: TestProcess[];
  let pods: TestProcess[];
  let experiments = 0;

  before(async () => {
    if (!("brokers" in broker)) return;
    pods = [cluster.stubPod({ slots: 2, stepMs: 40 }), cluster.stubPod({ slots: 2, stepMs: 40 })];
    for (const pod of pods) await pod.start();
    gateways = [cluster.gateway(), cluster.gateway()];
    relays = [cluster.relay(), cluster.relay()];
    dispatchers = [cluster.dispatcher(), cluster.dispatcher()];
    const services = [...gateways, ...relays, ...dispatchers];
    await Promise.all(services.map(async (service) => (await service.start()).ready()));
  });

  it("take an experiment from its submission to its report", async () => {
    const [first, second] = gateways.map((gateway) => rig.client(gateway));
    assert.ok(first !== undefined && second !== undefined);
    const { id } = await first.submitRobustnessExperiment(await rig.spec(first, 1), randomUUID());
    experiments += 1;
    const states: string[] = [];
    for await (const event of second.experimentEvents(id)) {
      if (event.kind === "EXPERIMENT" && event.experimentState !== null) states.push(event.experimentState);
      if (states.at(-1) === "SUCCEEDED") break;
    }
    const { state, artifacts } = await second.experiment(id);
    assert.equal(state, "SUCCEEDED");
    assert.ok(artifacts.some(({ kind }) => kind === "REPORT_JSON"));
    await rig.checked();
  });

  it("lose and double nothing when one after the other is killed", async () => {
    const clients = gateways.map((gateway) => rig.client(gateway));
    const [client] = clients;
    assert.ok(client !== undefined);
    for (const victim of [...gateways, ...relays, ...dispatchers, ...pods]) {
      const [before, meanwhile] = [await rig.spec(client, 2), await rig.spec(client, 2)];
      await submitUntilAnswered(clients, before);
      await eventually("runs to be at work", async () => {
        const rows = await rig.query("select 1 from run where state = 'RUNNING'");
        return rows.length > 2; // more than one pod has slots for
      });
      assert.deepEqual(await victim.kill(), { code: null, signal: "SIGKILL" });
      await submitUntilAnswered(clients, meanwhile);
      experiments += 2;
      await victim.start();
    }
    await allEnded(rig, experiments);
    const [{ succeeded, runs } = { succeeded: 0, runs: -1 }] = await rig.query<{ succeeded: number; runs: number }>(
      "select count(*) filter (where state = 'SUCCEEDED')::int as succeeded, count(*)::int as runs from run",
    );
    assert.equal(succeeded, runs);
    const { facts } = await rig.checked();
    assert.ok(facts.attempts > facts.runs, "no attempt was lost, so the kills hit nothing");
  });

  it("are ended and started again one after the other under load: nothing is lost, and clients see nothing worse than a try again", async () => {
    const clients = gateways.map((gateway) => rig.client(gateway));
    const [client] = clients;
    assert.ok(client !== undefined);
    let isOver = false;
    const load = async (turn: number): Promise<void> => {
      const order = turn % 2 === 0 ? clients : clients.toReversed();
      while (!isOver) {
        const [first] = order;
        assert.ok(first !== undefined);
        const id = await submitUntilAnswered(order, await again(() => rig.spec(first, 1)));
        experiments += 1;
        await eventually("the experiment to end", async () => {
          const { state } = await again(() => first.experiment(id));
          return state === "SUCCEEDED";
        });
      }
    };
    const { id } = await client.submitRobustnessExperiment(await rig.spec(client, 4), randomUUID());
    experiments += 1;
    const followed = (async (): Promise<number[]> => {
      const sequences: number[] = [];
      for await (const { sequence } of client.experimentEvents(id)) sequences.push(sequence);
      return sequences;
    })();
    const loads = [0, 1, 2, 3].map(load);
    for (const one of [...gateways, ...relays, ...dispatchers, ...pods]) {
      assert.deepEqual(await one.terminate(), { code: 0, signal: null }, one.said().slice(-2_000));
      await (await one.start()).ready();
    }
    isOver = true;
    await Promise.all(loads);
    await allEnded(rig, experiments);
    const sequences = await followed;
    assert.deepEqual(
      sequences,
      sequences.map((_, i) => i + 1),
      "a subscriber missed an event, or had one twice",
    );
    assert.equal((await client.experiment(id)).state, "SUCCEEDED");
    await rig.checked();
  });

  it("publish a message again whose relay died before it had noted that it was published, and work on it once", async () => {
    const [gateway] = gateways;
    assert.ok(gateway !== undefined);
    for (const relay of relays) await relay.terminate();
    const client = rig.client(gateway);
    const published: string[] = [];
    const bus = new KafkaBus({ ...kafka, log: quietLog });
    await bus.start();
    await bus.subscribe(topics.runsQueued, null, async ({ eventId }) => void published.push(eventId));
    const blocker = new pg.Client(rig.access.admin);
    await blocker.connect();
    try {
      await client.submitRobustnessExperiment(await rig.spec(client, 1), randomUUID());
      experiments += 1;
      const [message] = await rig.query<{ event_id: string }>(
        "select event_id from outbox where published_at is null and topic = 'assay.runs.queued' order by created_at desc",
      );
      assert.ok(message !== undefined);
      // The relay may read the outbox and lock its rows, but whoever wants to write waits: it publishes, and cannot note it.
      await blocker.query("begin");
      await blocker.query("lock table outbox in share mode");
      const [dying, heir] = relays;
      assert.ok(dying !== undefined && heir !== undefined);
      await dying.start();
      await eventually("the message to be published", () => published.includes(message.event_id));
      await dying.kill();
      await blocker.query("rollback");
      await heir.start();
      await eventually(
        "the message to be published again",
        () => published.filter((id) => id === message.event_id).length === 2,
      );
      await allEnded(rig, experiments);
      const noted = await rig.query("select 1 from inbox where event_id = $1 and consumer = 'dispatcher'", [
        message.event_id,
      ]);
      assert.equal(noted.length, 1);
      await rig.checked();
    } finally {
      await blocker.end();
      await bus.close();
    }
  });
});
