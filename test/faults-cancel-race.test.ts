import assert from "node:assert/strict";
import { it } from "node:test";
import { newId } from "../src/domain/digest.js";
import { cancelExperiment } from "../src/store/cancel.js";
import { claimRuns } from "../src/store/claims.js";
import { assertInvariants } from "./faults/checker.js";
import { testDatabases } from "./support/databases.js";
import { LeaseRig } from "./support/lease-rig.js";

const RACES = 1_000;
const AT_ONCE = 100;

it(`F25: of a cancel and a completion that race ${RACES} times exactly one wins, and a cancelled run has no result`, async () => {
  const databases = await testDatabases();
  const rig = new LeaseRig(databases);
  const { app, work, query } = databases;
  const won = { SUCCEEDED: 0, CANCELLED: 0 };
  for (let done = 0; done < RACES; done += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, () => rig.submit([{ stage: 0 }])));
    const request = { dispatcherId: newId(), podId: "pod", podAddress: "127.0.0.1:1", ttlMs: 60_000, limit: AT_ONCE };
    const leases = await work.transaction((tx) => claimRuns(tx, request));
    assert.equal(leases.length, AT_ONCE);
    await Promise.all(
      leases.map(async (lease, i) => {
        const complete = (): Promise<unknown> => rig.complete(lease);
        const cancel = (): Promise<unknown> =>
          app.withTenant(lease.tenantId, (tx) => cancelExperiment(tx, lease, { mode: "IMMEDIATE", reason: null }));
        await Promise.all(i % 2 === 0 ? [complete(), cancel()] : [cancel(), complete()]);
      }),
    );
  }
  const rows = await query<{ state: "SUCCEEDED" | "CANCELLED"; results: number; runs: number }>(
    `select r.state, count(x.run_id)::int as results, count(*)::int as runs from run r
     left join result x on x.run_id = r.id group by r.state`,
  );
  for (const { state, results, runs } of rows) {
    won[state] = runs;
    assert.equal(results, state === "SUCCEEDED" ? runs : 0);
  }
  assert.equal(won.SUCCEEDED + won.CANCELLED, RACES);
  assert.ok(won.SUCCEEDED > 0 && won.CANCELLED > 0, JSON.stringify(won));
  await assertInvariants(databases);
});
