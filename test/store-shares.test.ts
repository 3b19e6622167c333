import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { newId } from "../src/domain/digest.js";
import { typicalAfter } from "../src/domain/share.js";
import type { Caller } from "../src/domain/tenant.js";
import type { ClaimedRun } from "../src/store/claims.js";
import { statement } from "../src/store/transaction.js";
import { assertInvariants } from "./faults/checker.js";
import { testDatabases } from "./support/databases.js";
import { Delivery, withSteps } from "./support/delivery.js";

const databases = await testDatabases();
const { caller, newTenant, query, work } = databases;
const delivery = new Delivery(databases);

beforeEach(() => delivery.drain());
afterEach(() => assertInvariants(databases));

/** Claims one run after another, ends each at once, and gives whose they were. */
async function serve(claims: number, wall = 1): Promise<string[]> {
  const served: string[] = [];
  for (let i = 0; i < claims; i += 1) {
    const [run] = await delivery.claim();
    assert.ok(run, `wanted a run for claim ${i}`);
    served.push(run.tenantId);
    await delivery.complete(run, wall);
  }
  return served;
}

const countOf = (served: readonly string[], who: Caller): number => served.filter((id) => id === who.tenantId).length;
const tenantsOf = (runs: readonly ClaimedRun[]): string[] => runs.map((run) => run.tenantId);

async function reservedFor(runId: string): Promise<number | undefined> {
  const text = "select amount from ledger where run_id = $1 and kind = 'RESERVE' order by epoch desc limit 1";
  return (await query<{ amount: number }>(text, [runId]))[0]?.amount;
}

async function shareOf(who: Pick<Caller, "tenantId">): Promise<number> {
  return (await query<{ v: number }>("select v from share where tenant_id = $1", [who.tenantId]))[0]?.v ?? 0;
}

describe("shares", () => {
  for (const [many, title] of [
    [1, "one by one"],
    [7, "seven at a time"],
  ] as const) {
    it(`of weights 1 and 2 are claims 1 to 2 within one claim, claimed ${title}`, async () => {
      const [light, heavy] = [await newTenant(), await newTenant()];
      await delivery.quota(heavy, { weight: 2 });
      for (const who of [light, heavy]) await delivery.submit(who, 300);
      const served: string[] = [];
      while (served.length < 294) {
        const runs = await delivery.claim(many);
        served.push(...tenantsOf(runs));
        for (const run of runs) await delivery.complete(run);
        if (many > 1) continue;
        assert.ok(Math.abs(countOf(served, heavy) - (2 / 3) * served.length) <= 1.34, served.slice(-3).join(" "));
      }
      assert.ok(Math.abs(countOf(served, light) - 98) <= 1, `${countOf(served, light)} of 294`);
    });
  }

  it("of an idle tenant begin at the clock: it has saved nothing up", async () => {
    const [busy, idle] = [await newTenant(), await newTenant()];
    await delivery.submit(idle);
    await delivery.submit(busy, 120);
    await serve(60);
    await delivery.fold();
    await delivery.submit(idle, 40);
    const served = await serve(20);
    assert.ok(Math.abs(countOf(served, idle) - 10) <= 1, `${countOf(served, idle)} of 20`);
  });

  it("are charged when a run is claimed: a burst pays at once, before anything has ended", async () => {
    const [one, other] = [await newTenant(), await newTenant()];
    for (const who of [one, other]) await delivery.submit(who, 20);
    const claimed: ClaimedRun[] = [];
    for (const limit of [8, 1, 1, 6]) {
      claimed.push(...(await delivery.claim(limit)));
      assert.ok(Math.abs(countOf(tenantsOf(claimed), one) - countOf(tenantsOf(claimed), other)) <= claimed.length % 2);
    }
    for (const run of claimed) await delivery.complete(run);
  });

  it("are put right when a run has ended, by what it used more or less than was thought", async () => {
    const [long, short] = [await newTenant(), await newTenant()];
    await delivery.submit(long, 30);
    await delivery.submit(short, 30);
    const pair = await delivery.claim(2);
    for (const run of pair) await delivery.complete(run, run.tenantId === long.tenantId ? 12 : 1);
    const before = await shareOf(long);
    await delivery.fold();
    assert.ok(Math.abs((await shareOf(long)) - before - 11) < 1e-9);
    assert.deepEqual([...new Set(await serve(10))], [short.tenantId]);
    const entries = await query("select amount from share_entry where tenant_id = $1 and kind = 'CORRECTION'", [
      long.tenantId,
    ]);
    assert.deepEqual(entries, [{ amount: 11 }]);
  });
});

