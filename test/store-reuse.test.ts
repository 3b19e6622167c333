import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import type { Json } from "../src/domain/digest.js";
import { topics } from "../src/domain/messages.js";
import type { ReusePolicy } from "../src/domain/options.js";
import type { Caller } from "../src/domain/tenant.js";
import { ErrorClass } from "../src/gen/assay/pod/v1/run.js";
import { cancelExperiment } from "../src/store/cancel.js";
import { assertInvariants } from "./faults/checker.js";
import { DispatchRig } from "./support/dispatch.js";
import { eventually } from "./support/eventually.js";
import { seedProject, type TestRun } from "./support/store.js";
import { answerOf, type StubOutcome, type StubTask } from "./support/stub-pod.js";

/** Equal work is answered from the earlier run, and nothing else is. */
const rig = await DispatchRig.open();
const { query, app, access, caller } = rig.databases;

afterEach(async () => {
  await rig.reset();
  await assertInvariants(rig.databases);
});

let plans = 0;
/** A plan whose runs no other test has: two that make files, one that reads them. */
const newPlan = (more: { readonly [key: string]: string | boolean } = {}): TestRun[] => {
  plans += 1;
  const spec = { plan: plans, ...more };
  const inputs = [0, 1].map((from) => ({ from, artifact: "items.jsonl", required: false }));
  return [
    { stage: 0, spec },
    { stage: 0, spec: { ...spec, second: true } },
    { stage: 1, spec, inputs },
  ];
};

/** Makes a file, and says in the result which try of which run made it, so that a copy differs from fresh work. */
const metricsOf = async (task: StubTask): Promise<Json> => {
  await task.make("items.jsonl", "ITEMS", `items of ${answerOf(task.spec)}`);
  return { value: answerOf(task.spec), madeBy: task.runId };
};
const work = async (task: StubTask): Promise<StubOutcome> => ({ metrics: await metricsOf(task) });

const again = (plan: TestRun[], wish: { caller?: Caller; reuse?: ReusePolicy } = {}): Promise<string> =>
  rig.submit(plan, { reuse: "EXACT_MATCH", ...wish });

interface Stored {
  readonly id: string;
  readonly reused_from: string | null;
  readonly epoch: number;
  readonly attempt: number;
  readonly outcomes: string[];
  readonly pods: (string | null)[];
  readonly metrics: { readonly value: string; readonly madeBy: string };
}

const runsOf = (experimentId: string): Promise<Stored[]> =>
  query<Stored>(
    `select r.id, r.reused_from, r.epoch, r.attempt, x.metrics,
            array(select a.outcome from attempt a where a.run_id = r.id order by a.epoch) as outcomes,
            array(select a.pod_id from attempt a where a.run_id = r.id order by a.epoch) as pods
     from run r left join result x on x.run_id = r.id where r.experiment_id = $1 order by r.position`,
    [experimentId],
  );

const reusedFrom = async (experimentId: string): Promise<(string | null)[]> =>
  (await runsOf(experimentId)).map((run) => run.reused_from);

const ids = async (experimentId: string): Promise<string[]> => (await runsOf(experimentId)).map((run) => run.id);

async function worked(plan: TestRun[], wish: { caller?: Caller; reuse?: ReusePolicy } = {}): Promise<string> {
  const experimentId = await again(plan, wish);
  assert.deepEqual(new Set(await rig.ended(experimentId)), new Set(["SUCCEEDED"]));
  return experimentId;
}

