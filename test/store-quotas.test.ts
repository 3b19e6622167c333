import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { newId } from "../src/domain/digest.js";
import type { Caller } from "../src/domain/tenant.js";
import { AssayError } from "../src/errors.js";
import { cancelExperiment } from "../src/store/cancel.js";
import { Submitter } from "../src/store/submit.js";
import { assertInvariants } from "./faults/checker.js";
import { testDatabases } from "./support/databases.js";
import { Delivery } from "./support/delivery.js";
import { submission, testPlan } from "./support/store.js";

const databases = await testDatabases();
const { app, newTenant, query } = databases;
const delivery = new Delivery(databases);

beforeEach(() => delivery.drain());
afterEach(() => assertInvariants(databases));

const grid = (runs: number): ReturnType<typeof testPlan> =>
  testPlan(Array.from({ length: runs }, () => ({ stage: 0 })));

async function stored(who: Caller): Promise<number> {
  const [row] = await query<{ n: number }>("select count(*)::int as n from run where tenant_id = $1", [who.tenantId]);
  return row?.n ?? 0;
}

/** What a submission is refused with. */
async function refusal(work: Promise<unknown>): Promise<AssayError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof AssayError, "wanted a refusal, but it was accepted");
  return error;
}

describe("runs that wait", () => {
  it("are bounded: what has no room is QUEUE_FULL, writes nothing, and is accepted under the same key once there is room", async () => {
    const who = await newTenant();
    await delivery.quota(who, { queued_max: 10 });
    const submitter = new Submitter(app);
    await submitter.submit(submission(who, grid(8)));
    const late = submission(who, grid(3));
    const error = await refusal(submitter.submit(late));
    assert.equal(error.code, "QUEUE_FULL");
    assert.equal(error.retriable, true);
    assert.deepEqual(error.detail, { limit: 10, used: 8, requested: 3, retryAfterSeconds: 5 });
    assert.equal(await stored(who), 8);
    const [run] = await delivery.claim();
    assert.ok(run);
    assert.equal((await submitter.submit(late)).replayed, false);
    await delivery.complete(run);
  });

  it("count before their stage has opened too, and those of other tenants do not count", async () => {
    const [who, other] = [await newTenant(), await newTenant()];
    await delivery.quota(who, { queued_max: 4 });
    const submitter = new Submitter(app);
    await submitter.submit(submission(other, grid(20)));
    await submitter.submit(submission(who, testPlan([{ stage: 0 }, { stage: 1 }, { stage: 1 }, { stage: 1 }])));
    assert.equal((await refusal(submitter.submit(submission(who, grid(1))))).code, "QUEUE_FULL");
  });

  it("are 1,000 at most where nobody wrote a quota; a larger request is told that it never fits", async () => {
    const who = await newTenant();
    const submitter = new Submitter(app);
    const error = await refusal(submitter.submit(submission(who, grid(1_001))));
    assert.equal(error.code, "QUOTA_EXCEEDED");
    assert.equal(error.retriable, false);
    assert.deepEqual(error.detail, { limit: 1_000, requested: 1_001 });
    assert.match(error.message, /at most 1000 .* has 1001/);
    const { experimentId } = await submitter.submit(submission(who, grid(1_000)));
    assert.equal(await stored(who), 1_000);
    const key = { tenantId: who.tenantId, experimentId };
    await app.withTenant(who.tenantId, (tx) => cancelExperiment(tx, key, { mode: "GRACEFUL", reason: null }));
  });

  it("are not overrun by gateways that submit at once, and every answer is true", async () => {
    const who = await newTenant();
    await delivery.quota(who, { queued_max: 40 });
    const submitters = [new Submitter(app), new Submitter(app), new Submitter(app)];
    const answers = await Promise.allSettled(
      Array.from({ length: 60 }, (_, i) => submitters[i % 3]?.submit(submission(who, grid(1)))),
    );
    const accepted = answers.filter((answer) => answer.status === "fulfilled").length;
    assert.equal(await stored(who), accepted);
    assert.equal(accepted, 40);
  });

  it("do not keep an accepted request from being answered again", async () => {
    const who = await newTenant();
    await delivery.quota(who, { queued_max: 5 });
    const submitter = new Submitter(app);
    const accepted = submission(who, grid(5));
    const { experimentId } = await submitter.submit(accepted);
    const [again, fresh] = await Promise.allSettled([
      submitter.submit(accepted),
      submitter.submit(submission(who, grid(2))),
    ]);
    assert.deepEqual(again.status === "fulfilled" && { ...again.value, firstSeenAt: null }, {
      experimentId,
      replayed: true,
      firstSeenAt: null,
    });
    assert.equal(fresh.status, "rejected");
    const other = await refusal(submitter.submit({ ...accepted, requestSha256: newId() }));
    assert.equal(other.code, "IDEMPOTENCY_CONFLICT");
  });
});

describe("runs submitted in a minute", () => {
  it("are bounded, and the refusal says when there is room again", async () => {
    const who = await newTenant();
    await delivery.quota(who, { submits_per_minute: 10 });
    const submitter = new Submitter(app);
    const { experimentId } = await submitter.submit(submission(who, grid(6)));
    const error = await refusal(submitter.submit(submission(who, grid(5))));
    assert.equal(error.code, "QUEUE_FULL");
    const wait = Number(error.detail["retryAfterSeconds"]);
    assert.ok(wait >= 1 && wait <= 60);
    await submitter.submit(submission(who, grid(4)));
    const age = "update experiment set created_at = created_at - interval '61 seconds' where id = $1";
    await delivery.asOwner(who, age, [experimentId]);
    await submitter.submit(submission(who, grid(5)));
    assert.equal((await refusal(submitter.submit(submission(who, grid(11))))).code, "QUOTA_EXCEEDED");
  });
});

