import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { CancelMode, ErrorClass } from "../src/gen/assay/pod/v1/run.js";
import { cancelExperiment } from "../src/store/cancel.js";
import { pauseExperiment, resumeExperiment } from "../src/store/pause.js";
import { assertInvariants } from "./faults/checker.js";
import { DispatchRig } from "./support/dispatch.js";
import { eventually } from "./support/eventually.js";
import type { StubOutcome, StubPod, StubTask } from "./support/stub-pod.js";

const rig = await DispatchRig.open();
const { query, app, work: database, caller } = rig.databases;

afterEach(async () => {
  await rig.reset();
  await assertInvariants(rig.databases);
});

interface AttemptRow {
  readonly outcome: string | null;
  readonly from: number | null;
  readonly last: number | null;
}

const attemptsOf = (experimentId: string): Promise<AttemptRow[]> =>
  query(
    `select a.outcome, a.resumed_from_step::int as "from", a.last_step::int as last from attempt a
     join run r on r.id = a.run_id where r.experiment_id = $1 order by a.epoch`,
    [experimentId],
  );

const checkpointsOf = (experimentId: string): Promise<{ step: number; sha256: string; broken: boolean }[]> =>
  query(
    `select c.step::int as step, c.sha256, c.broken_at is not null as broken from checkpoint c
     join run r on r.id = c.run_id where r.experiment_id = $1 order by c.step`,
    [experimentId],
  );

const fileOf = (digest: string): string => join(rig.artifactsFolder, "cas", digest.slice(0, 2), digest);

/** Work that counts: it gives what it began with, and hangs at a step until it is told to stop. */
function counting(options: { readonly hangAt?: (task: StubTask) => number | undefined; readonly steps?: number } = {}) {
  return async (task: StubTask): Promise<StubOutcome> => {
    const { steps = 4 } = options;
    for (let step = (task.resumedFrom ?? 0) + 1; step <= steps; step += 1) {
      if (options.hangAt?.(task) === step) {
        const mode = await task.cancelled;
        if (mode === CancelMode.CANCEL_MODE_SCORE_PARTIAL) return { metrics: { steps: step - 1 }, partial: true };
        return mode === CancelMode.CANCEL_MODE_RELEASE ? "RELEASED" : "CANCELLED";
      }
      await task.checkpoint(step);
    }
    return { metrics: { from: task.resumedFrom, divisor: task.microBatchDivisor } };
  };
}

/** A pod whose first attempt hangs after two checkpoints. */
const hanging = (): Promise<StubPod> =>
  rig.pod({ work: counting({ hangAt: (task) => (task.epoch === 1 ? 3 : undefined) }) });

/** Kills the pod; another one takes its place. */
async function replace(pod: StubPod, work = counting()): Promise<void> {
  pod.kill();
  rig.addresses.delete(pod.address);
  await rig.pod({ work });
}

const twoCheckpoints = (experimentId: string): Promise<unknown> =>
  eventually("two checkpoints to be kept", async () => (await checkpointsOf(experimentId)).length === 2);

const resultOf = async (experimentId: string): Promise<unknown> =>
  (
    await query("select x.metrics from result x join run r on r.id = x.run_id where r.experiment_id = $1", [
      experimentId,
    ])
  )[0];

