import assert from "node:assert/strict";
import { beforeEach, describe, it, mock } from "node:test";
import pg from "pg";
import { newId } from "../src/domain/digest.js";
import { type Holder, idOf, testApi } from "./support/api.js";
import { Delivery } from "./support/delivery.js";
import { data, specFor, submit } from "./support/requests.js";

const test = await testApi();
const { databases, newHolder } = test;
const delivery = new Delivery(databases);

const QUEUE = `query ($id: ID!) { experiment(id: $id) { runs(first: 100) { edges { node {
  id step state stateReason queuePosition earliestStart
} } } } }`;

interface QueuedRun {
  readonly id: string;
  readonly step: string;
  readonly state: string;
  readonly stateReason: string | null;
  readonly queuePosition: number | null;
  readonly earliestStart: string | null;
}

/** Submits two data sets, their trainings and a report, and gives the experiment's id. */
async function submitted(holder: Holder, options: object = {}): Promise<string> {
  const spec = { ...(await specFor(test, holder)), seeds: [1, 2], options: { reuse: "NEVER", ...options } };
  const { experiment, errors } = await submit(test, holder, { spec, idempotencyKey: newId() });
  assert.deepEqual(errors, []);
  return experiment.id;
}

async function runsOf(holder: Holder, experimentId: string): Promise<QueuedRun[]> {
  const { edges } = (await data(test, holder, QUEUE, { id: experimentId })).experiment.runs;
  return edges.map(({ node }: { node: QueuedRun }) => node);
}

beforeEach(() => delivery.drain());

describe("a run in the queue", () => {
  it("has its place among its tenant's runs, by priority and age, and says why it waits", async () => {
    const holder = await newHolder();
    const usual = await submitted(holder);
    const urgent = await submitted(holder, { priority: 5 });
    await submitted(await newHolder());
    const places = async (id: string): Promise<(number | null)[]> =>
      (await runsOf(holder, id)).filter((run) => run.step === "prepare").map((run) => run.queuePosition);
    assert.deepEqual(await places(urgent), [1, 2]);
    assert.deepEqual(await places(usual), [3, 4]);
    const runs = await runsOf(holder, usual);
    for (const run of runs) {
      const isQueued = run.step === "prepare";
      assert.equal(run.stateReason, isQueued ? "WAITING_FOR_CAPACITY" : "WAITING_FOR_DEPENDENCY");
      if (!isQueued) assert.equal(run.queuePosition, null);
      assert.equal(run.earliestStart, null);
    }
  });

  it("that waits for its tenant's quota says so", async () => {
    const holder = await newHolder();
    const id = await submitted(holder);
    const why = async (): Promise<string | null | undefined> => (await runsOf(holder, id))[0]?.stateReason;
    await delivery.quota(holder.caller, { running_max: 0 });
    assert.equal(await why(), "WAITING_FOR_QUOTA");
    await delivery.quota(holder.caller, { compute_seconds_per_day: 0 });
    assert.equal(await why(), "WAITING_FOR_QUOTA");
    await delivery.quota(holder.caller, {});
    assert.equal(await why(), "WAITING_FOR_CAPACITY");
  });

  it("says that other tenants are served before, once its own has had more", async () => {
    const [greedy, other] = [await newHolder(), await newHolder()];
    await submitted(greedy);
    const claimed = await delivery.claim(2);
    const id = await submitted(greedy);
    await submitted(other);
    claimed.push(...(await delivery.claim()));
    assert.equal(claimed.at(-1)?.tenantId, other.caller.tenantId);
    assert.equal((await runsOf(greedy, id))[0]?.stateReason, "WAITING_FOR_FAIR_SHARE");
    for (const run of claimed) await delivery.complete(run);
  });

  it("after a failed attempt says when it may start at the earliest, and has no place before", async () => {
    const holder = await newHolder();
    const id = await submitted(holder);
    const [run] = await delivery.claim();
    assert.ok(run);
    await delivery.fail(run, "TRANSIENT");
    const later = "update run set not_before = '2100-01-01T00:00:00Z' where id = $1";
    await delivery.asOwner(holder.caller, later, [run.runId]);
    const seen = (await runsOf(holder, id)).find((one) => one.id === idOf("Run", run.runId));
    assert.deepEqual(seen, {
      id: idOf("Run", run.runId),
      step: "prepare",
      state: "RETRY_WAIT",
      stateReason: "RETRYING",
      queuePosition: null,
      earliestStart: "2100-01-01T00:00:00.000Z",
    });
    await delivery.asOwner(holder.caller, "update run set not_before = now() where id = $1", [run.runId]);
  });

  it("is looked up together with the others of its page", async () => {
    const holder = await newHolder();
    const id = await submitted(holder);
    const counted = mock.method(pg.Client.prototype, "query");
    const runs = await runsOf(holder, id);
    const statements = counted.mock.calls.filter(({ arguments: [sent] }) => {
      const named: unknown = sent;
      return (
        typeof named === "object" && named !== null && "name" in named && /^(queue|standing)-/.test(String(named.name))
      );
    });
    counted.mock.restore();
    assert.ok(runs.length > 5);
    assert.equal(statements.length, 2);
  });
});

