import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { newId, sha256 } from "../src/domain/digest.js";
import { type RunState, transitions } from "../src/domain/run.js";
import type { Caller } from "../src/domain/tenant.js";
import { cancelExperiment } from "../src/store/cancel.js";
import { type ClaimedRun, claimRuns, inputsOf, type Lease } from "../src/store/claims.js";
import { ExperimentScope } from "../src/store/closing.js";
import {
  type Completion,
  completeRun,
  type Ending,
  expireLease,
  type Failure,
  failAttempt,
  stopAttempt,
} from "../src/store/endings.js";
import type { ExperimentKey } from "../src/store/events.js";
import { adoptLeases, noteNews, releaseLeases, renewLease, runStarted } from "../src/store/leases.js";
import { Submitter } from "../src/store/submit.js";
import { assertInvariants } from "./faults/checker.js";
import { testDatabases } from "./support/databases.js";
import { eventually } from "./support/eventually.js";
import { submission, type TestRun, testPlan } from "./support/store.js";

const databases = await testDatabases();
const { app, work, caller, newTenant, query } = databases;
const submitter = new Submitter(app);
const dispatcherId = newId();
const used = { wall: 2, cpu: 1, gpu: 0 };

function locked<T>(key: ExperimentKey, write: (scope: ExperimentScope) => Promise<T>): Promise<T> {
  return work.transaction((tx) => ExperimentScope.within(tx, key, write));
}

async function submitted(
  runs: readonly TestRun[],
  who: Caller = caller,
): Promise<{ experimentId: string; tenantId: string }> {
  const { experimentId } = await submitter.submit(submission(who, testPlan(runs)));
  return { experimentId, tenantId: who.tenantId };
}

function claim(limit: number, ttlMs = 60_000): Promise<ClaimedRun[]> {
  const request = { dispatcherId, podId: "pod", podAddress: "127.0.0.1:1", ttlMs, limit };
  return work.transaction((tx) => claimRuns(tx, request));
}

/** Claims until nothing is left of what other tests queued. */
async function drain(): Promise<void> {
  for (;;) {
    const runs = await claim(100);
    if (runs.length === 0) return;
    for (const run of runs) await complete(run);
  }
}

const result = (text: string, artifact?: string): Completion => ({
  contentSha256: sha256(text),
  metrics: JSON.stringify({ text }),
  partial: false,
  files:
    artifact === undefined ? [] : [{ name: artifact, kind: "ITEMS", sha256: sha256(text), sizeBytes: text.length }],
  used,
  events: [],
});

function complete(lease: Lease, text = "result", artifact?: string): Promise<Ending> {
  return locked(lease, (scope) => completeRun(scope, lease, result(text, artifact)));
}

function fail(lease: Lease, errorClass: Failure["errorClass"]): Promise<Ending> {
  // A pod that refuses a run has not worked on it.
  const cost = errorClass === "OVERLOAD" ? null : used;
  const failure: Failure = {
    errorClass,
    code: "TEST",
    message: "failed in a test",
    stage: null,
    used: cost,
    events: [],
  };
  return locked(lease, (scope) => failAttempt(scope, lease, failure));
}

async function stateOf(runId: string): Promise<RunState | undefined> {
  return (await query<{ state: RunState }>("select state from run where id = $1", [runId]))[0]?.state;
}

async function statesOf(experimentId: string): Promise<RunState[]> {
  const rows = await query<{ state: RunState }>("select state from run where experiment_id = $1 order by position", [
    experimentId,
  ]);
  return rows.map((row) => row.state);
}

afterEach(() => assertInvariants(databases));

