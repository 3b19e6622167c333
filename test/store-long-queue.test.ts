import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cancelExperiment } from "../src/store/cancel.js";
import { claimRuns } from "../src/store/claims.js";
import { statement } from "../src/store/transaction.js";
import { testDatabases } from "./support/databases.js";
import { Delivery } from "./support/delivery.js";

const databases = await testDatabases();
const { app, newTenant, work } = databases;
const delivery = new Delivery(databases);

const analyze = "analyze run, experiment, attempt, ledger, share, quota";
const rowsRead = statement(
  "test-rows-read",
  "select (seq_tup_read + coalesce(idx_tup_fetch, 0))::int as rows from pg_stat_xact_user_tables where relname = 'run'",
);

/** A claim of one run reads a few of them a few times over, those in work, and what claims before it left in the index. */
const ROWS_MAX = 300;

/** Rows of runs that one claim reads. */
function readByClaim(): Promise<number> {
  const { dispatcherId } = delivery;
  const request = { dispatcherId, podId: "pod", podAddress: "127.0.0.1:1", ttlMs: 60_000, limit: 1 };
  return work.transaction(async (tx) => {
    assert.equal((await claimRuns(tx, request)).length, 1);
    return (await tx.rows<{ rows: number }>(rowsRead))[0]?.rows ?? Number.NaN;
  });
}

describe("a claim", () => {
  it("reads a handful of runs, however many wait, have ended, and waited when the planner looked last", async () => {
    const who = await newTenant();
    await delivery.quota(who, { queued_max: 10_000, running_max: 1_000, compute_seconds_per_day: 1e6 });
    // Ended runs, and a look of the planner at a table in which nothing waits.
    for (const ended of await Promise.all(Array.from({ length: 100 }, () => delivery.submit(who, 20)))) {
      await app.withTenant(who.tenantId, (tx) => cancelExperiment(tx, ended, { mode: "IMMEDIATE", reason: null }));
    }
    await delivery.asOwner(who, analyze);
    await delivery.submit(who, 3_000);
    for (let i = 0; i < 8; i += 1) {
      const rows = await readByClaim();
      assert.ok(rows <= ROWS_MAX, `${rows} rows for claim ${i}, behind the look at an empty queue`);
    }
    await delivery.asOwner(who, analyze);
    for (let i = 0; i < 8; i += 1) {
      const rows = await readByClaim();
      assert.ok(rows <= ROWS_MAX, `${rows} rows for claim ${i}, behind the look at a long queue`);
    }
  });
});
