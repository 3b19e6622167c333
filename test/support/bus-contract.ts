import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Bus } from "../../src/bus/bus.js";
import { newId } from "../../src/domain/digest.js";
import { type Message, type Topic, topics } from "../../src/domain/messages.js";
import { eventually } from "./eventually.js";

/** A message of an experiment; `n` tells messages apart. */
export function testMessage(experimentId: string, n: number, topic: Topic = topics.events): Message {
  const tenantId = "00000000-0000-7000-8000-000000000001";
  const type = "assay.events.v1.EventsWritten";
  return {
    eventId: newId(),
    topic,
    key: `${tenantId}:${experimentId}`,
    type,
    tenantId,
    payload: { experimentId, fromSequence: n, toSequence: n },
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  };
}

const numbers = (messages: readonly Message[]): unknown[] => messages.map((message) => message.payload["fromSequence"]);

/** Registers a test; a lane that cannot run on this machine gives one that leaves its tests out and counts them. */
export type Register = (name: string, work: () => Promise<void>) => void;

const run: Register = (name, work) => void it(name, work);

/** What every bus must do. `make` gives a bus that is not started, with a name space of its own. */
export function busContract(name: string, make: () => Promise<Bus> | Bus, test: Register = run): void {
  const withBus = async (work: (bus: Bus) => Promise<void>): Promise<void> => {
    const bus = await make();
    await bus.start();
    try {
      await work(bus);
    } finally {
      await bus.close();
    }
  };
  const collect = (into: Message[]): ((message: Message) => Promise<void>) => {
    return (message) => {
      into.push(message);
      return Promise.resolve();
    };
  };

  describe(`${name}, as a bus,`, () => {
    test("gives every group every message, whole", () =>
      withBus(async (bus) => {
        const [one, two]: [Message[], Message[]] = [[], []];
        await bus.subscribe(topics.events, "one", collect(one));
        await bus.subscribe(topics.events, "two", collect(two));
        const sent = [testMessage("a", 1), testMessage("b", 2)];
        await bus.publish(sent);
        await eventually("both groups to hear both", () => one.length === 2 && two.length === 2);
        const byId = (a: Message, b: Message): number => a.eventId.localeCompare(b.eventId);
        assert.deepEqual(one.toSorted(byId), sent.toSorted(byId));
      }));

    test("gives a group's message to one of its members", () =>
      withBus(async (bus) => {
        const [one, two]: [Message[], Message[]] = [[], []];
        await bus.subscribe(topics.events, "group", collect(one));
        await bus.subscribe(topics.events, "group", collect(two));
        await bus.publish(Array.from({ length: 30 }, (_, n) => testMessage(`e${n}`, n)));
        await eventually("thirty messages", () => one.length + two.length >= 30);
        assert.equal(new Set([...one, ...two].map((message) => message.eventId)).size, 30);
      }));

    test("keeps the order of one key, also while members work side by side", () =>
      withBus(async (bus) => {
        const heard: Message[] = [];
        const slow = async (message: Message): Promise<void> => {
          await new Promise(setImmediate);
          heard.push(message);
        };
        await bus.subscribe(topics.events, "group", slow);
        await bus.subscribe(topics.events, "group", slow);
        await bus.publish(Array.from({ length: 60 }, (_, n) => testMessage(`e${n % 3}`, n)));
        await eventually("sixty messages", () => heard.length >= 60);
        for (const experimentId of ["e0", "e1", "e2"]) {
          const seen = numbers(heard.filter((message) => message.payload.experimentId === experimentId));
          assert.deepEqual(
            seen,
            seen.toSorted((a, b) => Number(a) - Number(b)),
          );
        }
      }));

    test("keeps topics apart", () =>
      withBus(async (bus) => {
        const heard: Message[] = [];
        await bus.subscribe(topics.runsQueued, "group", collect(heard));
        await bus.publish([testMessage("a", 1, topics.events), testMessage("a", 2, topics.runsQueued)]);
        await eventually("the message", () => heard.length === 1);
        assert.deepEqual(numbers(heard), [2]);
      }));

    test("gives a message again when its handler throws, before later ones of its key", () =>
      withBus(async (bus) => {
        const heard: Message[] = [];
        let thrown = false;
        await bus.subscribe(topics.events, "group", async (message) => {
          if (message.payload["fromSequence"] === 1 && !thrown) {
            thrown = true;
            throw new RangeError("planted");
          }
          await collect(heard)(message);
        });
        await bus.publish([testMessage("a", 1), testMessage("a", 2)]);
        await eventually("both messages", () => heard.length === 2);
        assert.deepEqual(numbers(heard), [1, 2]);
      }));

    test("gives what a leaving member did not handle to another one", () =>
      withBus(async (bus) => {
        const heard: Message[] = [];
        const leaving = await bus.subscribe(topics.events, "group", () => Promise.reject(new RangeError("planted")));
        await bus.publish([testMessage("a", 1)]);
        await eventually("the message to wait", async () => (await bus.lag(topics.events, "group")) === 1);
        await leaving.close();
        await bus.subscribe(topics.events, "group", collect(heard));
        await eventually("the message", () => heard.length === 1);
      }));

    test("keeps a message that was not handled, though later ones of other keys are done", () =>
      withBus(async (bus) => {
        const [one, two]: [Message[], Message[]] = [[], []];
        let failures = 0;
        const leaving = await bus.subscribe(topics.events, "group", (message) => {
          if (message.payload.experimentId !== "bad") return collect(one)(message);
          failures += 1;
          return Promise.reject(new RangeError("planted"));
        });
        await bus.publish([testMessage("bad", 100)]);
        // Whoever waits for the bad one alone must hear the others all the same.
        await eventually("the bad message to fail", () => failures > 0);
        await bus.publish(Array.from({ length: 30 }, (_, n) => testMessage(`e${n}`, n)));
        await eventually("the messages of other keys", () => new Set(numbers(one)).size === 30);
        assert.ok((await bus.lag(topics.events, "group")) >= 1);
        await leaving.close();
        await bus.subscribe(topics.events, "group", collect(two));
        await eventually("the message", () => numbers(two).includes(100));
        await eventually("no lag", async () => (await bus.lag(topics.events, "group")) === 0);
      }));

    test("forgets a group of its own when it closes, and gives the next one nothing of before", () =>
      withBus(async (bus) => {
        const [one, two]: [Message[], Message[]] = [[], []];
        const first = await bus.subscribe(topics.events, null, collect(one));
        await bus.publish([testMessage("a", 1)]);
        await eventually("the message", () => one.length === 1);
        await first.close();
        await bus.publish([testMessage("a", 2)]);
        await bus.subscribe(topics.events, null, collect(two));
        await bus.publish([testMessage("a", 3)]);
        await eventually("the later message", () => two.length > 0);
        assert.deepEqual([numbers(one), numbers(two)], [[1], [3]]);
      }));

    test("tells how many messages a group has still to handle", () =>
      withBus(async (bus) => {
        let release: () => void = () => undefined;
        const gate = new Promise<void>((resolve) => {
          release = resolve;
        });
        await bus.subscribe(topics.events, "group", () => gate);
        await bus.publish([testMessage("a", 1), testMessage("a", 2), testMessage("b", 3)]);
        await eventually("a lag of three", async () => (await bus.lag(topics.events, "group")) === 3);
        release();
        await eventually("no lag", async () => (await bus.lag(topics.events, "group")) === 0);
      }));
  });
}