describe("a run whose pod is killed", () => {
  it("goes on from its newest checkpoint, and what the killed attempt used is counted by nobody", async () => {
    const pod = await hanging();
    await rig.dispatcher();
    const experimentId = await rig.submit([{ stage: 0 }]);
    await twoCheckpoints(experimentId);
    await replace(pod);
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
    assert.deepEqual(await attemptsOf(experimentId), [
      { outcome: "LOST", from: null, last: null },
      { outcome: "SUCCEEDED", from: 2, last: null },
    ]);
    assert.deepEqual(await resultOf(experimentId), { metrics: { from: 2, divisor: 1 } });
    const used = await query("select u.epoch from usage u join run r on r.id = u.run_id where r.experiment_id = $1", [
      experimentId,
    ]);
    assert.deepEqual(new Set(used.map((row) => row["epoch"])), new Set([2]));
    const told = await query("select body from event where experiment_id = $1 and kind = 'LOG'", [experimentId]);
    assert.deepEqual(told, [{ body: { message: "goes on from the checkpoint at step 2" } }]);
  });

  it("passes over a checkpoint with a flipped byte, says so, and takes the one before", async () => {
    const pod = await hanging();
    await rig.dispatcher();
    const experimentId = await rig.submit([{ stage: 0 }]);
    await twoCheckpoints(experimentId);
    damage((await checkpointsOf(experimentId)).at(-1)?.sha256 ?? "");
    let seen: unknown;
    await replace(pod, async (task) => {
      seen = await checkpointsOf(experimentId);
      return counting()(task);
    });
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
    assert.deepEqual((await attemptsOf(experimentId)).at(-1), { outcome: "SUCCEEDED", from: 1, last: null });
    assert.deepEqual(
      (Array.isArray(seen) ? seen : []).map(({ step, broken }) => [step, broken]),
      [
        [1, false],
        [2, true],
      ],
    );
    const [warning] = await query(
      "select body ->> 'message' as said from event where experiment_id = $1 and kind = 'WARNING'",
      [experimentId],
    );
    assert.match(String(warning?.["said"]), /^the checkpoint at step 2 is passed over: .*missing or damaged/);
  });

  it("begins at the beginning when no checkpoint is whole", async () => {
    const pod = await hanging();
    await rig.dispatcher();
    const experimentId = await rig.submit([{ stage: 0 }]);
    await twoCheckpoints(experimentId);
    for (const { sha256 } of await checkpointsOf(experimentId)) damage(sha256);
    await replace(pod);
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
    assert.deepEqual((await attemptsOf(experimentId)).at(-1), { outcome: "SUCCEEDED", from: null, last: null });
    assert.deepEqual(await resultOf(experimentId), { metrics: { from: null, divisor: 1 } });
  });

  it("is dead after the third pod that it took with it without a checkpoint between, but not while it moves on", async () => {
    await rig.dispatcher();
    const stuck = await rig.submit([{ stage: 0 }]);
    const hang = async (task: StubTask): Promise<StubOutcome> => {
      await task.cancelled;
      return "CANCELLED";
    };
    for (let i = 0; i < 3; i += 1) await killWhileRunning(stuck, await rig.pod({ work: hang }));
    assert.deepEqual(await rig.ended(stuck), ["DEAD"]);
    const moving = await rig.submit([{ stage: 0 }]);
    for (let i = 0; i < 4; i += 1) {
      const pod = await rig.pod({ work: counting({ hangAt: (task) => (task.resumedFrom ?? 0) + 2, steps: 6 }) });
      await eventually("a checkpoint of this pod", async () =>
        (await checkpointsOf(moving)).some(({ step }) => step === i + 1),
      );
      await killWhileRunning(moving, pod);
    }
    await rig.pod({ work: counting({ steps: 6 }) });
    assert.deepEqual(await rig.ended(moving), ["SUCCEEDED"]);
    assert.deepEqual(
      (await attemptsOf(moving)).map(({ from }) => from),
      [null, 1, 2, 3, 4],
    );
  });
});

function damage(digest: string): void {
  const bytes = readFileSync(fileOf(digest));
  bytes[0] = (bytes[0] ?? 0) ^ 1;
  writeFileSync(fileOf(digest), bytes);
}

async function killWhileRunning(experimentId: string, pod: StubPod): Promise<void> {
  await eventually("the run to be at work on this pod", async () => {
    const rows = await query(
      "select 1 from run r join attempt a on a.run_id = r.id and a.epoch = r.epoch where r.experiment_id = $1 and r.state = 'RUNNING' and a.pod_id = $2",
      [experimentId, pod.podId],
    );
    return rows.length === 1;
  });
  pod.kill();
  rig.addresses.delete(pod.address);
  await eventually("the loss to be noted", async () => !(await rig.states(experimentId)).includes("RUNNING"));
}

describe("checkpoints", () => {
  it("are kept two at a time, and none when the run has succeeded", async () => {
    const digests: string[] = [];
    const seen: unknown[] = [];
    await rig.pod({
      work: async (task) => {
        for (const step of [1, 2, 3]) digests.push(await task.checkpoint(step));
        await eventually("the first to be forgotten", () => !existsSync(fileOf(digests[0] ?? "")));
        seen.push(...digests.map((digest) => existsSync(fileOf(digest))));
        return { metrics: {} };
      },
    });
    await rig.dispatcher();
    const experimentId = await rig.submit([{ stage: 0 }]);
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
    assert.deepEqual(seen, [false, true, true]);
    await eventually("the last ones to be forgotten", () => digests.every((digest) => !existsSync(fileOf(digest))));
    assert.deepEqual(await checkpointsOf(experimentId), []);
    const registered = await query("select 1 from artifact where sha256 = any($1)", [digests]);
    assert.equal(registered.length, 0);
  });

  it("that are announced but not in the store, or make no sense, are not kept", async () => {
    await rig.pod({
      work: (task) => {
        for (const [step, digest] of [
          [1n, "0".repeat(64)],
          [2n, "../../x"],
          [-3n, "1".repeat(64)],
        ] as const) {
          task.say({ $case: "checkpoint", value: { step, sha256: digest, sizeBytes: 3n } });
        }
        return Promise.resolve({ errorClass: ErrorClass.ERROR_CLASS_BAD_INPUT, code: "BAD" });
      },
    });
    await rig.dispatcher();
    const experimentId = await rig.submit([{ stage: 0 }]);
    assert.deepEqual(await rig.ended(experimentId), ["FAILED"]);
    assert.deepEqual(await checkpointsOf(experimentId), []);
  });
});