describe("claiming", () => {
  it("gives every run to one claimer only, however many claim at once", async () => {
    await drain();
    await submitted(Array.from({ length: 40 }, () => ({ stage: 0 })));
    const claims = await Promise.all(Array.from({ length: 8 }, () => claim(5)));
    const ids = claims.flat().map((run) => run.runId);
    assert.equal(new Set(ids).size, ids.length);
    for (;;) {
      const more = await claim(5);
      if (more.length === 0) break;
      ids.push(...more.map((run) => run.runId));
    }
    assert.equal(new Set(ids).size, 40);
    for (const run of claims.flat()) await complete(run);
  });

  it("serves a tenant with one run next to one with a long queue", async () => {
    await drain();
    const [big, small] = [await newTenant(), await newTenant()];
    await submitted(
      Array.from({ length: 30 }, () => ({ stage: 0 })),
      big,
    );
    await submitted([{ stage: 0 }], small);
    const first = await claim(2);
    assert.deepEqual(first.map((run) => run.tenantId).sort(), [big.tenantId, small.tenantId].sort());
  });

  it("takes turns when one slot is free at a time", async () => {
    await drain();
    const [one, two] = [await newTenant(), await newTenant()];
    await submitted(
      Array.from({ length: 5 }, () => ({ stage: 0 })),
      one,
    );
    await submitted(
      Array.from({ length: 5 }, () => ({ stage: 0 })),
      two,
    );
    const served: string[] = [];
    for (let i = 0; i < 6; i += 1) {
      const [run] = await claim(1);
      assert.ok(run);
      served.push(run.tenantId);
      await complete(run);
    }
    for (let i = 1; i < served.length; i += 1) assert.notEqual(served[i], served[i - 1]);
  });

  it("raises the epoch, opens an attempt and changes nothing of what a subscriber sees", async () => {
    await drain();
    const { experimentId } = await submitted([{ stage: 0 }]);
    const [run] = await claim(1);
    assert.equal(run?.epoch, 1);
    const attempts = await query("select epoch, dispatcher_id, pod_id from attempt where run_id = $1", [run?.runId]);
    assert.deepEqual(attempts, [{ epoch: 1, dispatcher_id: dispatcherId, pod_id: "pod" }]);
    const events = await query("select 1 from event where experiment_id = $1", [experimentId]);
    assert.equal(events.length, 2);
  });
});

