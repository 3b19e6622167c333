import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { before, describe } from "node:test";
import { createTopics } from "../src/bus/kafka-topics.js";
import { eventually } from "./support/eventually.js";
import { brokerLane, freshSpace, testBroker } from "./support/kafka.js";
import type { TestProcess } from "./support/processes.js";
import { allEnded, openRoles, submitUntilAnswered } from "./support/roles.js";
import { quietLog } from "./support/store.js";

const broker = await testBroker();
const it = brokerLane(broker);
const kafka = freshSpace(broker);
if ("brokers" in broker) await createTopics(kafka, { partitions: 3, replication: 1 }, quietLog);
const rig = await openRoles(kafka);
const { cluster } = rig;

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
});