describe("what a run is thought to cost", () => {
  it("is what like runs of the project took, else of the capability in the tenant, else one second", async () => {
    const [here, elsewhere] = [await newTenant(), await newTenant()];
    const projectId = newId();
    await delivery.asOwner(
      here,
      "insert into project (tenant_id, id, slug, name) values ($1, $2, 'second', 'Second')",
      [here.tenantId, projectId],
    );
    const second: Caller = { ...here, projectId };
    const first = async (who: Caller, step: string): Promise<number | undefined> => {
      const { experimentId } = await delivery.submit(who, withSteps([step]));
      const [run] = await delivery.claim();
      assert.equal(run?.experimentId, experimentId);
      await delivery.complete(run, step === "train" ? 30 : 10);
      await delivery.fold();
      return reservedFor(run.runId);
    };
    assert.equal(await first(here, "train"), 1);
    assert.equal(await first(here, "train"), 30);
    assert.equal(await first(here, "report"), 30);
    assert.equal(await first(here, "report"), 10);
    assert.equal(await first(second, "train"), 20);
    assert.equal(await first(elsewhere, "train"), 1);
  });

  it("follows the runs that succeeded, as the domain says, and no others", async () => {
    const who = await newTenant();
    await delivery.submit(who, 24);
    let known = { runs: 0, seconds: 0 };
    for (const seconds of [4, 8, 6, 100, 2, 2, 2, 2]) {
      const runs = await delivery.claim(3);
      const [failed, ...succeeded] = runs;
      assert.ok(failed);
      await delivery.fail(failed, "BAD_INPUT", { wall: 1000, cpu: 0, gpu: 0 });
      for (const run of succeeded) await delivery.complete(run, seconds);
      await delivery.fold();
      known = typicalAfter(known, { runs: 2, seconds });
      const rows = await query("select runs::int, seconds from typical_cost where tenant_id = $1", [who.tenantId]);
      assert.equal(rows[0]?.["runs"], known.runs);
      assert.ok(Math.abs(Number(rows[0]?.["seconds"]) - known.seconds) < 1e-9);
    }
  });
});

describe("within a tenant", () => {
  it("a higher priority is served first, and ten minutes of waiting are worth one", async () => {
    const who = await newTenant();
    const older = await delivery.submit(who);
    const urgent = await delivery.submit(who, 1, { priority: 1 });
    const oldest = await delivery.submit(who, 1, { priority: -1 });
    // As accepted 21 minutes before the others: worth two priorities, and a minute.
    await delivery.asOwner(who, "update run set queue_rank = queue_rank - 1260 where experiment_id = $1", [
      oldest.experimentId,
    ]);
    const order: string[] = [];
    for (let i = 0; i < 3; i += 1) {
      const [run] = await delivery.claim();
      assert.ok(run);
      order.push(run.experimentId);
      await delivery.complete(run);
    }
    assert.deepEqual(
      order,
      [oldest, urgent, older].map((key) => key.experimentId),
    );
  });
});

describe("claims", () => {
  it("of ten dispatchers at once are disjoint, and leave out none", async () => {
    const tenants = [caller, await newTenant(), await newTenant()];
    for (const who of tenants) await delivery.submit(who, 60);
    const claimed: ClaimedRun[] = [];
    const dispatcher = async (): Promise<void> => {
      const other = new Delivery(databases);
      for (let runs = await other.claim(3); runs.length > 0; runs = await other.claim(3)) claimed.push(...runs);
    };
    await Promise.all(Array.from({ length: 10 }, dispatcher));
    assert.equal(new Set(claimed.map((run) => run.runId)).size, 180);
    assert.equal(claimed.length, 180);
    for (const run of claimed) await delivery.complete(run);
  });

  it("wait for nobody who holds a run locked, and take the one after it", async () => {
    const who = await newTenant();
    const held = await delivery.submit(who);
    const free = await delivery.submit(who);
    const lock = statement("test-hold", "select 1 from run where experiment_id = $1 for update");
    const [run] = await work.transaction(async (tx) => {
      await tx.run(lock, [held.experimentId]);
      return delivery.claim();
    });
    assert.equal(run?.experimentId, free.experimentId);
    await delivery.complete(run);
  });
});