describe("a lease", () => {
  it("counts for its epoch only: a zombie's result is refused and recorded, the rightful one counts", async () => {
    await drain();
    await submitted([{ stage: 0 }]);
    const [zombie] = await claim(1);
    assert.ok(zombie);
    assert.deepEqual(await fail(zombie, "LOST"), { kind: "COUNTED", state: "RETRY_WAIT" });
    const [rightful] = await claim(1);
    assert.equal(rightful?.runId, zombie.runId);
    assert.equal(rightful.epoch, 2);
    assert.deepEqual(await complete(zombie, "zombie"), { kind: "STALE" });
    assert.equal(await stateOf(zombie.runId), "LEASED");
    assert.deepEqual(await complete(rightful, "rightful"), { kind: "COUNTED", state: "SUCCEEDED" });
    assert.deepEqual(await complete(zombie, "zombie"), { kind: "STALE" });
    const results = await query("select epoch, metrics from result where run_id = $1", [zombie.runId]);
    assert.deepEqual(results, [{ epoch: 2, metrics: { text: "rightful" } }]);
    const late = await query(
      "select epoch_seen, epoch_current, state_seen, what from late_write where run_id = $1 order by at",
      [zombie.runId],
    );
    assert.deepEqual(late, [
      { epoch_seen: 1, epoch_current: 2, state_seen: "LEASED", what: "SUCCEEDED" },
      { epoch_seen: 1, epoch_current: 2, state_seen: "SUCCEEDED", what: "SUCCEEDED" },
    ]);
    const usage = await query("select epoch, kind, amount from usage where run_id = $1 order by epoch, kind", [
      zombie.runId,
    ]);
    assert.equal(usage.filter((line) => line["epoch"] === 2).length, 3);
  });

  it("answers a repeated result as the first time, and writes nothing again", async () => {
    await drain();
    await submitted([{ stage: 0 }]);
    const [run] = await claim(1);
    assert.ok(run);
    await complete(run, "same", "items.jsonl");
    assert.deepEqual(await complete(run, "same", "items.jsonl"), { kind: "REPEATED" });
    assert.deepEqual(await complete(run, "other"), { kind: "STALE" });
    const counts = await query(
      "select (select count(*)::int from usage where run_id = $1) as usage, (select count(*)::int from run_artifact where run_id = $1) as files",
      [run.runId],
    );
    assert.deepEqual(counts, [{ usage: 3, files: 1 }]);
  });

  it("is renewed by its owner only, and tells what the user wishes", async () => {
    await drain();
    const key = await submitted([{ stage: 0 }]);
    const [run] = await claim(1);
    assert.ok(run);
    const renew = (id: string): Promise<unknown> =>
      work.transaction((tx) => renewLease(tx, run, { id, ttlMs: 60_000 }));
    assert.deepEqual(await renew(dispatcherId), { kind: "RENEWED", stop: null });
    assert.deepEqual(await renew(newId()), { kind: "ADOPTED" });
    await app.withTenant(key.tenantId, (tx) => cancelExperiment(tx, key, { mode: "GRACEFUL", reason: null }));
    assert.deepEqual(await renew(dispatcherId), { kind: "RENEWED", stop: "GRACEFUL" });
    await fail(run, "LOST");
    assert.deepEqual(await renew(dispatcherId), { kind: "FENCED" });
    assert.equal(await stateOf(run.runId), "CANCELLED");
  });

  it("that its pod gives up without being asked is lost: what it used counts, and nothing is recorded as late", async () => {
    await drain();
    const { experimentId } = await submitted([{ stage: 0 }]);
    const [run] = await claim(1);
    assert.ok(run);
    const used = { wall: 3, cpu: 2, gpu: 1 };
    assert.deepEqual(await locked(run, (scope) => stopAttempt(scope, run, { used, lastStep: null, events: [] })), {
      kind: "COUNTED",
      state: "RETRY_WAIT",
    });
    assert.deepEqual(await statesOf(experimentId), ["RETRY_WAIT"]);
    const [after] = await query(
      `select attempt, disruptions, (select sum(amount) from usage where run_id = run.id) as used,
              (select count(*)::int from late_write where run_id = run.id) as late from run where id = $1`,
      [run.runId],
    );
    assert.deepEqual(after, { attempt: 0, disruptions: 1, used: 6, late: 0 });
  });

  it("that ran out gives the run back without using a try; one that was renewed meanwhile stays", async () => {
    await drain();
    await submitted([{ stage: 0 }]);
    const [run] = await claim(1, -1000);
    assert.ok(run);
    await work.transaction((tx) => renewLease(tx, run, { id: dispatcherId, ttlMs: 60_000 }));
    assert.deepEqual(await locked(run, (scope) => expireLease(scope, run)), { kind: "STALE" });
    await work.transaction((tx) => renewLease(tx, run, { id: dispatcherId, ttlMs: -1000 }));
    assert.deepEqual(await locked(run, (scope) => expireLease(scope, run)), { kind: "COUNTED", state: "RETRY_WAIT" });
    const [row] = await query("select attempt, disruptions from run where id = $1", [run.runId]);
    assert.deepEqual(row, { attempt: 0, disruptions: 1 });
  });

  it("is adopted with the same epoch when its owner is silent or lets go, and not while the owner beats", async () => {
    await drain();
    await submitted([{ stage: 0 }]);
    const [run] = await claim(1);
    assert.ok(run);
    await query("insert into dispatcher (id) values ($1)", [dispatcherId]);
    const sibling = newId();
    const adopt = (): ReturnType<typeof adoptLeases> => work.transaction((tx) => adoptLeases(tx, sibling, 5_000));
    assert.deepEqual(await adopt(), []);
    await query("update dispatcher set beat_at = now() - interval '6 seconds' where id = $1", [dispatcherId]);
    const adopted = (await adopt()).find((lease) => lease.runId === run.runId);
    assert.deepEqual([adopted?.runId, adopted?.epoch, adopted?.podId], [run.runId, 1, "pod"]);
    const released = await work.transaction((tx) => releaseLeases(tx, sibling));
    assert.equal((await adopt()).length, released);
    await query("delete from dispatcher where id = $1", [dispatcherId]);
  });
});

