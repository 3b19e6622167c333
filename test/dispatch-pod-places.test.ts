import assert from "node:assert/strict";
import { it } from "node:test";
import { PodPlaces, type Resolve } from "../src/dispatch/pod-places.js";
import { quietLog } from "./support/store.js";

/** A name service whose answers the test gives, and a clock of its own. */
function directory(): {
  places: PodPlaces;
  answer: (answer: readonly string[] | Error) => void;
  pass: (ms: number) => void;
} {
  let said: readonly string[] | Error = [];
  let now = 0;
  const resolve: Resolve = async (name) => {
    assert.equal(name, "assay-pods");
    if (said instanceof Error) throw said;
    return said;
  };
  return {
    places: new PodPlaces([{ address: "10.0.0.9:1" }, { name: "assay-pods", port: 4100 }], quietLog, {
      resolve,
      now: () => now,
    }),
    answer: (answer) => {
      said = answer;
    },
    pass: (ms) => {
      now += ms;
    },
  };
}

it("A name stands for every pod behind it, and is looked up again every five seconds", async () => {
  const { places, answer, pass } = directory();
  answer(["10.0.0.1", "fd00::1"]);
  assert.deepEqual(await places.addresses(), ["10.0.0.9:1", "10.0.0.1:4100", "[fd00::1]:4100"]);
  answer(["10.0.0.2"]);
  pass(4_999);
  assert.deepEqual(await places.addresses(), ["10.0.0.9:1", "10.0.0.1:4100", "[fd00::1]:4100"]);
  pass(1);
  assert.deepEqual(await places.addresses(), ["10.0.0.9:1", "10.0.0.2:4100"]);
});

it("A name service that is away takes no pods away; a name that it does not know has none", async () => {
  const { places, answer, pass } = directory();
  answer(["10.0.0.1"]);
  await places.addresses();
  answer(Object.assign(new Error("try again"), { code: "EAI_AGAIN" }));
  pass(5_000);
  assert.deepEqual(await places.addresses(), ["10.0.0.9:1", "10.0.0.1:4100"]);
  answer(Object.assign(new Error("not found"), { code: "ENOTFOUND" }));
  pass(5_000);
  assert.deepEqual(await places.addresses(), ["10.0.0.9:1"]);
});

it("The system's own resolver is asked", async () => {
  const places = new PodPlaces([{ name: "localhost", port: 7 }], quietLog);
  const addresses = await places.addresses();
  assert.ok(
    addresses.some((address) => address === "127.0.0.1:7" || address === "[::1]:7"),
    addresses.join(" "),
  );
});