describe("equal work in one project", () => {
  it("is answered from the earlier run, stage by stage, without any pod", async () => {
    const pod = await rig.pod({ slots: 2, work });
    await rig.dispatcher();
    const plan = newPlan();
    const first = await worked(plan);
    await rig.reset();
    await rig.dispatcher();
    const second = await worked(plan);
    assert.equal(pod.taken.length, 3);
    assert.deepEqual(await reusedFrom(second), await ids(first));
    for (const run of await runsOf(second)) {
      assert.deepEqual([run.epoch, run.attempt, run.outcomes, run.pods], [1, 0, ["REUSED"], [null]]);
      assert.equal(run.metrics.madeBy, run.reused_from);
    }
    const events = await query<{ body: object }>(
      "select body from event where experiment_id = $1 and kind = 'STATE' order by seq desc limit 1",
      [second],
    );
    assert.deepEqual(events, [{ body: { state: "SUCCEEDED", reason: "REUSED" } }]);
    assert.deepEqual(await query("select 1 from usage where run_id = any($1)", [await ids(second)]), []);
  });

  it("names the run that did the work, however often it is asked for", async () => {
    await rig.pod({ slots: 2, work });
    await rig.dispatcher();
    const plan = newPlan();
    const first = await worked(plan);
    for (let times = 0; times < 3; times += 1) assert.deepEqual(await reusedFrom(await worked(plan)), await ids(first));
  });

  it("serves a larger plan in part: what is new is worked on, with the files of what is not", async () => {
    const inputs: string[][] = [];
    await rig.pod({
      slots: 2,
      work: (task) => {
        inputs.push([...task.inputs.values()]);
        return work(task);
      },
    });
    await rig.dispatcher();
    const [one, two, reader] = newPlan();
    assert.ok(one !== undefined && two !== undefined && reader !== undefined);
    const first = await worked([one, two, reader]);
    const before = inputs.length;
    const second = await worked([one, two, reader, { ...reader, spec: { ...reader.spec, other: true } }]);
    assert.deepEqual(await reusedFrom(second), [...(await ids(first)), null]);
    assert.equal(inputs.length, before + 1);
    assert.deepEqual(inputs.at(-1), inputs[before - 1]);
  });

  it("is worked on afresh under the policy NEVER, and answers later requests then", async () => {
    await rig.pod({ slots: 2, work });
    await rig.dispatcher();
    const plan = newPlan();
    await worked(plan);
    const fresh = await worked(plan, { reuse: "NEVER" });
    assert.deepEqual(await reusedFrom(fresh), [null, null, null]);
    assert.deepEqual(await reusedFrom(await worked(plan)), await ids(fresh));
  });

  it("counts each run once when equal experiments are at work at the same time", async () => {
    await rig.pod({ slots: 3, work });
    await rig.dispatcher();
    await rig.dispatcher();
    const plan = newPlan();
    const all = await Promise.all(Array.from({ length: 6 }, () => again(plan)));
    for (const id of all) assert.deepEqual(new Set(await rig.ended(id)), new Set(["SUCCEEDED"]));
    const runs = (await Promise.all(all.map(runsOf))).flat();
    const originals = new Set(runs.filter((run) => run.reused_from === null).map((run) => run.id));
    for (const run of runs) {
      // A pod that was full for one of the two dispatchers refused it; that is no work.
      assert.equal(run.outcomes.filter((outcome) => outcome !== "REFUSED").length, 1);
      assert.equal(run.metrics.madeBy, run.reused_from ?? run.id);
      assert.ok(originals.has(run.metrics.madeBy));
    }
  });

  it("waits for no bell: the next look at the queue answers it", async () => {
    await rig.pod({ slots: 2, work });
    await rig.dispatcher();
    const plan = newPlan();
    const first = await worked(plan);
    await rig.reset();
    let heard = 0;
    const thief = await rig.bus.subscribe(topics.runsQueued, "dispatcher", () => {
      heard += 1;
      return Promise.resolve();
    });
    const second = await again(plan);
    await eventually("its bell to be heard by nobody who answers", () => heard > 0);
    await thief.close();
    await rig.dispatcher();
    await rig.ended(second);
    assert.deepEqual(await reusedFrom(second), await ids(first));
  });
});