describe("runs in work", () => {
  it("are bounded: more are not claimed until one has ended, and other tenants go on", async () => {
    const [bound, free] = [await newTenant(), await newTenant()];
    await delivery.quota(bound, { running_max: 2 });
    await delivery.submit(bound, 6);
    await delivery.submit(free, 1);
    const first = await delivery.claim(5);
    assert.equal(first.filter((run) => run.tenantId === bound.tenantId).length, 2);
    assert.equal(first.length, 3);
    assert.deepEqual(await delivery.claim(5), []);
    for (const run of first) await delivery.complete(run);
    assert.equal((await delivery.claim(5)).length, 2);
    const [row] = await query("select count(*)::int as n from run where tenant_id = $1 and state = 'QUEUED'", [
      bound.tenantId,
    ]);
    assert.equal(row?.["n"], 2);
    await delivery.quota(bound, { running_max: null });
  });
});

describe("compute seconds of a day", () => {
  it("are bounded by what is used and what is reserved, counted before and after it is folded", async () => {
    const who = await newTenant();
    await delivery.submit(who, 12);
    const [first] = await delivery.claim();
    assert.ok(first);
    await delivery.complete(first, 10);
    await delivery.fold();
    // 10 s are used and runs are thought to take 10 s each: room for two more.
    await delivery.quota(who, { compute_seconds_per_day: 35 });
    const two = await delivery.claim(5);
    assert.equal(two.length, 2);
    assert.deepEqual(await delivery.claim(5), []);
    for (const run of two) await delivery.complete(run, 2);
    assert.equal((await delivery.claim(5)).length, 2, "14 s are used, some of them in notes");
    await delivery.fold();
    assert.deepEqual(await delivery.claim(5), []);
    const yesterday = "update compute_day set day = day - 1";
    await delivery.asOwner(who, yesterday);
    // Runs are thought to take 4.7 s by now, and 20 s are still reserved.
    assert.equal((await delivery.claim(5)).length, 3, "a new day");
    await delivery.asOwner(who, "update compute_day set day = day + 1");
    await delivery.quota(who, {});
  });

  it("let a run that is larger than all of them start when nothing of the day is used, and no second one", async () => {
    const who = await newTenant();
    await delivery.quota(who, { compute_seconds_per_day: 0.5 });
    await delivery.submit(who, 3);
    const runs = await delivery.claim(3);
    assert.equal(runs.length, 1);
    for (const run of runs) await delivery.complete(run, 1);
    assert.deepEqual(await delivery.claim(3), []);
    await delivery.quota(who, { compute_seconds_per_day: 0 });
    assert.deepEqual(await delivery.claim(3), []);
    await delivery.quota(who, {});
  });
});

describe("the ledger", () => {
  it("settles what each kind of ending used, and nothing for a refusal; the rest is released", async () => {
    const who = await newTenant();
    await delivery.submit(who, 4);
    const [done, failed, refused, lost] = await delivery.claim(4);
    assert.ok(done && failed && refused && lost);
    await delivery.complete(done, 3);
    await delivery.fail(failed, "BAD_INPUT", { wall: 0.25, cpu: 0, gpu: 0 });
    await delivery.fail(refused, "OVERLOAD");
    await delivery.asOwner(who, "update attempt set started_at = now() - interval '90 seconds' where run_id = $1", [
      lost.runId,
    ]);
    await delivery.fail(lost, "LOST");
    const lines = await query<{ run_id: string; kind: string; amount: number }>(
      "select run_id, kind, amount from ledger where tenant_id = $1",
      [who.tenantId],
    );
    const amounts = (runId: string): Record<string, number> =>
      Object.fromEntries(lines.filter((line) => line.run_id === runId).map(({ kind, amount }) => [kind, amount]));
    assert.deepEqual(amounts(done.runId), { RESERVE: 1, SETTLE: 3, RELEASE: -2 });
    assert.deepEqual(amounts(failed.runId), { RESERVE: 1, SETTLE: 0.25, RELEASE: 0.75 });
    assert.deepEqual(amounts(refused.runId), { RESERVE: 1, SETTLE: 0, RELEASE: 1 });
    const waited = amounts(lost.runId)["SETTLE"] ?? 0;
    assert.ok(waited >= 90 && waited < 600, `${waited} s from the claim to the loss`);
  });

  it("counts an ending once, whatever is said twice", async () => {
    const who = await newTenant();
    await delivery.submit(who);
    const [run] = await delivery.claim();
    assert.ok(run);
    await delivery.complete(run, 3);
    assert.deepEqual(await delivery.complete(run, 3), { kind: "REPEATED" });
    assert.deepEqual(await delivery.fail(run, "LOST"), { kind: "STALE" });
    const [row] = await query("select count(*)::int as n, sum(amount)::float8 as sum from ledger where run_id = $1", [
      run.runId,
    ]);
    assert.deepEqual(row, { n: 3, sum: 2 });
  });
});
