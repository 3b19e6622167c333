import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MemoryBus } from "../src/bus/memory.js";
import { Wake } from "../src/bus/wake.js";
import { topics } from "../src/domain/messages.js";
import { busContract, testMessage } from "./support/bus-contract.js";
import { quietLog } from "./support/store.js";

busContract("the bus in memory", () => new MemoryBus({ log: quietLog, retryMs: 1 }));

describe("the bus in memory", () => {
  it("makes publishers wait for a group that is far behind, and forgets nothing of it", async () => {
    const bus = new MemoryBus({ log: quietLog, backlogMax: 3 });
    await bus.start();
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    let heard = 0;
    await bus.subscribe(topics.events, "slow", async () => {
      await gate;
      heard += 1;
    });
    let published = false;
    const publishing = bus.publish(Array.from({ length: 10 }, (_, n) => testMessage("a", n))).then(() => {
      published = true;
    });
    for (let i = 0; i < 20; i += 1) await new Promise(setImmediate);
    assert.equal(published, false);
    assert.equal(await bus.lag(topics.events, "slow"), 3);
    release();
    await publishing;
    while ((await bus.lag(topics.events, "slow")) > 0) await new Promise(setImmediate);
    assert.equal(heard, 10);
    await bus.close();
  });

  it("refuses to work before it is started and after it is closed", async () => {
    const bus = new MemoryBus({ log: quietLog });
    await assert.rejects(bus.publish([testMessage("a", 1)]), /wanted a started bus/);
    await bus.start();
    await bus.close();
    await assert.rejects(bus.publish([testMessage("a", 1)]), /wanted a started bus/);
  });
});

describe("a wake", () => {
  it("keeps a ring for the next wait, and ends a wait of its own accord", async () => {
    const wake = new Wake();
    wake.ring();
    await wake.wait(60_000);
    const waiting = wake.wait(60_000);
    wake.ring();
    await waiting;
    await wake.wait(1);
  });
});
