import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Message, topics } from "../src/domain/messages.js";
import { traceIdOf, traceparentOf } from "../src/domain/trace.js";
import { idOf, testApi } from "./support/api.js";
import { eventually } from "./support/eventually.js";
import { ended, startWork } from "./support/fixture.js";
import { data, specFor } from "./support/requests.js";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const GIVEN = `00-${TRACE}-b7ad6b7169203331-01`;

describe("a trace context", () => {
  it("is kept as it came when it is well-formed", () => {
    assert.equal(traceparentOf(GIVEN), GIVEN);
    assert.equal(traceIdOf(GIVEN), TRACE);
  });

  it("of a later version keeps what this one knows", () => {
    assert.equal(traceparentOf(`cc-${TRACE}-b7ad6b7169203331-01-what-comes-later`), GIVEN);
  });

  it("that is absent or malformed begins a new trace", () => {
    const wrong = [
      undefined,
      "",
      "00",
      `${GIVEN}-more`,
      `ff-${TRACE}-b7ad6b7169203331-01`,
      `00-${"0".repeat(32)}-b7ad6b7169203331-01`,
      `00-${TRACE}-${"0".repeat(16)}-01`,
      GIVEN.toUpperCase(),
      `${GIVEN}, ${GIVEN}`,
      `00-${TRACE}-b7ad6b7169203331-01\n`,
    ];
    const made = wrong.map(traceparentOf);
    for (const [i, traceparent] of made.entries()) {
      assert.match(traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/, String(wrong[i]));
      assert.notEqual(traceIdOf(traceparent), TRACE, String(wrong[i]));
    }
    assert.equal(new Set(made).size, made.length);
  });
});

describe("the trace of a submission", async () => {
  const test = await testApi();
  const { api, holder, databases, bus, logged } = test;
  const heard: Message[] = [];
  for (const topic of Object.values(topics)) {
    await bus.subscribe(topic, "tracer", (message) => {
      heard.push(message);
      return Promise.resolve();
    });
  }
  await startWork(test);

  it("is stored, logged, and carried by every message about the experiment", async () => {
    const spec = await specFor(test, holder);
    const answer = await fetch(`${api.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${holder.key}`, traceparent: GIVEN },
      body: JSON.stringify({
        query: "mutation ($i: SubmitRobustnessInput!) { submitRobustnessExperiment(input: $i) { experiment { id } } }",
        variables: { i: { spec, idempotencyKey: "traced" } },
      }),
    });
    const { id } = JSON.parse(await answer.text()).data.submitRobustnessExperiment.experiment;
    assert.equal(await ended(test, holder, id), "SUCCEEDED");
    const rows = await databases.query<{ id: string; traceparent: string }>("select id, traceparent from experiment");
    assert.deepEqual(
      rows.map((row) => [idOf("Experiment", row.id), row.traceparent]),
      [[id, GIVEN]],
    );
    const [line] = logged.map((text) => JSON.parse(text)).filter((entry) => entry.message === "experiment accepted");
    assert.deepEqual([line.traceId, line.experimentId, line.replayed], [TRACE, rows[0]?.id, false]);
    const [last] = await databases.query<{ seq: number }>("select max(seq)::int as seq from event");
    await eventually("the last event's bell", () =>
      heard.some((message) => message.payload["toSequence"] === last?.seq),
    );
    // The submission, and later the dispatcher: events, stages that open, the end.
    assert.ok(heard.filter((message) => message.topic === topics.runsQueued).length >= 3);
    assert.deepEqual([...new Set(heard.map((message) => message.traceparent))], [GIVEN]);
  });

  it("is a new one for a request that has none", async () => {
    const spec = await specFor(test, holder);
    const wanted = { ...spec, name: "untraced" };
    const query =
      "mutation ($i: SubmitRobustnessInput!) { submitRobustnessExperiment(input: $i) { experiment { id } } }";
    await data(test, holder, query, { i: { spec: wanted, idempotencyKey: "untraced" } });
    const [row] = await databases.query<{ traceparent: string }>(
      "select traceparent from experiment where name = 'untraced'",
    );
    assert.match(row?.traceparent ?? "", /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    assert.notEqual(row?.traceparent, GIVEN);
  });
});

describe("the events of an experiment", async () => {
  const test = await testApi();
  const { holder } = test;
  await startWork(test);

  it("can be read page by page after a sequence, without a gap", async () => {
    const spec = await specFor(test, holder);
    const submitted = await data(
      test,
      holder,
      "mutation ($i: SubmitRobustnessInput!) { submitRobustnessExperiment(input: $i) { experiment { id } } }",
      { i: { spec, idempotencyKey: "events" } },
    );
    const { id } = submitted.submitRobustnessExperiment.experiment;
    await ended(test, holder, id);
    const read = async (afterSequence: number): Promise<number[]> => {
      const found = await data(
        test,
        holder,
        `query ($id: ID!, $after: Int!) { experiment(id: $id) {
           events(first: 5, afterSequence: $after) { edges { node { sequence } } } } }`,
        { id, after: afterSequence },
      );
      return found.experiment.events.edges.map((edge: { node: { sequence: number } }) => edge.node.sequence);
    };
    const all: number[] = [];
    for (let page = await read(0); page.length > 0; page = await read(all.at(-1) ?? 0)) all.push(...page);
    assert.deepEqual(
      all,
      all.map((_, i) => i + 1),
    );
    assert.ok(all.length > 10);
  });
});
