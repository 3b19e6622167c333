import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import type { ErrorClass } from "../src/domain/run.js";
import type { Caller } from "../src/domain/tenant.js";
import { type ClaimedRun, claimRuns, isQuarantined } from "../src/store/claims.js";
import { testDatabases } from "./support/databases.js";
import { Delivery } from "./support/delivery.js";

const databases = await testDatabases();
const { newTenant, query, work } = databases;
const delivery = new Delivery(databases);

function claim(podId: string, limit: number): Promise<ClaimedRun[]> {
  const request = { dispatcherId: delivery.dispatcherId, podId, podAddress: "127.0.0.1:1", ttlMs: 60_000, limit };
  return work.transaction((tx) => claimRuns(tx, request));
}

/** Lets so many runs fail once, and gives their ids; they wait until `due`. */
async function failed(who: Caller, count: number, errorClass: ErrorClass = "POISON"): Promise<string[]> {
  await delivery.submit(who, count);
  const runs = await claim("first", count);
  assert.equal(runs.length, count);
  for (const run of runs) await delivery.fail(run, errorClass);
  const ids = runs.map((run) => run.runId);
  await query("update run set not_before = 'infinity' where id = any($1)", [ids]);
  return ids;
}

async function due(ids: readonly string[]): Promise<void> {
  await query("update run set not_before = now() where id = any($1)", [ids]);
}

const among = (runs: readonly ClaimedRun[], ids: readonly string[]): ClaimedRun[] =>
  runs.filter((run) => ids.includes(run.runId));

describe("a claim", () => {
  beforeEach(async () => {
    // What another test left in work or in the queue.
    const held = await query<ClaimedRun & Record<string, unknown>>(
      `select tenant_id as "tenantId", experiment_id as "experimentId", id as "runId", epoch from run where state = 'LEASED'`,
    );
    for (const run of held) await delivery.complete(run);
    await delivery.drain();
  });

  it("gives a pod one run at a time that killed its process, and beside it any number of others", async () => {
    const who = await newTenant();
    const poison = await failed(who, 3);
    await due(poison);
    await delivery.submit(who, 3);
    const first = await claim("one", 6);
    assert.equal(first.length, 4);
    assert.equal(among(first, poison).length, 1);
    assert.deepEqual(await claim("one", 6), []);
    assert.equal(await work.transaction((tx) => isQuarantined(tx, "one")), true);

    const second = await claim("two", 6);
    assert.equal(among(second, poison).length, 1);
    assert.equal(second.length, 1);
    for (const run of among(first, poison)) await delivery.complete(run);
    assert.equal(await work.transaction((tx) => isQuarantined(tx, "one")), false);
    assert.equal(among(await claim("one", 6), poison).length, 1);
  });

  it("gives two tenants' such runs to two pods", async () => {
    const poison = [...(await failed(await newTenant(), 1)), ...(await failed(await newTenant(), 1))];
    await due(poison);
    const first = await claim("one", 2);
    assert.equal(among(first, poison).length, 1);
    assert.deepEqual(await claim("one", 2), []);
    const second = await claim("two", 2);
    assert.deepEqual([...first, ...second].map((run) => run.runId).sort(), poison.sort());
  });

  it("passes such runs over for whatever waits behind them", async () => {
    const who = await newTenant();
    const poison = await failed(who, 5);
    await due(poison);
    await claim("one", 1);
    await delivery.submit(who, 2);
    const others = await claim("one", 2);
    assert.equal(others.length, 2);
    assert.deepEqual(among(others, poison), []);
  });

  it("holds no run back that failed otherwise", async () => {
    const ids = await failed(await newTenant(), 3, "TRANSIENT");
    await due(ids);
    assert.equal(among(await claim("one", 3), ids).length, 3);
  });
});
