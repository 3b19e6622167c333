import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { canonicalJson, sha256 } from "../src/domain/digest.js";
import { CancelMode, ErrorClass } from "../src/gen/assay/pod/v1/run.js";
import { cancelExperiment } from "../src/store/cancel.js";
import { runCountsOf } from "../src/store/experiments.js";
import { assertInvariants } from "./faults/checker.js";
import { DispatchRig } from "./support/dispatch.js";
import { eventually } from "./support/eventually.js";
import { answerOf, type StubOutcome, type StubTask } from "./support/stub-pod.js";

const rig = await DispatchRig.open();
const { query, app, caller } = rig.databases;

afterEach(async () => {
  await rig.reset();
  await assertInvariants(rig.databases);
});

const attemptsOf = (experimentId: string): Promise<{ position: number; epoch: number; outcome: string }[]> =>
  query(
    `select r.position, a.epoch, a.outcome from attempt a join run r on r.id = a.run_id
     where r.experiment_id = $1 order by r.position, a.epoch`,
    [experimentId],
  );

describe("the dispatcher", () => {
  it("brings every run of a grid to its own result, stage by stage, over two pods", async () => {
    const work = async (task: StubTask): Promise<StubOutcome> => {
      await task.make("items.jsonl", "ITEMS", `items of ${task.runId}`);
      task.say({ $case: "progress", value: { stage: "training", completed: 1n, total: 1n } });
      return { metrics: { value: answerOf(task.spec), inputs: [...task.inputs.keys()] } };
    };
    await rig.pod({ slots: 3, work });
    await rig.pod({ slots: 2, work });
    await rig.dispatcher();
    const grid = Array.from({ length: 12 }, () => ({
      stage: 1,
      inputs: [{ from: 0, artifact: "items.jsonl", required: true }],
    }));
    const report = {
      stage: 2,
      inputs: grid.map((_, i) => ({ from: i + 1, artifact: "result.json", required: false })),
    };
    const experimentId = await rig.submit([{ stage: 0 }, ...grid, report]);
    assert.deepEqual(new Set(await rig.ended(experimentId)), new Set(["SUCCEEDED"]));
    const rows = await query<{ spec: string; metrics: { value: string; inputs: string[] } }>(
      "select r.spec, x.metrics from run r join result x on x.run_id = r.id where r.experiment_id = $1 order by r.position",
      [experimentId],
    );
    for (const row of rows) assert.equal(row.metrics.value, answerOf(JSON.parse(row.spec)));
    assert.equal(rows.at(-1)?.metrics.inputs.length, 12);
    const usage = await query("select 1 from usage u join run r on r.id = u.run_id where r.experiment_id = $1", [
      experimentId,
    ]);
    assert.equal(usage.length, rows.length * 3);
    const [last] = await query("select body from event where experiment_id = $1 order by seq desc limit 1", [
      experimentId,
    ]);
    assert.deepEqual(last, { body: { state: "SUCCEEDED" } });
  });

  it("calls an experiment partial when a run that succeeded lacks some of its items", async () => {
    await rig.pod({ work: async (task) => ({ metrics: {}, partial: task.spec["partly"] === true }) });
    await rig.dispatcher();
    const endOf = async (plan: Parameters<typeof rig.submit>[0]): Promise<unknown> => {
      const experimentId = await rig.submit(plan);
      assert.deepEqual(new Set(await rig.ended(experimentId)), new Set(["SUCCEEDED"]));
      const [last] = await query("select body from event where experiment_id = $1 order by seq desc limit 1", [
        experimentId,
      ]);
      const tallies = await app.withTenant(caller.tenantId, (tx) => runCountsOf(tx, [experimentId]));
      return [last, tallies.get(experimentId)?.partial];
    };
    assert.deepEqual(await endOf([{ stage: 0 }, { stage: 1 }]), [{ body: { state: "SUCCEEDED" } }, false]);
    assert.deepEqual(await endOf([{ stage: 0, spec: { partly: true } }, { stage: 1 }]), [
      { body: { state: "PARTIAL" } },
      true,
    ]);
  });

  it("passes the digests of the inputs on, and leaves optional ones out that nobody made", async () => {
    const seen: ReadonlyMap<string, string>[] = [];
    await rig.pod({
      work: (task) => {
        seen.push(task.inputs);
        const fails = task.spec["fails"] === true;
        return Promise.resolve(
          fails ? { errorClass: ErrorClass.ERROR_CLASS_BAD_INPUT, code: "BAD" } : { metrics: { answer: 1 } },
        );
      },
    });
    await rig.dispatcher();
    const inputs = [0, 1].map((from) => ({ from, artifact: "result.json", required: false }));
    const experimentId = await rig.submit([{ stage: 0 }, { stage: 0, spec: { fails: true } }, { stage: 1, inputs }]);
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED", "FAILED", "SUCCEEDED"]);
    assert.deepEqual([...(seen[2] ?? [])], [["input0", sha256(canonicalJson({ answer: 1 }))]]);
  });

  it("fails a run with bad input at once, with what the pod said", async () => {
    await rig.pod({
      work: () => Promise.resolve({ errorClass: ErrorClass.ERROR_CLASS_BAD_INPUT, code: "DATASET_INVALID" }),
    });
    await rig.dispatcher();
    const experimentId = await rig.submit([{ stage: 0 }]);
    assert.deepEqual(await rig.ended(experimentId), ["FAILED"]);
    assert.deepEqual(await attemptsOf(experimentId), [{ position: 0, epoch: 1, outcome: "FAILED" }]);
    const [row] = await query("select error_class, error_code, error_stage from run where experiment_id = $1", [
      experimentId,
    ]);
    assert.deepEqual(row, { error_class: "BAD_INPUT", error_code: "DATASET_INVALID", error_stage: "training" });
  });

  it("gives a run up that killed its process three times, and finishes the others", async () => {
    const work = (task: StubTask): Promise<StubOutcome> =>
      Promise.resolve(
        task.spec["poison"] === true
          ? { errorClass: ErrorClass.ERROR_CLASS_POISON, code: "SIGSEGV" }
          : { metrics: { value: answerOf(task.spec) } },
      );
    await rig.pod({ work });
    await rig.dispatcher();
    const experimentId = await rig.submit([{ stage: 0, spec: { poison: true } }, { stage: 0 }, { stage: 0 }]);
    const skipWait = "update run set not_before = now() where experiment_id = $1 and state = 'RETRY_WAIT'";
    await eventually("the end", async () => {
      await query(skipWait, [experimentId]);
      return (
        (await query("select 1 from experiment where id = $1 and ended_at is not null", [experimentId])).length === 1
      );
    });
    assert.deepEqual(await rig.states(experimentId), ["DEAD", "SUCCEEDED", "SUCCEEDED"]);
    assert.deepEqual(
      (await attemptsOf(experimentId)).filter((attempt) => attempt.position === 0).map((a) => a.outcome),
      ["FAILED", "FAILED", "FAILED"],
    );
  });

  it("uses up no try when a pod is full", async () => {
    const pod = await rig.pod();
    await rig.dispatcher();
    pod.refusing = true;
    const experimentId = await rig.submit([{ stage: 0 }]);
    await eventually("a refusal", async () => (await attemptsOf(experimentId)).some((a) => a.outcome === "REFUSED"));
    pod.refusing = false;
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
    const [row] = await query("select attempt, disruptions from run where experiment_id = $1", [experimentId]);
    assert.deepEqual(row, { attempt: 1, disruptions: 0 });
  });

  it("refuses a result whose files are not in the store, and tries again", async () => {
    let tries = 0;
    await rig.pod({
      work: (task) => {
        tries += 1;
        if (tries === 1) {
          const value = { name: "items.jsonl", kind: "ITEMS", sha256: sha256("never stored"), sizeBytes: 12n };
          task.say({ $case: "artifact", value });
          task.claim(value);
        }
        return Promise.resolve({ metrics: { tries } });
      },
    });
    await rig.dispatcher();
    const experimentId = await rig.submit([{ stage: 0 }]);
    await eventually("the refusal", async () => (await attemptsOf(experimentId)).some((a) => a.outcome === "FAILED"));
    await query("update run set not_before = now() where experiment_id = $1 and state = 'RETRY_WAIT'", [experimentId]);
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
    const [first] = await query(
      "select a.error_code from attempt a join run r on r.id = a.run_id where r.experiment_id = $1 and a.epoch = 1",
      [experimentId],
    );
    assert.deepEqual(first, { error_code: "ARTIFACT_CORRUPT" });
  });

  it("refuses a result that the database cannot hold, without losing its neighbours", async () => {
    const work = (task: StubTask): Promise<StubOutcome> =>
      Promise.resolve({ metrics: task.spec["bad"] === true ? { text: "a\u0000b" } : { value: answerOf(task.spec) } });
    await rig.pod({ slots: 4, work });
    await rig.dispatcher();
    const experimentId = await rig.submit([
      { stage: 0 },
      { stage: 0, spec: { bad: true } },
      { stage: 0 },
      { stage: 0 },
    ]);
    await eventually("the end", async () => {
      await query("update run set not_before = now() where experiment_id = $1 and state = 'RETRY_WAIT'", [
        experimentId,
      ]);
      return (
        (await query("select 1 from experiment where id = $1 and ended_at is not null", [experimentId])).length === 1
      );
    });
    assert.deepEqual(await rig.states(experimentId), ["SUCCEEDED", "DEAD", "SUCCEEDED", "SUCCEEDED"]);
    const [row] = await query("select error_code from run where experiment_id = $1 and state = 'DEAD'", [experimentId]);
    assert.deepEqual(row, { error_code: "RESULT_INVALID" });
  });

  it("stores what a run says on the way, in its order, in few writes", async () => {
    await rig.pod({
      work: (task) => {
        for (let step = 1; step <= 200; step += 1) {
          task.say({ $case: "metric", value: { name: "loss", value: 1 / step, step: BigInt(step) } });
          task.say({ $case: "progress", value: { stage: "training", completed: BigInt(step), total: 200n } });
        }
        task.say({ $case: "log", value: { level: "warning", message: "bad \u0000 text" } });
        return Promise.resolve({ metrics: {} });
      },
    });
    await rig.dispatcher();
    const experimentId = await rig.submit([{ stage: 0 }]);
    await rig.ended(experimentId);
    const events = await query<{ kind: string; body: { step?: number; message?: string }; tx: string }>(
      "select kind, body, xmin::text as tx from event where experiment_id = $1 order by seq",
      [experimentId],
    );
    const steps = events.filter((event) => event.kind === "METRIC").map((event) => event.body.step);
    assert.deepEqual(
      steps,
      Array.from({ length: 200 }, (_, i) => i + 1),
    );
    assert.deepEqual(events.find((event) => event.kind === "WARNING")?.body, { message: "bad \ufffd text" });
    assert.ok(new Set(events.map((event) => event.tx)).size <= 8);
  });
});

