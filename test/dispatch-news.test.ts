import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { linesMax, PendingEvents } from "../src/dispatch/pending-events.js";
import type { NewEvent } from "../src/store/events.js";
import { DispatchRig } from "./support/dispatch.js";
import { eventually } from "./support/eventually.js";

const line = (n: number, text = ""): NewEvent => ({ runId: "r", kind: "LOG", body: { message: `${n} ${text}` } });
const metric = (step: number): NewEvent => ({ runId: "r", kind: "METRIC", body: { name: "loss", value: 1, step } });
const kinds = (events: readonly NewEvent[], kind: string): NewEvent[] => events.filter((event) => event.kind === kind);
const warningOf = (events: readonly NewEvent[]): string => String(kinds(events, "WARNING")[0]?.body["message"]);

describe("events that wait to be written", () => {
  it("are all kept in their order while there are few", () => {
    const pending = new PendingEvents("r");
    const events = [line(1), metric(1), line(2)];
    for (const event of events) pending.add(event);
    assert.deepEqual(pending.all(), events);
  });

  it("lose their oldest log lines beyond the bound, and nothing else; a warning in front says how many", () => {
    const pending = new PendingEvents("r");
    const state: NewEvent = { runId: "r", kind: "STATE", body: { state: "RUNNING" } };
    pending.add(state);
    for (let n = 0; n < 20_000; n += 1) {
      pending.add(line(n));
      if (n % 10 === 0) pending.add(metric(n));
    }
    const all = pending.all();
    const lines = kinds(all, "LOG");
    assert.ok(lines.length <= linesMax.lines && lines.length >= linesMax.lines * 0.8, `${lines.length} lines`);
    assert.deepEqual(lines.at(-1), line(19_999));
    assert.deepEqual(lines[0], line(20_000 - lines.length));
    assert.equal(kinds(all, "METRIC").length, 2_000);
    assert.deepEqual(kinds(all, "STATE"), [state]);
    assert.equal(all[0]?.kind, "WARNING");
    assert.ok(warningOf(all).startsWith(`${20_000 - lines.length} log lines were dropped`));
  });

  it("are bounded by the length of their lines too", () => {
    const pending = new PendingEvents("r");
    for (let n = 0; n < 1_000; n += 1) pending.add(line(n, "x".repeat(4_000)));
    const characters = kinds(pending.all(), "LOG").reduce((sum, { body }) => sum + String(body["message"]).length, 0);
    assert.ok(characters <= linesMax.characters, `${characters} characters`);
  });

  it("count what was dropped before and after a try to write them", () => {
    const [before, since] = [new PendingEvents("r"), new PendingEvents("r")];
    for (let n = 0; n < 6_000; n += 1) before.add(line(n));
    for (let n = 6_000; n < 12_000; n += 1) since.add(line(n));
    before.append(since);
    const lines = kinds(before.all(), "LOG");
    assert.deepEqual(lines.at(-1), line(11_999));
    assert.ok(warningOf(before.all()).startsWith(`${12_000 - lines.length} log lines were dropped`));
  });
});

describe("a run that says more than can be written", () => {
  it("ends with its last lines, its metrics and a warning in its events", async () => {
    const rig = await DispatchRig.open();
    const count = 12_000;
    await rig.pod({
      work: ({ say }) => {
        for (let n = 0; n < count; n += 1) say({ $case: "log", value: { level: "info", message: `line ${n}` } });
        say({ $case: "metric", value: { name: "loss", value: 0.5, step: 9n } });
        return Promise.resolve({ metrics: {} });
      },
    });
    await rig.dispatcher({ newsMs: 600_000 }); // nothing is written before the end, as when the database is away
    const experimentId = await rig.submit([{ stage: 0 }]);
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
    const events = await eventually("the events", () =>
      rig.databases.query<{ kind: string; body: { message?: string } }>(
        "select kind, body from event where experiment_id = $1 order by seq",
        [experimentId],
      ),
    );
    const said = events.filter(({ kind }) => kind === "LOG").map(({ body }) => body.message);
    assert.equal(said.at(-1), `line ${count - 1}`);
    assert.equal(events.filter(({ kind }) => kind === "METRIC").length, 1);
    const warning = events.find(({ kind }) => kind === "WARNING")?.body.message ?? "";
    assert.ok(warning.startsWith(`${count - said.length} log lines were dropped`), warning);
  });
});