describe("a project's quota", () => {
  const QUOTA = `query ($id: ID!) { project(id: $id) { quota {
    fairShareWeight queuedRuns { limit used } concurrentRuns { limit used } computeSeconds { limit used reserved resetsAt } submitsPerMinute
  } } }`;

  it("tells what its tenant may have and has", async () => {
    const holder = await newHolder();
    const project = { id: idOf("Project", holder.caller.projectId) };
    const fresh = (await data(test, holder, QUOTA, project)).project.quota;
    const resetsAt = new Date(fresh.computeSeconds.resetsAt);
    assert.deepEqual([resetsAt.getUTCHours(), resetsAt.getUTCMinutes(), resetsAt > new Date()], [0, 0, true]);
    assert.deepEqual(fresh, {
      fairShareWeight: 1,
      queuedRuns: { limit: 1_000, used: 0 },
      concurrentRuns: { limit: null, used: 0 },
      computeSeconds: { limit: null, used: 0, reserved: 0, resetsAt: fresh.computeSeconds.resetsAt },
      submitsPerMinute: null,
    });
    await delivery.quota(holder.caller, {
      weight: 2.5,
      queued_max: 50,
      running_max: 4,
      submits_per_minute: 100,
      compute_seconds_per_day: 3_600,
    });
    const id = await submitted(holder);
    const [ended, working] = await delivery.claim(2);
    assert.ok(ended && working);
    await delivery.complete(ended, 7);
    const { computeSeconds, ...quota } = (await data(test, holder, QUOTA, project)).project.quota;
    assert.deepEqual(quota, {
      fairShareWeight: 2.5,
      queuedRuns: { limit: 50, used: (await runsOf(holder, id)).length - 2 },
      concurrentRuns: { limit: 4, used: 1 },
      submitsPerMinute: 100,
    });
    assert.deepEqual([computeSeconds.limit, computeSeconds.used, computeSeconds.reserved], [3_600, 7, 1]);
    await delivery.complete(working);
  });

  it("refuses a submission that has no room, with the figures and when to ask again, and one that never has", async () => {
    const holder = await newHolder();
    const total = 19;
    await delivery.quota(holder.caller, { queued_max: total + 1 });
    assert.equal((await runsOf(holder, await submitted(holder))).length, total);
    const spec = { ...(await specFor(test, holder)), seeds: [1, 2] };
    const idempotencyKey = newId();
    const refused = await submit(test, holder, { spec, idempotencyKey });
    assert.equal(refused.experiment, null);
    const [error] = refused.errors;
    assert.deepEqual([error.__typename, error.code], ["QueueFullError", "QUEUE_FULL"]);
    assert.deepEqual([error.limit, error.used, error.requested, error.retryAfterSeconds], [total + 1, total, total, 5]);
    await delivery.quota(holder.caller, { queued_max: total - 1 });
    const [never] = (await submit(test, holder, { spec, idempotencyKey })).errors;
    assert.deepEqual([never.__typename, never.limit, never.requested], ["QuotaExceededError", total - 1, total]);
    await delivery.quota(holder.caller, { queued_max: 2 * total });
    assert.equal((await submit(test, holder, { spec, idempotencyKey })).replayed, false);
  });
});