describe("a cancel", () => {
  it("reaches a running pod, ends the run as cancelled and counts what it used", async () => {
    await rig.pod({
      work: async (task) => {
        await task.cancelled;
        return "CANCELLED";
      },
    });
    await rig.dispatcher();
    const experimentId = await rig.submit([{ stage: 0 }, { stage: 1 }]);
    await eventually("the run to be in work", async () => (await rig.states(experimentId))[0] === "RUNNING");
    const key = { tenantId: caller.tenantId, experimentId };
    await app.withTenant(caller.tenantId, (tx) => cancelExperiment(tx, key, { mode: "GRACEFUL", reason: "enough" }));
    assert.deepEqual(await rig.ended(experimentId), ["CANCELLED", "CANCELLED"]);
    const usage = await query("select 1 from usage u join run r on r.id = u.run_id where r.experiment_id = $1", [
      experimentId,
    ]);
    assert.equal(usage.length, 3);
  });

  it("with SCORE_PARTIAL tells the pod so, and takes what it has", async () => {
    await rig.pod({
      work: async (task) => {
        const mode = await task.cancelled;
        return { metrics: { partly: mode === CancelMode.CANCEL_MODE_SCORE_PARTIAL }, partial: true };
      },
    });
    await rig.dispatcher();
    const experimentId = await rig.submit([{ stage: 0 }]);
    await eventually("the run to be in work", async () => (await rig.states(experimentId))[0] === "RUNNING");
    const key = { tenantId: caller.tenantId, experimentId };
    await app.withTenant(caller.tenantId, (tx) => cancelExperiment(tx, key, { mode: "SCORE_PARTIAL", reason: null }));
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
    const [row] = await query(
      "select partial, metrics from run r join result x on x.run_id = r.id where experiment_id = $1",
      [experimentId],
    );
    assert.deepEqual(row, { partial: true, metrics: { partly: true } });
  });
});
