import assert from "node:assert/strict";
import { describe, it, mock } from "node:test";
import pg from "pg";
import { newId } from "../src/domain/digest.js";
import { AssayError } from "../src/errors.js";
import { Batcher } from "../src/store/batcher.js";
import { findExperiment, listExperiments, runCountsOf } from "../src/store/experiments.js";
import { listRuns } from "../src/store/runs.js";
import { Submitter } from "../src/store/submit.js";
import { testDatabases } from "./support/databases.js";
import { writeQuota } from "./support/quota.js";
import { submission, testPlan } from "./support/store.js";

const { access, app, caller, newTenant, query } = await testDatabases();
const submitter = new Submitter(app);
const grid = (runs: number): ReturnType<typeof testPlan> =>
  testPlan([...Array.from({ length: runs - 1 }, () => ({ stage: 0 })), { stage: 1 }]);

/** How many statements this process sends to PostgreSQL meanwhile. */
async function statementsOf(work: () => Promise<unknown>): Promise<number> {
  const counted = mock.method(pg.Client.prototype, "query");
  try {
    await work();
    return counted.mock.callCount();
  } finally {
    counted.mock.restore();
  }
}

describe("submitting", () => {
  it("stores experiment, runs, events and bells, and queues the first stage only", async () => {
    const planned = grid(5);
    const { experimentId, replayed } = await submitter.submit(submission(caller, planned));
    assert.equal(replayed, false);
    const experiment = await app.withTenant(caller.tenantId, (tx) => findExperiment(tx, experimentId));
    assert.equal(experiment?.openRuns, 4);
    assert.equal(experiment.totalRuns, 5);
    assert.equal(experiment.createdBy, caller.keyId);
    const tallies = await app.withTenant(caller.tenantId, (tx) => runCountsOf(tx, [experimentId]));
    assert.deepEqual(tallies.get(experimentId), { counts: { QUEUED: 4, WAITING: 1 }, reported: false, partial: false });
    const page = await app.withTenant(caller.tenantId, (tx) => listRuns(tx, { experimentId }, { first: 10 }));
    assert.deepEqual(
      page.items.map(({ id, spec, inputs, position }) => ({ id, spec, inputs, position })),
      planned.runs.map(({ id, spec, inputs, position }) => ({ id, spec, inputs, position })),
    );
    const events = await query<{ seq: number; kind: string }>(
      "select seq::int, kind from event where experiment_id = $1 order by seq",
      [experimentId],
    );
    assert.deepEqual(
      events.map((event) => event.seq),
      [1, 2, 3, 4, 5],
    );
    assert.deepEqual(
      events.map((event) => event.kind),
      ["EXPERIMENT", "STATE", "STATE", "STATE", "STATE"],
    );
    const bells = await query("select topic from outbox where payload ->> 'experimentId' = $1 order by topic", [
      experimentId,
    ]);
    assert.deepEqual(bells, [{ topic: "assay.events" }, { topic: "assay.runs.queued" }]);
  });

  it("answers the same experiment to the same key, twenty times at once and from two gateways", async () => {
    const key = newId();
    const other = new Submitter(app);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? submitter : other).submit(submission(caller, grid(3), key))),
    );
    assert.equal(new Set(answers.map((answer) => answer.experimentId)).size, 1);
    assert.equal(answers.filter((answer) => !answer.replayed).length, 1);
    const later = await submitter.submit(submission(caller, grid(3), key));
    assert.equal(later.experimentId, answers[0]?.experimentId);
    const stored = await query("select 1 from run where experiment_id = $1", [later.experimentId]);
    assert.equal(stored.length, 3);
  });

  it("refuses the same key with another request, and tells when the key was first seen", async () => {
    const key = newId();
    const first = await submitter.submit(submission(caller, testPlan([{ stage: 0 }], "one"), key));
    await assert.rejects(submitter.submit(submission(caller, testPlan([{ stage: 0 }], "two"), key)), (error) => {
      assert.ok(error instanceof AssayError);
      assert.equal(error.code, "IDEMPOTENCY_CONFLICT");
      assert.equal(error.detail["firstSeenAt"], first.firstSeenAt.toISOString());
      return true;
    });
  });

  it("lets the same key of another tenant be its own", async () => {
    const key = newId();
    const other = await newTenant();
    const one = await submitter.submit(submission(caller, grid(2), key));
    const two = await submitter.submit(submission(other, testPlan([{ stage: 0 }], "else"), key));
    assert.notEqual(one.experimentId, two.experimentId);
    assert.equal(two.replayed, false);
    assert.equal(await app.withTenant(other.tenantId, (tx) => findExperiment(tx, one.experimentId)), null);
  });

  it("does not let a member that cannot be stored fail its neighbours in the batch", async () => {
    const bad = { ...testPlan([{ stage: 0 }]), spec: { broken: "a\u0000b" } };
    const results = await Promise.allSettled(
      Array.from({ length: 6 }, (_, i) => submitter.submit(submission(caller, i === 3 ? bad : grid(2)))),
    );
    assert.deepEqual(
      results.map((result) => result.status),
      ["fulfilled", "fulfilled", "fulfilled", "rejected", "fulfilled", "fulfilled"],
    );
  });

  it("takes a thousand runs in a handful of statements, and fifty submissions in few transactions", async () => {
    await writeQuota(access, caller.tenantId, { queued_max: 100_000 });
    const alone = await statementsOf(() => submitter.submit(submission(caller, grid(1000))));
    assert.ok(alone <= 10, `${alone} statements for one submission`);
    const together = await statementsOf(() =>
      Promise.all(Array.from({ length: 50 }, () => submitter.submit(submission(caller, grid(2))))),
    );
    assert.ok(together <= 50, `${together} statements for fifty submissions`);
  });
});

