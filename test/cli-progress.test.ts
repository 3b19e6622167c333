import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ExperimentEvent, Run } from "../clients/typescript/index.js";
import { duration, nameOf, Progress } from "../src/cli/progress.js";
import { Screen } from "../src/cli/screen.js";

const run = (id: string, step: string, cell: Run["cell"] = null): Run => ({
  id,
  step,
  state: "QUEUED",
  seed: 101,
  cell,
  failure: null,
  reusedFrom: null,
  supersededBy: null,
});
const runs = [
  run("p", "prepare"),
  run("b", "train", { __typename: "RobustnessCell", method: "BASE", task: null, artifact: null, spuriousness: null }),
  run("d", "train", { __typename: "RobustnessCell", method: "DPO", task: null, artifact: null, spuriousness: 0.9 }),
  run("r", "report"),
];

const event = (id: string | null, more: Partial<ExperimentEvent>): ExperimentEvent => ({
  sequence: 1,
  at: "2026-01-01T00:00:00Z",
  kind: "STATE",
  run: id === null ? null : { id },
  message: null,
  state: null,
  experimentState: null,
  progress: null,
  ...more,
});

const step = (id: string, stage: string, completed: number): ExperimentEvent =>
  event(id, { kind: "PROGRESS", progress: { stage, completed, total: 10 } });

describe("the progress of an experiment", () => {
  it("goes from 0 to 1 and never back while runs move on", () => {
    const progress = new Progress(runs);
    const seen = [progress.fraction()];
    const events = [
      step("p", "preparing", 5),
      event("p", { state: "SUCCEEDED" }),
      step("d", "training", 3),
      step("d", "training", 10),
    ];
    events.push(
      step("d", "scoring", 1),
      step("b", "scoring", 9),
      event("b", { state: "SUCCEEDED" }),
      event("d", { state: "FAILED" }),
    );
    events.push(event("r", { state: "SUCCEEDED" }));
    for (const one of events) {
      assert.equal(progress.take(one), true);
      seen.push(progress.fraction());
    }
    assert.deepEqual(
      seen,
      [...seen].sort((a, b) => a - b),
    );
    assert.equal(seen[0], 0);
    assert.equal(seen.at(-1), 1);
  });

  it("takes back what a run had done when it is tried again", () => {
    const progress = new Progress(runs);
    progress.take(step("d", "training", 10));
    assert.ok(progress.fraction() > 0);
    progress.take(event("d", { state: "RETRY_WAIT" }));
    assert.equal(progress.fraction(), 0);
  });

  it("reckons the time left from the pace so far", () => {
    let now = 0;
    const progress = new Progress(runs, () => now);
    assert.equal(progress.secondsLeft(), undefined);
    progress.take(event("p", { state: "SUCCEEDED" }));
    now = 60_000;
    const fraction = progress.fraction();
    assert.equal(progress.secondsLeft(), (60 / fraction) * (1 - fraction));
    assert.match(progress.line(), /^\[#+-+\] +\d+% 1\/4 runs; about .* left;/);
  });

  it("passes over events of runs that it does not know and of no run", () => {
    const progress = new Progress(runs);
    assert.equal(progress.take(event("x", { state: "SUCCEEDED" })), false);
    assert.equal(progress.take(event(null, { kind: "EXPERIMENT", experimentState: "RUNNING" })), false);
  });

  it("names runs and times in words", () => {
    assert.deepEqual(runs.map(nameOf), [
      "prepare, seed 101",
      "BASE, seed 101",
      "DPO at 0.9, seed 101",
      "report, seed 101",
    ]);
    assert.deepEqual([duration(44.6), duration(200)], ["45 s", "3 min 20 s"]);
  });
});

describe("the screen", () => {
  const screenOn = (isTTY: boolean): { written: () => string; screen: Screen; wait: (ms: number) => void } => {
    let text = "";
    let now = 0;
    const write = (chunk: string | Uint8Array): boolean => {
      text += chunk;
      return true;
    };
    const screen = new Screen({ write, isTTY, columns: 40 }, () => now);
    return { written: () => text, screen, wait: (ms) => (now += ms) };
  };

  it("changes one line in a terminal and keeps it below lines that stay", () => {
    const { written, screen } = screenOn(true);
    screen.show("1 %");
    screen.say("hello");
    assert.equal(written(), "\r\u001b[K1 %\r\u001b[Khello\n\r\u001b[K1 %");
  });

  it("writes no control characters elsewhere, and a line only now and then", () => {
    const { written, screen, wait } = screenOn(false);
    screen.show("1 %");
    screen.show("2 %");
    wait(20_000);
    screen.show("3 %");
    screen.clear();
    assert.equal(written(), "1 %\n3 %\n");
  });
});
