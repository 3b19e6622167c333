import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { newId } from "../src/domain/digest.js";
import type { Caller } from "../src/domain/tenant.js";
import { AssayError } from "../src/errors.js";
import { cancelExperiment } from "../src/store/cancel.js";
import type { ClaimedRun } from "../src/store/claims.js";
import type { ExperimentKey } from "../src/store/events.js";
import { pauseExperiment, resumeExperiment } from "../src/store/pause.js";
import { type Retried, type RetryWish, retryRuns } from "../src/store/retry.js";
import { assertInvariants } from "./faults/checker.js";
import { testDatabases } from "./support/databases.js";
import { LeaseRig, type SeenRun } from "./support/lease-rig.js";
import type { TestRun } from "./support/store.js";

const databases = await testDatabases();
const rig = new LeaseRig(databases);
const { app, query } = databases;
// Pausing and retrying go by who owns the rows, not by scopes, which the API looks at.
const { caller } = databases;

/** Two seeds: a preparing run and two that read from it for each, and a report over all that is there. */
const grid: readonly TestRun[] = [
  { stage: 0, spec: { step: "prepare", seed: 1 } },
  { stage: 0, spec: { step: "prepare", seed: 2 } },
  ...[0, 0, 1, 1].map((from, i) => ({
    stage: 1,
    spec: { step: "train", i },
    inputs: [{ from, artifact: "file", required: true }],
  })),
  {
    stage: 2,
    spec: { step: "report" },
    inputs: [0, 1, 2, 3, 4, 5].map((from) => ({ from, artifact: "file", required: false })),
  },
];

interface Wish extends Partial<RetryWish> {
  readonly idempotencyKey?: string;
  readonly caller?: Caller;
}

function retry({ experimentId }: ExperimentKey, wish: Wish = {}): Promise<Retried> {
  const who = wish.caller ?? caller;
  const request = {
    caller: who,
    operation: "retryRuns",
    idempotencyKey: wish.idempotencyKey ?? newId(),
    requestSha256: JSON.stringify([wish.runIds, wish.onlyRetryable]),
  };
  const { runIds = null, onlyRetryable = true } = wish;
  return app.withTenant(who.tenantId, (tx) => retryRuns(tx, request, { experimentId, runIds, onlyRetryable }));
}

/** Works on everything that can be claimed until nothing can: each run as the step says. */
async function work(key: ExperimentKey, act: (run: ClaimedRun) => Promise<unknown> = succeed): Promise<void> {
  for (let runs = await rig.start(key); runs.length > 0; runs = await rig.start(key)) {
    for (const run of runs) await act(run);
  }
}

const succeed = (run: ClaimedRun): Promise<unknown> => rig.complete(run, "file");
const isStep = (run: ClaimedRun, step: object): boolean =>
  Object.entries(step).every(([name, value]) => run.spec.includes(`"${name}":${JSON.stringify(value)}`));
/** Fails what the step names and does the rest. */
const failing =
  (step: object, errorClass: "POISON" | "BAD_INPUT" = "BAD_INPUT") =>
  (run: ClaimedRun): Promise<unknown> =>
    isStep(run, step) ? rig.fail(run, errorClass) : succeed(run);

async function stages(key: ExperimentKey): Promise<string[]> {
  return (await rig.runs(key)).map(
    (run) => `${run.stage} ${run.state}${run.superseded_by === null ? "" : " superseded"}`,
  );
}

afterEach(() => assertInvariants(databases));

