import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { it } from "node:test";
import { createClient } from "graphql-ws";
import { eventually } from "./support/eventually.js";
import { statusOf } from "./support/processes.js";
import { noBrokers, openRoles } from "./support/roles.js";

const rig = await openRoles(noBrokers);

it("A gateway that is asked to end says so first, goes on answering while it drains, sends subscribers elsewhere and ends with 0", async () => {
  const gateway = await (await rig.cluster.gateway({ ASSAY_DRAIN_MS: "3000" }).start()).ready();
  const url = String(gateway.where.url);
  const client = rig.client(gateway);
  const { id } = await client.submitRobustnessExperiment(await rig.spec(client, 1), randomUUID());
  const closes: unknown[] = [];
  const sockets = createClient({
    url: `${url.replace("http", "ws")}/graphql`,
    connectionParams: { authorization: `Bearer ${rig.key}` },
    lazy: false,
    retryAttempts: 0,
    onNonLazyError: () => undefined, // the close is what the test looks at
    on: { closed: (event) => void closes.push(event) },
  });
  const query = `subscription ($id: ID!) { experimentEvents(experimentId: $id) { sequence } }`;
  const told: string[] = [];
  sockets.subscribe(
    { query, variables: { id } },
    { next: () => told.push("event"), error: () => told.push("error"), complete: () => told.push("complete") },
  );
  await eventually("an event", () => told.includes("event"));

  gateway.tell("SIGTERM");
  await eventually("it to say that it leaves", async () => (await statusOf(`${url}/readyz`)) === 503);
  const answer = await fetch(`${url}/healthz`);
  assert.deepEqual([answer.status, answer.headers.get("connection")], [200, "close"]);
  assert.equal((await client.experiment(id)).id, id);
  assert.deepEqual(closes, [], "the subscription was cut before its time");

  assert.deepEqual(await gateway.whenEnded(), { code: 0, signal: null });
  await eventually("the subscription to be closed", () => closes.length > 0);
  assert.match(JSON.stringify(closes.map((event) => codeOf(event))), /1001/);
  assert.ok(!told.includes("complete"), "the subscription looked as if its experiment had ended");
});

it("A gateway that is asked twice ends at once", async () => {
  const gateway = await (await rig.cluster.gateway({ ASSAY_DRAIN_MS: "600000" }).start()).ready();
  gateway.tell("SIGINT");
  await eventually("the second signal to be taken for one", () => {
    gateway.tell("SIGINT");
    return !gateway.isAlive;
  });
  assert.deepEqual(await gateway.whenEnded(), { code: 130, signal: null });
});

function codeOf(event: unknown): unknown {
  return typeof event === "object" && event !== null && "code" in event ? event.code : undefined;
}
