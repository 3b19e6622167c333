import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { afterFailure, errorClasses, isTerminal, type RunState, transitions } from "../src/domain/run.js";

/** A run as its row holds it, moved by the domain's own rules alone. */
interface Row {
  state: RunState;
  epoch: number;
  attempt: number;
  disruptions: number;
  microBatchDivisor: number;
  fruitless: number;
  results: number[];
  /** Every epoch with how it ended. */
  readonly attempts: Map<number, string>;
}

const MAX_ATTEMPTS = 3;
const live: readonly RunState[] = ["LEASED", "RUNNING", "CANCELLING"];

type Said =
  /** What a writer says for the epoch that lies so far behind the current one. */
  | { readonly kind: "COMPLETE"; readonly behind: number }
  | { readonly kind: "STOPPED"; readonly behind: number }
  | { readonly kind: "FAIL"; readonly behind: number; readonly why: (typeof errorClasses)[number] | "LOST" };
type Command =
  | Said
  | { readonly kind: "OPEN" | "CLAIM" | "START" | "CANCEL" | "PAUSE" | "RESUME" | "RETRY" | "RELEASE" };

/** Does what the store does: false when the row refuses it. */
function apply(row: Row, command: Command): boolean {
  switch (command.kind) {
    case "OPEN":
      return row.state === "WAITING" && go(row, "QUEUED");
    case "CLAIM":
      return claim(row);
    case "START":
      return row.state === "LEASED" && go(row, "RUNNING");
    case "CANCEL":
      return (
        !isTerminal(row.state) &&
        row.state !== "CANCELLING" &&
        go(row, live.includes(row.state) ? "CANCELLING" : "CANCELLED")
      );
    case "PAUSE":
      return (row.state === "QUEUED" || row.state === "RETRY_WAIT") && go(row, "PAUSED");
    case "RESUME":
      return row.state === "PAUSED" && go(row, "QUEUED");
    case "RELEASE":
      return (
        (row.state === "LEASED" || row.state === "RUNNING") &&
        end(row, { outcome: "RELEASED", to: "QUEUED", free: true })
      );
    case "RETRY":
      return retry(row);
    case "COMPLETE":
    case "STOPPED":
    case "FAIL":
      return command.behind === 0 && live.includes(row.state) && hear(row, command);
    default:
      return command satisfies never;
  }
}

function claim(row: Row): boolean {
  if (row.state !== "QUEUED" && row.state !== "RETRY_WAIT") return false;
  row.epoch += 1;
  row.attempt += 1;
  row.attempts.set(row.epoch, "open");
  return go(row, "LEASED");
}

function hear(row: Row, command: Said): boolean {
  const cancelling = row.state === "CANCELLING";
  if (cancelling) return end(row, { outcome: "CANCELLED", to: "CANCELLED", free: false });
  if (command.kind === "COMPLETE") {
    row.results.push(row.epoch);
    return end(row, { outcome: "SUCCEEDED", to: "SUCCEEDED", free: false });
  }
  const why = command.kind === "STOPPED" ? "LOST" : command.why;
  if (why === "LOST") row.disruptions += 1;
  row.fruitless += why === "LOST" || why === "POISON" ? 1 : 0;
  const verdict = afterFailure(why, {
    ...row,
    maxAttempts: MAX_ATTEMPTS,
    disruptions: row.disruptions - (why === "LOST" ? 1 : 0),
  });
  row.microBatchDivisor = verdict.microBatchDivisor;
  return end(row, { outcome: why, to: verdict.state, free: why === "LOST" || why === "OVERLOAD" });
}

function end(row: Row, { outcome, to, free }: { outcome: string; to: RunState; free: boolean }): boolean {
  row.attempts.set(row.epoch, outcome);
  if (free) row.attempt -= 1;
  return go(row, to);
}

function retry(row: Row): boolean {
  if (row.state !== "FAILED" && row.state !== "DEAD") return false;
  Object.assign(row, { attempt: 0, disruptions: 0, fruitless: 0, microBatchDivisor: 1 });
  return go(row, "QUEUED");
}

function go(row: Row, to: RunState): boolean {
  assert.ok(transitions[row.state].includes(to), `${row.state} to ${to}`);
  row.state = to;
  return true;
}

/** What must hold of a run after every step, said without the rules that moved it. */
function assertSound(row: Row, before: Row): void {
  const open = [...row.attempts.values()].filter((outcome) => outcome === "open").length;
  assert.equal(open, live.includes(row.state) ? 1 : 0);
  assert.deepEqual(
    [...row.attempts.keys()],
    Array.from({ length: row.epoch }, (_, i) => i + 1),
  );
  assert.equal(row.results.length, row.state === "SUCCEEDED" ? 1 : 0);
  if (row.state === "SUCCEEDED") assert.deepEqual(row.results, [row.epoch]);
  assert.ok(row.epoch === before.epoch || row.epoch === before.epoch + 1);
  assert.ok(row.attempt >= 0 && row.attempt <= MAX_ATTEMPTS);
  assert.ok(row.disruptions <= 21);
  if (before.state === "SUCCEEDED" || before.state === "CANCELLED") assert.equal(row.state, before.state);
}

const behind = fc.constantFrom(0, 0, 0, 1, 2);
const simple = [
  "OPEN",
  "CLAIM",
  "CLAIM",
  "CLAIM",
  "START",
  "START",
  "CANCEL",
  "PAUSE",
  "RESUME",
  "RETRY",
  "RELEASE",
] as const;
const commands: fc.Arbitrary<readonly Command[]> = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...simple).map((kind): Command => ({ kind })) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("COMPLETE" as const), behind }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("STOPPED" as const), behind }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant("FAIL" as const),
        behind,
        why: fc.constantFrom(...errorClasses, "LOST" as const),
      }),
    },
  ),
  { maxLength: 24 },
);

test("whatever 100,000 sequences of claims, failures, zombies and wishes do, a run keeps its invariants", () => {
  const seen = new Map<RunState, number>();
  const copy = (row: Row): Row => ({ ...row, results: [...row.results], attempts: new Map(row.attempts) });
  let refused = 0;
  fc.assert(
    fc.property(commands, (sequence) => {
      const row: Row = {
        ...{ state: "WAITING", epoch: 0, attempt: 0, disruptions: 0, microBatchDivisor: 1, fruitless: 0 },
        ...{ results: [], attempts: new Map<number, string>() },
      };
      apply(row, { kind: "OPEN" });
      for (const command of sequence) {
        const before = copy(row);
        if (!apply(row, command)) {
          refused += 1;
          assert.deepEqual(row, before);
        }
        assertSound(row, before);
      }
      seen.set(row.state, (seen.get(row.state) ?? 0) + 1);
    }),
    { numRuns: 100_000 },
  );
  for (const state of [
    "QUEUED",
    "LEASED",
    "RUNNING",
    "RETRY_WAIT",
    "PAUSED",
    "CANCELLING",
    "SUCCEEDED",
    "FAILED",
    "CANCELLED",
    "DEAD",
  ] as const)
    assert.ok((seen.get(state) ?? 0) > 0, `no sequence ended in ${state}`);
  assert.ok(refused > 0);
});