describe("work is never answered", () => {
  it("from another tenant's run, nor from another project's of the same tenant", async () => {
    const strangers = [await rig.databases.newTenant(), await seedProject(access, caller.tenantId)];
    await rig.pod({ slots: 2, work });
    await rig.dispatcher();
    const plan = newPlan();
    const first = await worked(plan);
    for (const stranger of strangers) {
      const theirs = await worked(plan, { caller: stranger });
      assert.deepEqual(await reusedFrom(theirs), [null, null, null]);
      assert.deepEqual(await reusedFrom(await worked(plan, { caller: stranger })), await ids(theirs));
    }
    assert.deepEqual(await reusedFrom(await worked(plan)), await ids(first));
  });

  it("from a run that failed, was given up or was cancelled", async () => {
    let outcome: "BAD" | "CANCEL" | "GOOD" = "BAD";
    await rig.pod({
      slots: 2,
      work: async (task) => {
        if (outcome === "GOOD") return work(task);
        if (outcome === "BAD") return { errorClass: ErrorClass.ERROR_CLASS_BAD_INPUT, code: "DATASET_INVALID" };
        await task.cancelled;
        return "CANCELLED";
      },
    });
    await rig.dispatcher();
    const plan = newPlan().slice(0, 1);
    assert.deepEqual(await rig.ended(await again(plan)), ["FAILED"]);
    outcome = "CANCEL";
    const cancelled = await again(plan);
    await eventually("the run to be in work", async () => (await rig.states(cancelled))[0] === "RUNNING");
    const key = { tenantId: caller.tenantId, experimentId: cancelled };
    await app.withTenant(caller.tenantId, (tx) => cancelExperiment(tx, key, { mode: "GRACEFUL", reason: null }));
    assert.deepEqual(await rig.ended(cancelled), ["CANCELLED"]);
    outcome = "GOOD";
    assert.deepEqual(await reusedFrom(await worked(plan)), [null]);
  });

  it("from a partial result, nor from a report that was made of one", async () => {
    let partial = true;
    await rig.pod({
      slots: 2,
      work: async (task) => ({ metrics: await metricsOf(task), partial: partial && task.inputs.size === 0 }),
    });
    await rig.dispatcher();
    const plan = newPlan();
    await worked(plan);
    partial = false;
    const whole = await worked(plan);
    assert.deepEqual(await reusedFrom(whole), [null, null, null]);
    assert.deepEqual(await reusedFrom(await worked(plan)), await ids(whole));
  });

  it("from a report that lacks a run, though that run succeeded later", async () => {
    let fails = true;
    await rig.pod({
      slots: 2,
      work: (task) => {
        if (!fails || task.spec["second"] !== true) return work(task);
        return Promise.resolve({ errorClass: ErrorClass.ERROR_CLASS_BAD_INPUT, code: "BAD" });
      },
    });
    await rig.dispatcher();
    const plan = newPlan();
    const lacking = await again(plan);
    assert.deepEqual(await rig.ended(lacking), ["SUCCEEDED", "FAILED", "SUCCEEDED"]);
    // The failed run is tried again in place, as a replay does it; the report stays what it was.
    fails = false;
    await query("begin");
    await query("update experiment set ended_at = null, stage = 0, open_runs = 1 where id = $1", [lacking]);
    await query(
      `update run set state = 'QUEUED', terminal_at = null, attempt = 0, error_class = null
       where experiment_id = $1 and position = 1`,
      [lacking],
    );
    await query("commit");
    assert.deepEqual(await rig.ended(lacking), ["SUCCEEDED", "SUCCEEDED", "SUCCEEDED"]);
    const whole = await worked(plan);
    const [one = "", two = ""] = await ids(lacking);
    assert.deepEqual(await reusedFrom(whole), [one, two, null]);
  });

  it("from a run whose files are gone: it is worked on afresh, and answers in its turn", async () => {
    await rig.pod({ slots: 2, work });
    await rig.dispatcher();
    const plan = newPlan().slice(0, 1);
    const first = await worked(plan);
    const files = await query<{ sha256: string }>(
      "select f.sha256 from run_artifact f where f.run_id = any($1) and f.name = 'items.jsonl'",
      [await ids(first)],
    );
    for (const { sha256 } of files) rmSync(join(rig.artifactsFolder, "cas", sha256.slice(0, 2), sha256));
    const fresh = await worked(plan);
    assert.deepEqual(await reusedFrom(fresh), [null]);
    assert.deepEqual(await reusedFrom(await worked(plan)), await ids(fresh));
  });

  it("from a run that a later one has superseded", async () => {
    await rig.pod({ slots: 2, work });
    await rig.dispatcher();
    const plan = newPlan().slice(0, 1);
    const [old] = await ids(await worked(plan));
    const [by] = await ids(await worked(plan, { reuse: "NEVER" }));
    const supersede = (run: string | undefined, successor: string | null | undefined): Promise<unknown> =>
      app.withTenant(caller.tenantId, (tx) =>
        tx.manager.query("update run set superseded_by = $2 where id = $1", [run, successor]),
      );
    await supersede(by, old);
    assert.deepEqual(await reusedFrom(await worked(plan)), [old]);
    await supersede(old, by);
    assert.deepEqual(await reusedFrom(await worked(plan)), [null]);
    // A real wave changes the experiment's count with it.
    await supersede(old, null);
    await supersede(by, null);
  });
});