describe("listing experiments", () => {
  it("gives every experiment once, in both directions, while others are made", async () => {
    const owner = await newTenant();
    const ids: string[] = [];
    for (let i = 0; i < 7; i += 1) {
      ids.unshift((await submitter.submit(submission(owner, testPlan([{ stage: 0 }])))).experimentId);
    }
    const list = (page: Parameters<typeof listExperiments>[2]): ReturnType<typeof listExperiments> =>
      app.withTenant(owner.tenantId, (tx) => listExperiments(tx, { projectId: owner.projectId }, page));
    const first = await list({ first: 3 });
    assert.deepEqual([first.hasNextPage, first.hasPreviousPage], [true, false]);
    await submitter.submit(submission(owner, testPlan([{ stage: 0 }])));
    const second = await list({ first: 10, after: first.items.at(-1) });
    assert.deepEqual(
      [...first.items, ...second.items].map((item) => item.id),
      ids,
    );
    assert.deepEqual([second.hasNextPage, second.hasPreviousPage], [false, true]);
    const back = await list({ last: 2, before: second.items.at(0) });
    assert.deepEqual(
      back.items.map((item) => item.id),
      ids.slice(1, 3),
    );
    assert.deepEqual([back.hasNextPage, back.hasPreviousPage], [true, true]);
  });
});

describe("batching", () => {
  it("has as many batches of one key at work as it may", async () => {
    let running = 0;
    let most = 0;
    const work = async (_key: string, items: readonly number[]): Promise<number[]> => {
      running += 1;
      most = Math.max(most, running);
      await new Promise(setImmediate);
      running -= 1;
      return [...items];
    };
    const batcher = new Batcher<number, number>(work, { inFlightMax: 3 });
    const numbers = Array.from({ length: 20 }, (_, n) => n);
    assert.deepEqual(await Promise.all(numbers.map((n) => batcher.add("key", n))), numbers);
    assert.equal(most, 3);
  });

  it("gives each item its own answer, runs one batch at a time and retries a failed batch one by one", async () => {
    let running = 0;
    const sizes: number[] = [];
    const batcher = new Batcher<number, number>(async (_key, items) => {
      running += 1;
      assert.equal(running, 1);
      await new Promise(setImmediate);
      running -= 1;
      sizes.push(items.length);
      if (items.includes(4)) throw new RangeError("four");
      return items.map((item) => item * 10);
    });
    const results = await Promise.allSettled([1, 2, 3, 4, 5].map((n) => batcher.add("key", n)));
    assert.deepEqual(
      results.map((result) => (result.status === "fulfilled" ? result.value : "failed")),
      [10, 20, 30, "failed", 50],
    );
    assert.deepEqual(sizes, [1, 4, 1, 1, 1, 1]);
    assert.equal(await batcher.add("key", 7), 70);
  });
});
