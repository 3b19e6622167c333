import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { experimentState } from "../src/domain/experiment.js";
import { afterFailure, errorClasses, isTerminal, runStates, transitions } from "../src/domain/run.js";

test("succeeded and cancelled runs are never left, failed and dead ones only to the queue", () => {
  assert.deepEqual(transitions.SUCCEEDED, []);
  assert.deepEqual(transitions.CANCELLED, []);
  assert.deepEqual(transitions.FAILED, ["QUEUED"]);
  assert.deepEqual(transitions.DEAD, ["QUEUED"]);
});

test("from every state an end can be reached, and every state can be reached from WAITING", () => {
  const reach = (start: (typeof runStates)[number]): Set<string> => {
    const seen = new Set<string>([start]);
    const todo = [start];
    for (let state = todo.pop(); state !== undefined; state = todo.pop()) {
      for (const next of transitions[state]) {
        if (!seen.has(next)) {
          seen.add(next);
          todo.push(next);
        }
      }
    }
    return seen;
  };
  for (const state of runStates)
    assert.ok(
      [...reach(state)].some((s) => runStates.some((r) => r === s && isTerminal(r))),
      state,
    );
  assert.deepEqual([...reach("WAITING")].sort(), [...runStates].sort());
});

test("a failure always leads to a state that RUNNING may go to, and tries end", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...errorClasses, "LOST" as const),
      fc.record({
        attempt: fc.nat(30),
        maxAttempts: fc.integer({ min: 1, max: 10 }),
        disruptions: fc.nat(40),
        fruitless: fc.nat(5),
        microBatchDivisor: fc.constantFrom(1, 2, 4),
      }),
      (errorClass, run) => {
        const verdict = afterFailure(errorClass, run);
        assert.ok(transitions.RUNNING.includes(verdict.state));
        assert.ok(verdict.backoffSecondsMax >= 0 && verdict.backoffSecondsMax <= 300);
        if (errorClass === "BAD_INPUT") assert.equal(verdict.state, "FAILED");
        if (errorClass === "LOST" && run.disruptions >= 20) assert.equal(verdict.state, "DEAD");
        if (["TRANSIENT", "OOM", "POISON", "UNKNOWN"].includes(errorClass) && run.attempt >= run.maxAttempts) {
          assert.equal(verdict.state, errorClass === "OOM" && run.microBatchDivisor === 4 ? "FAILED" : "DEAD");
        }
        if (errorClass !== "OOM") assert.equal(verdict.microBatchDivisor, run.microBatchDivisor);
      },
    ),
  );
});

test("a run that is out of memory is tried with half and with a quarter of its micro-batch, and then has failed", () => {
  const run = { attempt: 1, maxAttempts: 5, disruptions: 0, fruitless: 0 };
  const divisors = [1, 2, 4].map((microBatchDivisor) => afterFailure("OOM", { ...run, microBatchDivisor }));
  assert.deepEqual(
    divisors.map(({ state, microBatchDivisor }) => [state, microBatchDivisor]),
    [
      ["RETRY_WAIT", 2],
      ["RETRY_WAIT", 4],
      ["FAILED", 4],
    ],
  );
});

test("a run that takes three pods or processes with it and moves nothing is dead, however many tries it has left", () => {
  const run = { attempt: 1, maxAttempts: 10, disruptions: 1, microBatchDivisor: 1 };
  for (const errorClass of ["LOST", "POISON"] as const) {
    assert.equal(afterFailure(errorClass, { ...run, fruitless: 2 }).state, "RETRY_WAIT");
    assert.equal(afterFailure(errorClass, { ...run, fruitless: 3 }).state, "DEAD");
  }
});

test("an experiment's state follows from its runs", () => {
  const live = { cancelRequestedAt: null, pausedAt: null, totalRuns: 3 };
  const paused = { ...live, pausedAt: new Date(0) };
  const cancelled = { ...paused, cancelRequestedAt: new Date(0) };
  assert.equal(experimentState(live, { QUEUED: 1, WAITING: 2 }, { reported: false, partial: false }), "QUEUED");
  assert.equal(
    experimentState(live, { SUCCEEDED: 1, QUEUED: 1, WAITING: 1 }, { reported: false, partial: false }),
    "RUNNING",
  );
  assert.equal(experimentState(live, { RUNNING: 1, WAITING: 2 }, { reported: false, partial: false }), "RUNNING");
  assert.equal(experimentState(paused, { PAUSED: 2, WAITING: 1 }, { reported: false, partial: false }), "PAUSED");
  assert.equal(experimentState(paused, { SUCCEEDED: 1, PAUSED: 2 }, { reported: false, partial: false }), "PAUSED");
  assert.equal(
    experimentState(paused, { RUNNING: 1, PAUSED: 1, WAITING: 1 }, { reported: false, partial: false }),
    "RUNNING",
  );
  assert.equal(
    experimentState(cancelled, { CANCELLING: 1, CANCELLED: 2 }, { reported: false, partial: false }),
    "CANCELLING",
  );
  assert.equal(experimentState(live, { SUCCEEDED: 3 }, { reported: true, partial: false }), "SUCCEEDED");
  assert.equal(experimentState(live, { SUCCEEDED: 2, FAILED: 1 }, { reported: true, partial: false }), "PARTIAL");
  assert.equal(experimentState(live, { FAILED: 1, CANCELLED: 2 }, { reported: false, partial: false }), "FAILED");
  assert.equal(experimentState(live, { SUCCEEDED: 3 }, { reported: true, partial: true }), "PARTIAL");
  assert.equal(experimentState(cancelled, { CANCELLED: 3 }, { reported: false, partial: false }), "CANCELLED");
});
