import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Contender, chooseFairly } from "../src/domain/share.js";
import { testDatabases } from "./support/databases.js";
import { Delivery, withSteps } from "./support/delivery.js";

// A file of its own: it writes shares by hand, which no audit of claims comes to.
const databases = await testDatabases();
const { newTenant, query } = databases;
const delivery = new Delivery(databases);

async function shareOf({ tenantId }: Contender): Promise<number> {
  return (await query<{ v: number }>("select v from share where tenant_id = $1", [tenantId]))[0]?.v ?? Number.NaN;
}

async function clock(): Promise<number> {
  return (await query<{ v: number }>("select v from share_clock"))[0]?.v ?? Number.NaN;
}

describe("claims", () => {
  it("choose as the domain does, whatever shares, weights and costs there are", async () => {
    const amount = fc.double({ min: 0.5, max: 20, noNaN: true });
    const one = fc.record({
      ahead: fc.double({ min: -30, max: 30, noNaN: true }),
      weight: amount,
      costs: fc.array(amount, { minLength: 1, maxLength: 5 }),
    });
    const cases = fc.record({
      tenants: fc.array(one, { minLength: 1, maxLength: 5 }),
      limit: fc.integer({ min: 1, max: 9 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ tenants, limit }) => {
        await delivery.drain();
        const now = await clock();
        const contenders: Contender[] = [];
        for (const { ahead, weight, costs } of tenants) {
          const who = await newTenant();
          const steps = costs.map((_, i) => `step${i}`);
          const v = Math.max(0, now + ahead);
          await delivery.quota(who, { weight });
          await delivery.asOwner(who, "insert into share (tenant_id, v) values ($1, $2)", [who.tenantId, v]);
          await delivery.asOwner(
            who,
            `insert into typical_cost (tenant_id, project_id, capability, step, runs, seconds)
             select $1, $2, 'ROBUSTNESS', c.step, 1, c.seconds from unnest($3::text[], $4::float8[]) as c(step, seconds)`,
            [who.tenantId, who.projectId, steps, costs],
          );
          await delivery.submit(who, withSteps(steps));
          contenders.push({ tenantId: who.tenantId, v, weight, served: 0, costs });
        }
        const claimed = await delivery.claim(limit);
        const wanted = chooseFairly(contenders, now, limit);
        const tags = await query<{ start_tag: number }>(
          "select start_tag from share_entry where run_id = any($1) and kind = 'CLAIM' order by n",
          [claimed.map((run) => run.runId)],
        );
        assert.deepEqual(
          claimed.map((run) => run.tenantId),
          wanted.map((choice) => choice.tenantId),
        );
        for (const [i, { startTag: tag }] of wanted.entries())
          assert.ok(Math.abs((tags[i]?.start_tag ?? Number.NaN) - tag) < 1e-6);
        for (const who of contenders) {
          const last = wanted.findLast((choice) => choice.tenantId === who.tenantId);
          assert.ok(Math.abs((await shareOf(who)) - (last?.v ?? who.v)) < 1e-6);
        }
        for (const run of claimed) await delivery.complete(run);
      }),
      { numRuns: 25 },
    );
  });
});
