import assert from "node:assert/strict";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { newKey } from "../src/domain/key.js";
import { type Holder, testApi } from "./support/api.js";
import { doRobustness, ended, startWork } from "./support/fixture.js";
import { data, specFor, submit } from "./support/requests.js";
import type { StubTask } from "./support/stub-pod.js";

const test = await testApi({ keyRecheckMs: 200 });
const { api, holder, databases, newKeyOf, newHolder } = test;
const url = `${api.url.replace("http", "ws")}/graphql`;

/** Train runs wait at this gate, so that tests decide when an experiment goes on. */
const gate = { open: (): void => undefined, opened: Promise.resolve() };
function closeGate(): void {
  gate.opened = new Promise((resolve) => {
    gate.open = resolve;
  });
}
await startWork(test, async (task: StubTask) => {
  if (task.spec["step"] === "train") await gate.opened;
  return doRobustness(task);
});

interface Event {
  readonly sequence: number;
  readonly kind: string;
  readonly state: string | null;
  readonly experimentState: string | null;
  readonly run: { readonly id: string } | null;
}

const EVENTS = `subscription ($id: ID!, $after: Int) {
  experimentEvents(experimentId: $id, afterSequence: $after) { sequence kind state experimentState run { id } }
}`;
const RUN_EVENTS = `subscription ($id: ID!, $after: Int) {
  runEvents(runId: $id, afterSequence: $after) { sequence kind state experimentState run { id } metrics { name value step } progress { stage } }
}`;

function clientOf({ key }: Pick<Holder, "key">): ReturnType<typeof createClient> {
  return createClient({ url, connectionParams: { authorization: `Bearer ${key}` }, retryAttempts: 0 });
}

/** Follows until `enough`, or until the service ends it. */
async function follow(
  client: ReturnType<typeof createClient>,
  [query, variables]: readonly [string, Record<string, unknown>],
  enough: (events: readonly Event[]) => boolean = () => false,
): Promise<Event[]> {
  const events: Event[] = [];
  for await (const { data: got, errors } of client.iterate<Record<string, Event>>({ query, variables })) {
    assert.equal(errors, undefined, JSON.stringify(errors));
    events.push(...Object.values(got ?? {}));
    if (enough(events)) break;
  }
  return events;
}

async function stored(experimentId: string): Promise<number[]> {
  const id = Buffer.from(experimentId, "base64url").toString("utf8").split(":")[1];
  const rows = await databases.query<{ seq: number }>(
    "select seq::int from event where experiment_id = $1 order by seq",
    [id],
  );
  return rows.map((row) => row.seq);
}

const sequences = (events: readonly Event[]): number[] => events.map((event) => event.sequence);

describe("following an experiment", () => {
  it("replays what happened and goes on live, without a gap and without a repeat, to its end", async () => {
    closeGate();
    const spec = await specFor(test, holder);
    const { experiment } = await submit(test, holder, { spec, idempotencyKey: "live" });
    const client = clientOf(holder);
    const all = follow(client, [EVENTS, { id: experiment.id, after: 0 }]);
    const waiting = await follow(clientOf(holder), [EVENTS, { id: experiment.id, after: 0 }], (events) =>
      events.some((event) => event.state === "RUNNING" && event.sequence > 5),
    );
    assert.ok(waiting.length > 5);
    gate.open();
    assert.equal(await ended(test, holder, experiment.id), "SUCCEEDED");
    const events = await all;
    assert.deepEqual(sequences(events), await stored(experiment.id));
    assert.equal(events.at(-1)?.experimentState, "SUCCEEDED");
    await client.dispose();
  });

  it("from a sequence gives only what came later, also after the connection was lost", async () => {
    closeGate();
    const spec = await specFor(test, holder);
    const { experiment } = await submit(test, holder, { spec, idempotencyKey: "reconnect" });
    const first = await follow(
      clientOf(holder),
      [EVENTS, { id: experiment.id, after: 0 }],
      (events) => events.length === 3,
    );
    const lost = clientOf(holder);
    const second = await follow(
      lost,
      [EVENTS, { id: experiment.id, after: first.at(-1)?.sequence }],
      (events) => events.length === 2,
    );
    lost.terminate();
    gate.open();
    await ended(test, holder, experiment.id);
    const third = await follow(clientOf(holder), [EVENTS, { id: experiment.id, after: second.at(-1)?.sequence }]);
    assert.deepEqual(sequences([...first, ...second, ...third]), await stored(experiment.id));
  });

  it("goes on when every bell is lost", async (t) => {
    closeGate();
    const spec = await specFor(test, holder);
    const { experiment } = await submit(test, holder, { spec, idempotencyKey: "no bell" });
    t.mock.method(test.bus, "publish", () => Promise.resolve());
    const all = follow(clientOf(holder), [EVENTS, { id: experiment.id, after: 0 }]);
    gate.open();
    assert.deepEqual(sequences(await all), await stored(experiment.id));
  });

  it("that has ended replays it all and completes at once", async () => {
    const { experiments } = await data(test, holder, "{ experiments(last: 1) { edges { node { id } } } }");
    const { id } = experiments.edges[0].node;
    assert.deepEqual(sequences(await follow(clientOf(holder), [EVENTS, { id }])), await stored(id));
  });

  it("is given to many followers alike", async () => {
    closeGate();
    const spec = await specFor(test, holder);
    const { experiment } = await submit(test, holder, { spec, idempotencyKey: "many" });
    const client = clientOf(holder);
    const followers = Array.from({ length: 20 }, () => follow(client, [EVENTS, { id: experiment.id }]));
    gate.open();
    const seen = await Promise.all(followers);
    for (const events of seen) assert.deepEqual(sequences(events), await stored(experiment.id));
    await client.dispose();
  });
});