describe("retrying", () => {
  it("of a run in the open stage puts it back there, with all its tries, and nothing else is done again", async () => {
    const key = await rig.submit(grid);
    const [one, other] = await rig.start(key);
    assert.ok(one !== undefined && other !== undefined);
    await rig.fail(one, "BAD_INPUT");
    const { runIds, replayed } = await retry(key, { onlyRetryable: false });
    assert.deepEqual([runIds, replayed], [[one.runId], false]);
    const [again] = await rig.start(key);
    assert.equal(again?.runId, one.runId);
    assert.equal(again?.epoch, 2);
    assert.ok(again !== undefined);
    await succeed(again);
    await succeed(other);
    await work(key);
    assert.equal((await rig.heard(key)).at(-1), "SUCCEEDED");
    assert.equal((await rig.runs(key)).length, grid.length);
  });

  it("of an ended experiment opens it again: what failed, what was given up for it, and a new report", async () => {
    const key = await rig.submit(grid);
    await work(key, failing({ step: "prepare", seed: 1 }));
    assert.equal((await rig.heard(key)).at(-1), "PARTIAL");
    const [failed] = await rig.runs(key);
    assert.deepEqual(await retry(key, { onlyRetryable: false }), { runIds: [failed?.id], replayed: false });
    assert.deepEqual(await stages(key), [
      "3 QUEUED",
      "0 SUCCEEDED",
      "1 CANCELLED superseded",
      "1 CANCELLED superseded",
      "1 SUCCEEDED",
      "1 SUCCEEDED",
      "2 SUCCEEDED superseded",
      "4 WAITING",
      "4 WAITING",
      "5 WAITING",
    ]);
    await work(key);
    assert.deepEqual((await rig.heard(key)).slice(-4), ["RUNNING", "RUNNING", "RUNNING", "SUCCEEDED"]);
    const runs = await rig.runs(key);
    assert.deepEqual(
      await sourcesOf(runs.at(-1)),
      [0, 1, 7, 8, 4, 5].map((place) => runs[place]?.id),
    );
  });

  it("while the report is at work joins its stage, stops it, and reports over all in the end", async () => {
    const key = await rig.submit(grid);
    await work(key, (run) => (isStep(run, { step: "report" }) ? Promise.resolve() : failing({ i: 1 })(run)));
    assert.equal((await stages(key)).at(-1), "2 RUNNING");
    await retry(key, { onlyRetryable: false });
    assert.deepEqual((await stages(key)).slice(3), [
      "2 QUEUED",
      "1 SUCCEEDED",
      "1 SUCCEEDED",
      "2 CANCELLING superseded",
      "3 WAITING",
    ]);
    const [again] = await rig.start(key);
    assert.ok(again !== undefined);
    await succeed(again);
    assert.deepEqual((await stages(key)).at(-1), "3 WAITING");
    const [old] = (await rig.runs(key)).filter((run) => run.state === "CANCELLING");
    assert.ok(old !== undefined);
    await rig.fail({ ...key, runId: old.id, epoch: 1 }, "LOST");
    await work(key);
    assert.equal((await rig.heard(key)).at(-1), "SUCCEEDED");
  });

  it("before the report waits for it plans another one behind what is tried again", async () => {
    const key = await rig.submit(grid);
    for (const run of await rig.start(key)) await failing({ step: "prepare", seed: 2 })(run);
    const [first] = await rig.start(key, 1);
    assert.ok(first !== undefined);
    await retry(key, { onlyRetryable: false });
    assert.deepEqual(await stages(key), [
      "0 SUCCEEDED",
      "1 QUEUED",
      "1 RUNNING",
      "1 QUEUED",
      "1 CANCELLED superseded",
      "1 CANCELLED superseded",
      "2 CANCELLED superseded",
      "2 WAITING",
      "2 WAITING",
      "3 WAITING",
    ]);
    await succeed(first);
    await work(key);
    assert.equal((await rig.heard(key)).at(-1), "SUCCEEDED");
  });

  it("passes over runs whose input is at fault unless it is told otherwise, and takes those that are named alone", async () => {
    const key = await rig.submit(grid);
    await work(key, (run) => (isStep(run, { i: 0 }) ? rig.fail(run, "BAD_INPUT") : failing({ i: 1 }, "POISON")(run)));
    await exhaust(key, 2, { i: 1 });
    assert.deepEqual((await rig.states(key)).slice(2, 4), ["FAILED", "DEAD"]);
    const runs = await rig.runs(key);
    assert.deepEqual((await retry(key)).runIds, [runs[3]?.id]);
    await work(key);
    await assert.rejects(retry(key), isConflict("PARTIAL"));
    await assert.rejects(retry(key, { runIds: [runs[3]?.id ?? ""] }), isConflict("SUCCEEDED"));
    await assert.rejects(retry(key, { runIds: [runs[6]?.id ?? ""] }), isConflict("SUPERSEDED"));
    assert.deepEqual((await retry(key, { runIds: [runs[2]?.id ?? ""], onlyRetryable: false })).runIds, [runs[2]?.id]);
    await work(key);
    assert.equal((await rig.heard(key)).at(-1), "SUCCEEDED");
    await assert.rejects(retry(key), isConflict("SUCCEEDED"));
  });

  it("under one key is done once, however often and concurrently it is sent; another request is a conflict", async () => {
    const key = await rig.submit(grid);
    await work(key, failing({ i: 2 }));
    const wish = { idempotencyKey: "again", onlyRetryable: false };
    const answers = await Promise.all([retry(key, wish), retry(key, wish), retry(key, wish)]);
    assert.deepEqual(answers.map((answer) => answer.replayed).sort(), [false, true, true]);
    assert.equal(new Set(answers.map((answer) => JSON.stringify(answer.runIds))).size, 1);
    await assert.rejects(
      retry(key, { ...wish, onlyRetryable: true }),
      (error) => error instanceof AssayError && error.code === "IDEMPOTENCY_CONFLICT",
    );
    assert.equal((await rig.runs(key)).length, grid.length + 1);
    await work(key);
  });

  it("in a paused experiment waits for its resumption, and a cancelled one is retried never", async () => {
    const key = await rig.submit(grid);
    const [one, other] = await rig.start(key);
    assert.ok(one !== undefined && other !== undefined);
    await rig.fail(one, "BAD_INPUT");
    await app.withTenant(key.tenantId, (tx) => pauseExperiment(tx, key));
    await retry(key, { onlyRetryable: false });
    assert.equal((await rig.states(key))[0], "PAUSED");
    assert.deepEqual(await rig.start(key), []);
    await app.withTenant(key.tenantId, (tx) => resumeExperiment(tx, key));
    assert.equal((await rig.start(key)).length, 1);
    await app.withTenant(key.tenantId, (tx) => cancelExperiment(tx, key, { mode: "IMMEDIATE", reason: null }));
    await assert.rejects(retry(key), isConflict("CANCELLING"));
  });

  it("starts the count of tries anew, which then end as before, and each death leaves a letter", async () => {
    const key = await rig.submit([{ stage: 0 }]);
    await exhaust(key, 3);
    assert.deepEqual(await rig.states(key), ["DEAD"]);
    await retry(key);
    await exhaust(key, 3);
    assert.deepEqual(await rig.states(key), ["DEAD"]);
    const letters = await query(
      "select epoch, replayed_at is not null as replayed from dead_letter where experiment_id = $1 order by epoch",
      [key.experimentId],
    );
    assert.deepEqual(letters, [
      { epoch: 3, replayed: true },
      { epoch: 6, replayed: false },
    ]);
  });
});

/** Fails the runs of a step so often, and does the others. */
async function exhaust(key: ExperimentKey, times: number, step: object = {}): Promise<void> {
  for (let tries = 0; tries < times; tries += 1) {
    await query("update run set not_before = now() where experiment_id = $1", [key.experimentId]);
    await work(key, failing(step, "POISON"));
  }
}

async function sourcesOf(run: SeenRun | undefined): Promise<string[]> {
  const rows = await query<{ id: string }>(
    'select w."from" ->> \'runId\' as id from run r, jsonb_to_recordset(r.inputs) as w("from" jsonb) where r.id = $1',
    [run?.id],
  );
  return rows.map((row) => row.id);
}

function isConflict(currentState: string) {
  return (error: unknown): boolean =>
    error instanceof AssayError && error.code === "STATE_CONFLICT" && error.detail["currentState"] === currentState;
}