describe("failing", () => {
  const cases = [
    ["BAD_INPUT", ["FAILED"]],
    ["POISON", ["RETRY_WAIT", "RETRY_WAIT", "DEAD"]],
    ["UNKNOWN", ["RETRY_WAIT", "DEAD"]],
    ["OVERLOAD", ["QUEUED", "QUEUED", "QUEUED", "QUEUED"]],
    ["LOST", ["RETRY_WAIT", "RETRY_WAIT", "RETRY_WAIT", "RETRY_WAIT", "RETRY_WAIT"]],
  ] as const;
  for (const [errorClass, states] of cases) {
    it(`as ${errorClass} leads to ${states.join(", ")}`, async () => {
      await drain();
      const { experimentId } = await submitted([{ stage: 0 }]);
      for (const state of states) {
        const [run] = await claim(1);
        assert.equal(run?.experimentId, experimentId);
        assert.deepEqual(await fail(run, errorClass), { kind: "COUNTED", state });
        await query("update run set not_before = now() where id = $1", [run.runId]);
      }
    });
  }

  it("of a run that others need cancels them, and goes on with those that need it not", async () => {
    await drain();
    const { experimentId } = await submitted([
      { stage: 0 },
      { stage: 0 },
      { stage: 1, inputs: [{ from: 0, artifact: "items.jsonl", required: true }] },
      { stage: 1, inputs: [{ from: 1, artifact: "items.jsonl", required: true }] },
      { stage: 2, inputs: [2, 3].map((from) => ({ from, artifact: "items.jsonl", required: false })) },
    ]);
    const [bad, good] = await claim(2);
    assert.ok(bad !== undefined && good !== undefined);
    await fail(bad, "BAD_INPUT");
    await complete(good, "first", "items.jsonl");
    assert.deepEqual(await statesOf(experimentId), ["FAILED", "SUCCEEDED", "CANCELLED", "QUEUED", "WAITING"]);
    const reasons = await query("select state_reason from run where experiment_id = $1 and state = 'CANCELLED'", [
      experimentId,
    ]);
    assert.deepEqual(reasons, [{ state_reason: "DEPENDENCY_FAILED" }]);
    const [second] = await claim(1);
    assert.ok(second);
    const inputs = await work.transaction((tx) => inputsOf(tx, [second]));
    assert.deepEqual(inputs.get(second.runId), {
      inputs: [{ name: "input0", sha256: sha256("first"), sizeBytes: 5 }],
      missing: [],
    });
    await complete(second, "second", "items.jsonl");
    const [report] = await claim(1);
    assert.ok(report);
    const given = await work.transaction((tx) => inputsOf(tx, [report]));
    assert.deepEqual(given.get(report.runId), {
      inputs: [{ name: "input1", sha256: sha256("second"), sizeBytes: 6 }],
      missing: [],
    });
    await complete(report, "report", "report.json");
    const last = await query("select body from event where experiment_id = $1 order by seq desc limit 1", [
      experimentId,
    ]);
    assert.deepEqual(last, [{ body: { state: "PARTIAL" } }]);
  });

  it("of all runs of a stage ends the experiment through every stage after it", async () => {
    await drain();
    const { experimentId } = await submitted([
      { stage: 0 },
      { stage: 1, inputs: [{ from: 0, artifact: "items.jsonl", required: true }] },
      { stage: 2, inputs: [{ from: 1, artifact: "items.jsonl", required: false }] },
    ]);
    const [run] = await claim(1);
    assert.ok(run);
    await fail(run, "BAD_INPUT");
    assert.deepEqual(await statesOf(experimentId), ["FAILED", "CANCELLED", "CANCELLED"]);
    const last = await query("select body from event where experiment_id = $1 order by seq desc limit 1", [
      experimentId,
    ]);
    assert.deepEqual(last, [{ body: { state: "FAILED" } }]);
  });
});

describe("ending a stage", () => {
  it("opens the next one exactly once when its two last runs end together", async () => {
    for (let round = 0; round < 10; round += 1) {
      await drain();
      const { experimentId } = await submitted([{ stage: 0 }, { stage: 0 }, { stage: 1 }]);
      const runs = await claim(2);
      await Promise.all(runs.map((run) => complete(run)));
      assert.deepEqual(await statesOf(experimentId), ["SUCCEEDED", "SUCCEEDED", "QUEUED"]);
      const bells = await query(
        "select 1 from outbox where topic = 'assay.runs.queued' and payload ->> 'experimentId' = $1",
        [experimentId],
      );
      assert.equal(bells.length, 2);
    }
  });
});

