import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { EmbeddedPostgres } from "../src/embedded/postgres.js";
import { runProgram, serverUser } from "../src/embedded/postgres-binaries.js";
import { AssayError } from "../src/errors.js";
import { assertInvariants } from "./faults/checker.js";
import { sharedServerVariable } from "./support/database.js";
import { DispatchRig } from "./support/dispatch.js";
import { eventually } from "./support/eventually.js";
import { quietLog, type TestRun } from "./support/store.js";
import { answerOf, type StubTask } from "./support/stub-pod.js";

// A server of its own, durable and to be broken: that of the test run serves other files too.
const dataDir = mkdtempSync(join(tmpdir(), "assay-restart-"));
const server = await EmbeddedPostgres.start({ dataDir });
process.env[sharedServerVariable] = dataDir;
const rig = await DispatchRig.open();
// Behind the rig's own end, for ends come in the order in which they were asked for.
after(async () => {
  await server.stop();
  rmSync(dataDir, { recursive: true, force: true });
});
const { query } = rig.databases;
const stages: readonly TestRun[] = [{ stage: 0 }, { stage: 0 }, { stage: 1 }];

/** Ends every process of the server at once, as a crash does, and starts it again on the same port; it replays its log. */
async function restart(): Promise<void> {
  const folder = join(dataDir, "postgres");
  const args = ["restart", "-D", folder, "-m", "immediate", "-w", "-t", "60", "-l", `${folder}.log`];
  await runProgram("pg_ctl", args, await serverUser(folder));
}

describe("when PostgreSQL is restarted at once under load", () => {
  it("submits fail whole with STORE_UNAVAILABLE, the pool recovers within ten seconds, pods live through it, and nothing is lost", async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const pod = await rig.pod({
      slots: 4,
      work: async ({ spec }: StubTask) => {
        if (spec["waits"] === true) await gate;
        return { metrics: { value: answerOf(spec) } };
      },
    });
    await rig.dispatcher({ times: { ttlMs: 30_000, beatMs: 1_000 }, log: quietLog });
    const held = await rig.submit([{ stage: 0, spec: { waits: true } }]);
    await eventually("the held run to be at work", async () => (await rig.states(held))[0] === "RUNNING");

    const accepted: string[] = [];
    const refused: unknown[] = [];
    let loading = true;
    let acceptedAfter = 0;
    let n = 0;
    const load = async (): Promise<void> => {
      while (loading) {
        n += 1;
        const key = `restart ${n}`;
        try {
          const experimentId = await rig.submit(stages, { key });
          accepted.push(experimentId);
          acceptedAfter += 1;
        } catch (error) {
          refused.push(error);
        }
        await new Promise(setImmediate);
      }
    };
    const clients = [load(), load(), load(), load()];
    await eventually("some submissions", () => accepted.length > 20);
    const began = performance.now();
    await restart();
    const restarted = performance.now();
    acceptedAfter = 0;
    await eventually("submissions afterwards", () => acceptedAfter > 20);
    const recovered = performance.now();
    loading = false;
    await Promise.all(clients);

    assert.ok(refused.length > 0, "no submission met the restart");
    for (const error of refused) {
      assert.ok(error instanceof AssayError && error.code === "STORE_UNAVAILABLE" && error.retriable, String(error));
    }
    assert.ok(recovered - restarted < 10_000, `submissions were taken again after ${recovered - restarted} ms`);
    const times = { down: restarted - began, recovered: recovered - restarted };
    process.stderr.write(
      `restart: ${JSON.stringify({ ...times, accepted: accepted.length, refused: refused.length })}\n`,
    );

    // The attempt that was at work goes on under the epoch that it had.
    release();
    assert.deepEqual(await rig.ended(held), ["SUCCEEDED"]);
    const [run] = await query<{ epoch: number }>("select epoch from run where experiment_id = $1", [held]);
    assert.equal(run?.epoch, 1);
    for (const experimentId of accepted)
      assert.deepEqual(new Set(await rig.ended(experimentId)), new Set(["SUCCEEDED"]));

    // What was refused is there whole or not at all: a commit whose answer was lost, and then the same key finds it.
    const stored = await query<{ id: string; runs: number; total: number }>(
      `select e.id, e.total_runs as total, count(r.id)::int as runs from experiment e
       left join run r on r.tenant_id = e.tenant_id and r.experiment_id = e.id group by e.tenant_id, e.id`,
    );
    assert.deepEqual(
      stored.filter((row) => row.runs !== row.total),
      [],
    );
    const ids = new Set(stored.map((row) => row.id));
    for (const experimentId of accepted)
      assert.ok(ids.has(experimentId), `${experimentId} was accepted and is not there`);
    assert.ok(stored.length <= accepted.length + 1 + refused.length);
    for (const { id } of stored) await rig.ended(id);
    assert.ok(pod.taken.length >= accepted.length * stages.length);
    await eventually("the outbox to be empty", async () => {
      return (await query("select 1 from outbox where published_at is null")).length === 0;
    });
    await rig.reset();
    await assertInvariants(rig.databases);
  });
});