describe("a run that is to be released", () => {
  it("goes back to the queue and on from its checkpoint, without using up a try; both attempts' usage counts once", async () => {
    await hanging();
    await rig.dispatcher({ times: { beatMs: 50 } });
    const experimentId = await rig.submit([{ stage: 0 }]);
    await twoCheckpoints(experimentId);
    await database.transaction((tx) =>
      tx.run({ name: "test-preempt", text: "update run set release_reason = 'PREEMPT' where experiment_id = $1" }, [
        experimentId,
      ]),
    );
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
    assert.deepEqual(await attemptsOf(experimentId), [
      { outcome: "RELEASED", from: null, last: 2 },
      { outcome: "SUCCEEDED", from: 2, last: null },
    ]);
    const [row] = await query(
      `select attempt, disruptions, release_reason, (select count(*)::int from usage u where u.run_id = run.id) as used
       from run where experiment_id = $1`,
      [experimentId],
    );
    assert.deepEqual(row, { attempt: 1, disruptions: 0, release_reason: null, used: 6 });
  });

  it("is paused with its experiment, and goes on from its checkpoint when that is resumed", async () => {
    const pod = await hanging();
    await rig.dispatcher();
    const experimentId = await rig.submit([{ stage: 0 }]);
    const key = { tenantId: caller.tenantId, experimentId };
    await twoCheckpoints(experimentId);
    await app.withTenant(caller.tenantId, (tx) => pauseExperiment(tx, key));
    await eventually("the run to be paused", async () => (await rig.states(experimentId))[0] === "PAUSED");
    assert.equal(pod.busy, 0);
    await app.withTenant(caller.tenantId, (tx) => resumeExperiment(tx, key));
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
    assert.deepEqual(await resultOf(experimentId), { metrics: { from: 2, divisor: 1 } });
  });

  it("is cancelled when the user cancels before its pod has let go of it", async () => {
    let letGo = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    let asked = false;
    await rig.pod({
      work: async (task) => {
        asked = (await task.cancelled) === CancelMode.CANCEL_MODE_RELEASE;
        await gate;
        return "RELEASED";
      },
    });
    await rig.dispatcher();
    const experimentId = await rig.submit([{ stage: 0 }]);
    const key = { tenantId: caller.tenantId, experimentId };
    await eventually("the run to work", async () => (await rig.states(experimentId))[0] === "RUNNING");
    await app.withTenant(caller.tenantId, (tx) => pauseExperiment(tx, key));
    await eventually("the pod to be asked for its release", () => asked);
    await app.withTenant(caller.tenantId, (tx) => cancelExperiment(tx, key, { mode: "GRACEFUL", reason: null }));
    letGo();
    assert.deepEqual(await rig.ended(experimentId), ["CANCELLED"]);
  });
});

describe("a run that is out of memory", () => {
  it("is tried from its checkpoint with half and a quarter of the micro-batch, and then has failed", async () => {
    const divisors: [number | null, number][] = [];
    await rig.pod({
      work: async (task) => {
        divisors.push([task.resumedFrom, task.microBatchDivisor]);
        if (task.resumedFrom === null) await task.checkpoint(5);
        return { errorClass: ErrorClass.ERROR_CLASS_OOM, code: "OUT_OF_MEMORY" };
      },
    });
    await rig.dispatcher();
    const experimentId = await rig.submit([{ stage: 0 }]);
    assert.deepEqual(await rig.ended(experimentId), ["FAILED"]);
    assert.deepEqual(divisors, [
      [null, 1],
      [5, 2],
      [5, 4],
    ]);
    const [row] = await query("select error_class, error_code from run where experiment_id = $1", [experimentId]);
    assert.deepEqual(row, { error_class: "OOM", error_code: "OUT_OF_MEMORY" });
  });
});

describe("a cancel that scores what there is", () => {
  it("gives a partial result where the run trains, and tells how far the others were", async () => {
    await rig.pod({
      slots: 2,
      work: async (task) => {
        if (task.spec["trains"] === true) return counting({ hangAt: () => 3 })(task);
        task.say({ $case: "progress", value: { stage: "training", completed: 7n, total: 9n } });
        await task.cancelled;
        return "CANCELLED";
      },
    });
    await rig.dispatcher();
    const experimentId = await rig.submit([{ stage: 0, spec: { trains: true } }, { stage: 0 }]);
    const key = { tenantId: caller.tenantId, experimentId };
    await eventually("both runs to work", async () =>
      (await rig.states(experimentId)).every((state) => state === "RUNNING"),
    );
    await twoCheckpoints(experimentId);
    await app.withTenant(caller.tenantId, (tx) => cancelExperiment(tx, key, { mode: "SCORE_PARTIAL", reason: null }));
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED", "CANCELLED"]);
    const rows = await query(
      `select r.partial, x.metrics, a.last_step::int as last from run r join attempt a on a.run_id = r.id
       left join result x on x.run_id = r.id where r.experiment_id = $1 order by r.position`,
      [experimentId],
    );
    assert.deepEqual(rows, [
      { partial: true, metrics: { steps: 2 }, last: null },
      { partial: false, metrics: null, last: 7 },
    ]);
  });
});
