import assert from "node:assert/strict";
import { it } from "node:test";
import type { Bus } from "../src/bus/bus.js";
import { MemoryBus } from "../src/bus/memory.js";
import { PatientBus } from "../src/bus/patient.js";
import { type Message, topics } from "../src/domain/messages.js";
import { AssayError } from "../src/errors.js";
import { busContract, testMessage } from "./support/bus-contract.js";
import { eventually } from "./support/eventually.js";
import { quietLog } from "./support/store.js";

const memory = (): MemoryBus => new MemoryBus({ log: quietLog, retryMs: 1 });

busContract("a bus that is waited for", () => new PatientBus(memory(), { log: quietLog }));

/** A bus that is away until the test says otherwise. */
function lateBus(): { bus: PatientBus; arrive: () => void; joinable: (is: boolean) => void } {
  const inner = memory();
  let [isThere, isJoinable] = [false, true];
  const away = (): Promise<never> => Promise.reject(new AssayError("BUS_UNAVAILABLE", "away"));
  const late: Bus = {
    start: () => (isThere ? inner.start() : away()),
    publish: (messages) => inner.publish(messages),
    subscribe: (topic, group, handler) => (isJoinable ? inner.subscribe(topic, group, handler) : away()),
    lag: (topic, group) => inner.lag(topic, group),
    close: () => inner.close(),
  };
  return {
    bus: new PatientBus(late, { log: quietLog, retryMs: 5 }),
    arrive: () => {
      isThere = true;
    },
    joinable: (is) => {
      isJoinable = is;
    },
  };
}

it("A bus that is away when its process starts is joined as soon as it answers; until then publishing fails", async () => {
  const { bus, arrive } = lateBus();
  await bus.start();
  const heard: Message[] = [];
  await bus.subscribe(topics.events, "group", async (message) => void heard.push(message));
  await assert.rejects(bus.publish([testMessage("a", 1)]), { code: "BUS_UNAVAILABLE" });
  await assert.rejects(bus.lag(topics.events, "group"), { code: "BUS_UNAVAILABLE" });
  arrive();
  await eventually("the bus to be joined", () =>
    bus.publish([testMessage("a", 2)]).then(
      () => true,
      () => false,
    ),
  );
  await eventually("the message", () => heard.length === 1);
  assert.equal(heard[0]?.payload["fromSequence"], 2);
  await bus.close();
});

it("A group that cannot be joined at first is joined later, once", async () => {
  const { bus, arrive, joinable } = lateBus();
  arrive();
  joinable(false);
  await bus.start();
  const heard: unknown[] = [];
  await bus.subscribe(topics.events, null, async ({ payload }) => void heard.push(payload["fromSequence"]));
  await bus.publish([testMessage("a", 1)]);
  joinable(true);
  await eventually("a message to be heard", async () => {
    await bus.publish([testMessage("a", 2)]);
    return heard.length > 0;
  });
  const before = heard.length;
  await bus.publish([testMessage("a", 3)]);
  await eventually("the last message", () => heard.includes(3));
  assert.equal(heard.filter((n) => n === 3).length, 1, `heard ${heard.length - before} times`);
  await bus.close();
});

it("A member that leaves before the bus came is never joined", async () => {
  const { bus, arrive } = lateBus();
  await bus.start();
  const subscription = await bus.subscribe(topics.events, null, () => Promise.reject(new Error("heard")));
  await subscription.close();
  arrive();
  await eventually("the bus to be there", () =>
    bus.publish([testMessage("a", 1)]).then(
      () => true,
      () => false,
    ),
  );
  await bus.close();
});