describe("cancelling", () => {
  /** A running run's end and its experiment's cancel, ready to be set off, and a check that one won and said so. */
  async function contest(): Promise<{
    run: Lease;
    finish: () => Promise<Ending>;
    cancel: () => Promise<boolean>;
    winner: (outcomes: readonly (Ending | boolean)[]) => Promise<string | undefined>;
  }> {
    await drain();
    const key = await submitted([{ stage: 0 }, { stage: 1 }]);
    const [run] = await claim(1);
    assert.ok(run);
    const winner = async (outcomes: readonly (Ending | boolean)[]): Promise<string | undefined> => {
      assert.ok(outcomes.includes(true));
      const ending = outcomes.find((outcome) => typeof outcome === "object");
      const [first, second] = await statesOf(key.experimentId);
      assert.equal(second, "CANCELLED");
      assert.deepEqual(ending, { kind: "COUNTED", state: first });
      const results = await query("select 1 from result where run_id = $1", [run.runId]);
      assert.equal(results.length, first === "SUCCEEDED" ? 1 : 0);
      return first;
    };
    return {
      run,
      finish: () => complete(run),
      cancel: () =>
        app.withTenant(key.tenantId, (tx) => cancelExperiment(tx, key, { mode: "GRACEFUL", reason: "test" })),
      winner,
    };
  }

  it("races with completion: one of them wins, and the run says which", async () => {
    for (let round = 0; round < 40; round += 1) {
      const { finish, cancel, winner } = await contest();
      const outcomes = await Promise.all(round % 2 === 0 ? [finish(), cancel()] : [cancel(), finish()]);
      assert.match(String(await winner(outcomes)), /^(CANCELLED|SUCCEEDED)$/);
    }
  });

  for (const [who, wins] of [
    ["the cancel", "CANCELLED"],
    ["the completion", "SUCCEEDED"],
  ] as const) {
    it(`and completion wait for the experiment's lock in turn: when ${who} comes first, the run is ${wins}`, async () => {
      const { run, finish, cancel, winner } = await contest();
      const [early, late] = wins === "CANCELLED" ? [cancel, finish] : [finish, cancel];
      const outcomes: Promise<Ending | boolean>[] = [];
      await locked(run, async () => {
        outcomes.push(early());
        await waiting(1);
        outcomes.push(late());
        await waiting(2);
      });
      assert.equal(await winner(await Promise.all(outcomes)), wins);
    });
  }

  /** Resolves when so many transactions of this database wait for a lock. */
  function waiting(count: number): Promise<boolean> {
    return eventually(`${count} transactions that wait`, async () => {
      const rows = await query(
        `select distinct l.pid from pg_locks l join pg_stat_activity a on a.pid = l.pid
         where not l.granted and a.datname = current_database()`,
        [],
      );
      return rows.length === count;
    });
  }

  it("ends what waits at once, asks what runs to stop, and says nothing new the second time", async () => {
    await drain();
    const key = await submitted([{ stage: 0 }, { stage: 0 }, { stage: 1 }]);
    const [run] = await claim(1);
    assert.ok(run);
    await locked(run, (scope) => runStarted(scope, run));
    const cancel = (mode: "GRACEFUL" | "IMMEDIATE"): Promise<boolean> =>
      app.withTenant(key.tenantId, (tx) => cancelExperiment(tx, key, { mode, reason: null }));
    assert.equal(await cancel("GRACEFUL"), true);
    assert.deepEqual(await statesOf(key.experimentId), ["CANCELLING", "CANCELLED", "CANCELLED"]);
    assert.equal(await cancel("GRACEFUL"), false);
    assert.equal(await cancel("IMMEDIATE"), true);
    assert.equal(await cancel("GRACEFUL"), false);
    await fail(run, "LOST");
    assert.equal(await cancel("IMMEDIATE"), false);
    assert.deepEqual(await statesOf(key.experimentId), ["CANCELLED", "CANCELLED", "CANCELLED"]);
  });

  it("with SCORE_PARTIAL lets a result that comes afterwards count, as partial", async () => {
    await drain();
    const key = await submitted([{ stage: 0 }]);
    const [run] = await claim(1);
    assert.ok(run);
    await app.withTenant(key.tenantId, (tx) => cancelExperiment(tx, key, { mode: "SCORE_PARTIAL", reason: null }));
    const done = { ...result("half"), partial: true };
    assert.deepEqual(await locked(run, (scope) => completeRun(scope, run, done)), {
      kind: "COUNTED",
      state: "SUCCEEDED",
    });
    assert.deepEqual(await query("select state, partial from run where id = $1", [run.runId]), [
      { state: "SUCCEEDED", partial: true },
    ]);
  });

  it("does nothing to another tenant's experiment", async () => {
    const key = await submitted([{ stage: 0 }]);
    const other = await newTenant();
    const changed = await app.withTenant(other.tenantId, (tx) =>
      cancelExperiment(tx, { ...key, tenantId: other.tenantId }, { mode: "GRACEFUL", reason: null }),
    );
    assert.equal(changed, false);
    const foreign = await app.withTenant(other.tenantId, (tx) =>
      cancelExperiment(tx, key, { mode: "GRACEFUL", reason: null }),
    );
    assert.equal(foreign, false);
    assert.deepEqual(await statesOf(key.experimentId), ["QUEUED"]);
  });
});

