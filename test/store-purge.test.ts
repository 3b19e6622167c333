import assert from "node:assert/strict";
import { it } from "node:test";
import type { DeadLetterFilter } from "../src/domain/dead-letter.js";
import { purgeLetters } from "../src/store/dead-letter-replay.js";
import { testDatabases } from "./support/databases.js";
import { LeaseRig } from "./support/lease-rig.js";

const databases = await testDatabases();
const rig = new LeaseRig(databases);
const { app, caller, query } = databases;

it("A purge of what was purged already erases nothing else", async () => {
  const key = await rig.submit([{ stage: 0 }]);
  for (let tries = 1; tries <= 3; tries += 1) {
    await query("update run set not_before = now() where experiment_id = $1", [key.experimentId]);
    const [run] = await rig.start(key);
    assert.ok(run !== undefined);
    await rig.fail(run, "TRANSIENT", { message: "the reason" });
  }
  assert.deepEqual(await rig.states(key), ["DEAD"]);
  const purge = (filter: DeadLetterFilter): Promise<string[]> =>
    app.withTenant(caller.tenantId, (tx) => purgeLetters(tx, caller, { ids: null, filter, dryRun: false }));
  const told = async (): Promise<unknown[]> => await query("select last_error from dead_letter");
  assert.deepEqual(await purge({ purged: true }), []);
  assert.deepEqual(await told(), [{ last_error: "the reason" }]);
  assert.equal((await purge({ purged: false })).length, 1);
  assert.deepEqual(await told(), [{ last_error: null }]);
});
