import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { assertInvariants } from "./faults/checker.js";
import { DispatchRig } from "./support/dispatch.js";
import { eventually } from "./support/eventually.js";
import { answerOf, type StubOutcome, type StubTask } from "./support/stub-pod.js";

const rig = await DispatchRig.open();
const { query, access } = rig.databases;

afterEach(async () => {
  await rig.reset();
  await assertInvariants(rig.databases);
});

interface AttemptRow {
  readonly epoch: number;
  readonly outcome: string | null;
  readonly pod_id: string;
}

const attemptsOf = (experimentId: string): Promise<AttemptRow[]> =>
  query(
    `select a.epoch, a.outcome, a.pod_id from attempt a join run r on r.id = a.run_id
     where r.experiment_id = $1 order by a.epoch`,
    [experimentId],
  );

const running = (experimentId: string): Promise<unknown> =>
  eventually("the run to be in work", async () => (await rig.states(experimentId))[0] === "RUNNING");

/** Work that waits until the test opens the gate. */
function gated(): { work: (task: StubTask) => Promise<StubOutcome>; open: () => void } {
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const work = async (task: StubTask): Promise<StubOutcome> => {
    task.say({ $case: "log", value: { level: "info", message: `epoch ${task.epoch} works` } });
    await gate;
    return { metrics: { value: answerOf(task.spec), epoch: task.epoch } };
  };
  return { work, open };
}

describe("when a pod dies", () => {
  it("its run is given to another one at once, without using a try, and done once", async () => {
    const { work, open } = gated();
    const dying = await rig.pod({ work });
    await rig.dispatcher();
    const experimentId = await rig.submit([{ stage: 0 }]);
    await running(experimentId);
    const heir = await rig.pod({ work });
    const killedAt = performance.now();
    dying.kill();
    rig.addresses.delete(dying.address);
    await eventually("the other pod to have it", () => heir.taken.length === 1);
    // The lease lives for thirty seconds: the run did not wait for it.
    assert.ok(performance.now() - killedAt < 15_000);
    open();
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
    assert.deepEqual(await attemptsOf(experimentId), [
      { epoch: 1, outcome: "LOST", pod_id: dying.podId },
      { epoch: 2, outcome: "SUCCEEDED", pod_id: heir.podId },
    ]);
    const [row] = await query("select attempt, disruptions from run where experiment_id = $1", [experimentId]);
    assert.deepEqual(row, { attempt: 1, disruptions: 1 });
  });

  it("and comes back elsewhere, runs that were queued meanwhile are done there", async () => {
    const first = await rig.pod();
    await rig.dispatcher();
    first.kill();
    rig.addresses.clear();
    const experimentId = await rig.submit([{ stage: 0 }, { stage: 0 }]);
    await rig.pod();
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED", "SUCCEEDED"]);
  });
});

describe("when a pod is silent for longer than its lease", () => {
  it("the run is done elsewhere, and the zombie's late result is refused and recorded", async () => {
    const slow = gated();
    const zombie = await rig.pod({ zombie: true, work: slow.work });
    await rig.dispatcher({ times: { ttlMs: 1_500, beatMs: 150 } });
    const experimentId = await rig.submit([{ stage: 0 }]);
    await running(experimentId);
    zombie.stopBeats();
    await eventually("the lease to run out", async () => (await attemptsOf(experimentId))[0]?.outcome === "LOST");
    zombie.refusing = true;
    const rightful = gated();
    const heir = await rig.pod({ work: rightful.work });
    await eventually("the other pod to have it", () => heir.taken.length === 1);
    slow.open();
    const late =
      "select l.epoch_seen, l.what from late_write l join run r on r.id = l.run_id where r.experiment_id = $1";
    await eventually("the late result to be recorded", async () => (await query(late, [experimentId])).length > 0);
    assert.deepEqual(await query(late, [experimentId]), [{ epoch_seen: 1, what: "SUCCEEDED" }]);
    rightful.open();
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
    const results = await query<{ metrics: { epoch: number } }>(
      "select x.metrics from result x join run r on r.id = x.run_id where r.experiment_id = $1",
      [experimentId],
    );
    assert.ok((results[0]?.metrics.epoch ?? 0) > 1);
  });
});