describe("following a run", () => {
  it("gives its own events only, with states, figures and progress, and ends with it", async () => {
    closeGate();
    const spec = await specFor(test, holder);
    const { experiment } = await submit(test, holder, { spec, idempotencyKey: "one run" });
    const found = await data(
      test,
      holder,
      "query ($id: ID!) { experiment(id: $id) { runs(first: 3) { edges { node { id step } } } } }",
      { id: experiment.id },
    );
    const { id } = found.experiment.runs.edges[2].node;
    const following = follow(clientOf(holder), [RUN_EVENTS, { id }]);
    gate.open();
    const events = await following;
    assert.ok(events.every((event) => event.run?.id === id));
    const states = events.flatMap(({ state }) => state ?? []);
    assert.deepEqual(states, ["QUEUED", "RUNNING", "SUCCEEDED"]);
    assert.deepEqual(
      sequences(events),
      [...new Set(sequences(events))].sort((a, b) => a - b),
    );
  });
});

describe("a connection", () => {
  /** Opens a socket by hand, says `messages`, and gives the code that it is closed with. */
  function closeCode(messages: readonly object[], headers: Record<string, string> = {}): Promise<number> {
    const socket = new WebSocket(url, "graphql-transport-ws", { headers });
    socket.on("open", () => {
      for (const message of messages) socket.send(JSON.stringify(message));
    });
    return new Promise((resolve, reject) => {
      socket.on("close", (code) => resolve(code));
      socket.on("error", reject);
    });
  }
  const init = (key: string): object => ({ type: "connection_init", payload: { authorization: `Bearer ${key}` } });

  it("is refused with 4401 for no key and for a wrong one", async () => {
    assert.equal(await closeCode([{ type: "connection_init" }]), 4401);
    assert.equal(await closeCode([init(newKey())]), 4401);
    assert.equal(await closeCode([init((await newKeyOf(holder.caller, { revoked: true })).key)]), 4401);
    assert.equal(await closeCode([{ type: "subscribe", id: "1", payload: { query: "{ __typename }" } }]), 4401);
  });

  it("is refused with 4403 for a key that may not read", async () => {
    assert.equal(await closeCode([init((await newKeyOf(holder.caller, { scopes: ["SUBMIT"] })).key)]), 4403);
  });

  it("that ended while its key was looked up is counted no longer", async (t) => {
    const look = databases.app.withoutTenant.bind(databases.app);
    const gone: Promise<unknown>[] = [];
    const fresh = await newKeyOf(holder.caller);
    t.mock.method(databases.app, "withoutTenant", async (work: Parameters<typeof look>[0]) => {
      await Promise.all(gone);
      return look(work);
    });
    for (let i = 0; i < 101; i += 1) {
      const socket = new WebSocket(url, "graphql-transport-ws");
      gone.push(new Promise((resolve) => socket.once("close", resolve)));
      socket.on("open", () => socket.send(JSON.stringify(init(fresh.key)), () => socket.terminate()));
    }
    await Promise.all(gone);
    t.mock.restoreAll();
    const socket = new WebSocket(url, "graphql-transport-ws");
    socket.on("open", () => socket.send(JSON.stringify(init(fresh.key))));
    const answer = new Promise((resolve) => socket.once("message", resolve).once("close", resolve));
    assert.match(String(await answer), /connection_ack/);
    socket.terminate();
  });

  it("that asks for another path and breaks off harms nobody", async () => {
    const requests = Array.from({ length: 50 }, () => {
      const socket = connect(api.port, "127.0.0.1");
      socket.on("error", () => undefined); // it is this side that breaks off
      socket.write("GET /elsewhere HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
      socket.once("connect", () => setImmediate(() => socket.resetAndDestroy()));
      return new Promise((resolve) => socket.once("close", resolve));
    });
    await Promise.all(requests);
    assert.equal((await fetch(`${api.url}/healthz`)).status, 200);
  });

  it("is refused to a page of another site", async () => {
    await assert.rejects(closeCode([], { origin: "https://elsewhere.example" }), /403/);
  });

  it("carries subscriptions only, within the limits of documents", async () => {
    const client = clientOf(holder);
    const refused = async (query: string): Promise<string> => {
      try {
        await follow(client, [query, {}]);
        return "accepted";
      } catch (errors) {
        return JSON.stringify(errors);
      }
    };
    assert.match(await refused("{ viewer { project { id } } }"), /MALFORMED_REQUEST/);
    assert.match(await refused("subscription { nothing }"), /MALFORMED_REQUEST/);
    assert.doesNotMatch(await refused('subscription { runEvent(runId: "x") { id } }'), /Did you mean/);
    const deep = `subscription { runEvents(runId: "x") { ${"run { experiment { ".repeat(12)} id ${"} }".repeat(12)} } }`;
    assert.match(await refused(deep), /QUERY_TOO_COMPLEX/);
    assert.match(await refused('subscription { runEvents(runId: "\\u0000") { id } }'), /INVALID_INPUT/);
    await client.dispose();
  });

  it("is cut when its key is revoked", async (t) => {
    const other = await newHolder();
    const socket = new WebSocket(url, "graphql-transport-ws");
    socket.on("open", () => socket.send(JSON.stringify(init(other.key))));
    const code = new Promise<number>((resolve) => socket.on("close", resolve));
    await new Promise((resolve) => socket.once("message", resolve));
    await test.revoke(other);
    // A key that was found good is trusted for 5 s.
    t.mock.timers.enable({ apis: ["Date"], now: Date.now() + 5_001 });
    assert.equal(await code, 4401);
  });
});
