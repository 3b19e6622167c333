import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { eventually } from "./support/eventually.js";
import type { TestProcess } from "./support/processes.js";
import { allEnded, logLines, noBrokers, openRoles } from "./support/roles.js";

// Without any broker, so that this file also shows that gateway and dispatchers do their work when no bell rings.
const rig = await openRoles(noBrokers);
const { cluster } = rig;
const calm = { ASSAY_LEASE_TTL_MS: "15000", ASSAY_BEAT_MS: "500", ASSAY_DISPATCHER_BEAT_MS: "500" };
/** While this file is missing, no run of a gated pod ends. */
const gate = join(cluster.artifactsDir, "..", "gate");
const alive: TestProcess[] = [];
let experiments = 0;

const started = async (process: TestProcess): Promise<TestProcess> => {
  await process.start();
  alive.push(process);
  return process;
};

afterEach(async () => {
  for (const process of alive) if (process.isAlive) await process.kill();
  alive.length = 0;
  rmSync(gate, { force: true });
});

/** Submits and gives the experiment's id as the database has it. */
async function submit(gateway: TestProcess, seeds: number): Promise<string> {
  const client = rig.client(gateway);
  const { id } = await client.submitRobustnessExperiment(await rig.spec(client, seeds), randomUUID());
  experiments += 1;
  return Buffer.from(id, "base64url").toString("utf8").replace(/^\w+:/, "");
}

const dispatcherIdOf = (process: TestProcess): unknown => logLines(process, "dispatching").at(-1)?.["dispatcherId"];

/** Run and epoch of the attempts that a dispatcher saw to their end. */
const endedBy = (process: TestProcess): string[] =>
  logLines(process, "attempt ended").map(({ runId, epoch }) => `${runId}:${epoch}`);

describe("two dispatchers", () => {
  it("never give the same run away twice", async () => {
    const pods = [cluster.stubPod({ slots: 2 }), cluster.stubPod({ slots: 2 }), cluster.stubPod({ slots: 2 })];
    for (const pod of pods) await started(pod);
    const [first, second, shared] = pods.map((pod) => String(pod.where.address));
    const one = await started(cluster.dispatcher({ ...calm, ASSAY_PODS: `${first},${shared}` }));
    const two = await started(cluster.dispatcher({ ...calm, ASSAY_PODS: `${second},${shared}` }));
    const gateway = await started(cluster.gateway());
    await submit(gateway, 6);
    await allEnded(rig, experiments);
    const { facts } = await rig.checked();
    assert.equal(facts.attempts - facts.refusals, facts.runs, "some run was worked on twice");
    const [ofOne, ofTwo] = [endedBy(one), endedBy(two)];
    assert.ok(ofOne.length > 0 && ofTwo.length > 0, `one dispatcher did nothing: ${ofOne.length}, ${ofTwo.length}`);
    assert.deepEqual(
      ofOne.filter((attempt) => ofTwo.includes(attempt)),
      [],
    );
  });

  it("are adopted from: the runs of a killed one go on under the other, in the same attempt", async () => {
    const pod = await started(cluster.stubPod({ slots: 2, gate }));
    const env = { ...calm, ASSAY_PODS: String(pod.where.address) };
    const gateway = await started(cluster.gateway());
    const dying = await started(cluster.dispatcher(env));
    const experimentId = await submit(gateway, 1);
    const owned = "select id, epoch, lease_owner from run where experiment_id = $1 and state = 'RUNNING'";
    const [held] = await eventually("a run to be at work", async () => {
      const rows = await rig.query<{ id: string; epoch: number; lease_owner: string }>(owned, [experimentId]);
      return rows.length > 0 ? rows : undefined;
    });
    assert.ok(held !== undefined);
    assert.equal(held.lease_owner, dispatcherIdOf(dying));
    const heir = await started(cluster.dispatcher(env));
    const killedAt = performance.now();
    await dying.kill();
    const adopted = await eventually("the run to be adopted", async () => {
      const [row] = await rig.query<{ epoch: number; lease_owner: string }>(
        "select epoch, lease_owner from run where id = $1",
        [held.id],
      );
      return row?.lease_owner === held.lease_owner ? undefined : row;
    });
    assert.deepEqual(adopted, { epoch: held.epoch, lease_owner: dispatcherIdOf(heir) });
    assert.ok(performance.now() - killedAt > 500, "it was adopted before a beat was missed");
    writeFileSync(gate, "");
    await allEnded(rig, experiments);
    const { facts } = await rig.checked();
    assert.equal(facts.lostAttempts, 0);
    assert.equal(logLines(heir, "adopts a run").length, 1);
  });

  it("hand over in order: one that is asked to end lets go of its runs and the other has them at once", async () => {
    const pod = await started(cluster.stubPod({ slots: 2, gate }));
    const env = { ...calm, ASSAY_PODS: String(pod.where.address) };
    const gateway = await started(cluster.gateway());
    const leaving = await started(cluster.dispatcher(env));
    const experimentId = await submit(gateway, 1);
    const state = "select 1 from run where experiment_id = $1 and state = 'RUNNING'";
    await eventually("a run to be at work", async () => (await rig.query(state, [experimentId])).length > 0);
    const heir = await started(cluster.dispatcher(env));
    assert.deepEqual(await leaving.terminate(), { code: 0, signal: null });
    await eventually("the run to be adopted", () => logLines(heir, "adopts a run").length === 1);
    writeFileSync(gate, "");
    await allEnded(rig, experiments);
    const { facts } = await rig.checked();
    assert.equal(facts.lostAttempts, 0);
  });
});