describe("when a dispatcher ends", () => {
  it("by a kill, another adopts its runs with the same epoch and hears the rest of them", async () => {
    const { work, open } = gated();
    const pod = await rig.pod({ work });
    const settings = { login: access.work, address: pod.address, artifacts: rig.artifactsFolder };
    const child = spawn(
      process.execPath,
      [join(import.meta.dirname, "support", "dispatcher-process.js"), JSON.stringify(settings)],
      { stdio: ["ignore", "inherit", "inherit"] },
    );
    const experimentId = await rig.submit([{ stage: 0 }]);
    await running(experimentId);
    child.kill("SIGKILL");
    await once(child, "exit");
    await rig.dispatcher({ dispatcherBeatMs: 200 });
    await eventually("the adoption", async () => {
      const rows = await query(
        "select 1 from run r join dispatcher d on d.id = r.lease_owner where r.experiment_id = $1",
        [experimentId],
      );
      return rows.length === 1;
    });
    open();
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
    assert.deepEqual(await attemptsOf(experimentId), [{ epoch: 1, outcome: "SUCCEEDED", pod_id: pod.podId }]);
    const lines = await query("select body from event where experiment_id = $1 and kind = 'LOG'", [experimentId]);
    assert.deepEqual(lines, [{ body: { message: "epoch 1 works" } }]);
  });

  it("in good order, the next one takes over at once and the pod notices nothing", async () => {
    const { work, open } = gated();
    const pod = await rig.pod({ work });
    const leaving = await rig.dispatcher();
    const experimentId = await rig.submit([{ stage: 0 }]);
    await running(experimentId);
    await leaving.stop();
    rig.forget(leaving);
    await rig.dispatcher();
    open();
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
    assert.equal(pod.taken.length, 1);
  });

  it("together with its pod, the run is redone as soon as a dispatcher is there that knows to be alone", async () => {
    const { work, open } = gated();
    const dead = await rig.pod({ work });
    const settings = { login: access.work, address: dead.address, artifacts: rig.artifactsFolder };
    const child = spawn(
      process.execPath,
      [join(import.meta.dirname, "support", "dispatcher-process.js"), JSON.stringify(settings)],
      { stdio: ["ignore", "inherit", "inherit"] },
    );
    const experimentId = await rig.submit([{ stage: 0 }]);
    await running(experimentId);
    child.kill("SIGKILL");
    await once(child, "exit");
    dead.kill();
    rig.addresses.clear();
    open();
    await rig.pod({ work });
    await rig.dispatcher({ alone: true, dispatcherBeatMs: 60_000 });
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
    assert.deepEqual(
      (await attemptsOf(experimentId)).map((attempt) => attempt.outcome),
      ["LOST", "SUCCEEDED"],
    );
  });
});

describe("several dispatchers", () => {
  it("share the work: every run is done once", async () => {
    await rig.pod({ slots: 4 });
    for (let i = 0; i < 3; i += 1) await rig.dispatcher();
    const experimentId = await rig.submit(Array.from({ length: 40 }, () => ({ stage: 0 })));
    assert.deepEqual(new Set(await rig.ended(experimentId)), new Set(["SUCCEEDED"]));
    const done = (await attemptsOf(experimentId)).filter((attempt) => attempt.outcome !== "REFUSED");
    assert.equal(done.length, 40);
  });
});

describe("when the database drops every connection", () => {
  it("no run is lost and none is done twice", async () => {
    await rig.pod({ slots: 4 });
    await rig.dispatcher();
    const experimentId = await rig.submit(Array.from({ length: 40 }, () => ({ stage: 0 })));
    const cut = `select pg_terminate_backend(pid) from pg_stat_activity
                 where usename = 'assay_work' and datname = current_database() and pid <> pg_backend_pid()`;
    for (const done of [4, 12, 20]) {
      await eventually(`${done} runs to be done`, async () => {
        const rows = await query("select 1 from run where experiment_id = $1 and state = 'SUCCEEDED'", [experimentId]);
        return rows.length >= done;
      });
      await query(cut);
    }
    await query("update run set lease_until = now() where experiment_id = $1 and lease_until is not null", [
      experimentId,
    ]);
    assert.deepEqual(new Set(await rig.ended(experimentId)), new Set(["SUCCEEDED"]));
  });
});