describe("events", () => {
  it("have numbers without a gap in the order of their commits, whoever writes them at once", async () => {
    await drain();
    const key = await submitted(Array.from({ length: 12 }, () => ({ stage: 0 })));
    const runs = await claim(12);
    let highest = 0;
    let gaps = 0;
    let done = false;
    const watch = async (): Promise<void> => {
      while (!done) {
        const rows = await query<{ seq: string }>("select seq from event where experiment_id = $1 order by seq", [
          key.experimentId,
        ]);
        const seqs = rows.map((row) => Number(row.seq));
        if (seqs.some((seq, i) => seq !== i + 1)) gaps += 1;
        assert.ok(seqs.length >= highest);
        highest = seqs.length;
      }
    };
    const watcher = watch();
    await Promise.all(
      runs.map(async (run) => {
        await locked(run, (scope) => runStarted(scope, run));
        const log = { runId: run.runId, kind: "LOG" as const, body: { message: "hello" } };
        await locked(key, (scope) => noteNews(scope, [{ ...run, sequence: 3, progress: null, events: [log, log] }]));
        await complete(run);
      }),
    );
    done = true;
    await watcher;
    assert.equal(gaps, 0);
  });

  it("of a lost lease, or that were stored before, are dropped; progress is kept with the database's time", async () => {
    await drain();
    const key = await submitted([{ stage: 0 }]);
    const [run] = await claim(1);
    assert.ok(run);
    const progress = { stage: "training", completed: 3, total: 9 };
    const say = (epoch: number, sequence: number): Promise<void> => {
      const event = { runId: run.runId, kind: "PROGRESS" as const, body: progress };
      return locked(key, (scope) =>
        noteNews(scope, [{ runId: run.runId, epoch, sequence, progress, events: [event] }]),
      );
    };
    await say(1, 4);
    await say(1, 4);
    await say(2, 5);
    const events = await query("select body from event where run_id = $1 and kind = 'PROGRESS'", [run.runId]);
    assert.deepEqual(events, [{ body: progress }]);
    const [row] = await query<{ progress: { at: string } }>("select progress from run where id = $1", [run.runId]);
    assert.ok(Math.abs(Date.parse(row?.progress.at ?? "") - Date.now()) < 60_000);
  });
});

describe("the trigger", () => {
  it("refuses every change of state that the domain does not allow", async () => {
    await drain();
    await submitted([{ stage: 0 }]);
    const [run] = await query<{ id: string }>("select id from run where state = 'QUEUED' limit 1");
    const allowed = new Set<string>(transitions.QUEUED);
    for (const state of Object.keys(transitions).filter((to) => to !== "QUEUED" && !allowed.has(to))) {
      await assert.rejects(query("update run set state = $2 where id = $1", [run?.id, state]), /cannot go from QUEUED/);
    }
    await query("begin");
    await query("update run set epoch = 5 where id = $1", [run?.id]);
    await assert.rejects(query("update run set epoch = 4 where id = $1", [run?.id]), /would fall/);
    await query("rollback");
  });
});
