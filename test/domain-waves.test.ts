import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { newId } from "../src/domain/digest.js";
import type { RobustnessRequest } from "../src/domain/robustness.js";
import { planRobustness } from "../src/domain/robustness-plan.js";
import { isTerminal, type PlannedRun, type RunState } from "../src/domain/run.js";
import { planExtension, planRetry, retriable, type Wave, type WaveRun } from "../src/domain/waves.js";
import { planContext, smokeRequest } from "./support/robustness.js";

const context = planContext();

const smallest: RobustnessRequest = {
  ...smokeRequest,
  name: "waves",
  methods: ["SFT"],
  spuriousness: [0.5],
  seeds: [1, 2],
};

type Mutable<T> = { -readonly [P in keyof T]: T[P] };
type ModelRun = Mutable<WaveRun>;

/** An experiment as the store keeps it, in memory: stages open when the runs of the one before have ended. */
class ModelExperiment {
  request = smallest;
  runs: ModelRun[] = [];
  stage = 0;
  stageCount: number;
  ended = false;

  constructor() {
    const planned = planRobustness(this.request, context);
    this.stageCount = planned.stageCount;
    this.runs = planned.runs.map((run) => modelRun(run, run.stage === 0 ? "QUEUED" : "WAITING"));
  }

  counting(): ModelRun[] {
    return this.runs.filter((run) => run.supersededBy === null);
  }

  /** Ends one of the runs that may be worked on, if there is one. */
  end(pick: number, state: "SUCCEEDED" | "FAILED" | "DEAD"): void {
    const queue = this.runs.filter((run) => run.state === "QUEUED");
    const run = queue[pick % Math.max(queue.length, 1)];
    if (run === undefined) return;
    run.state = state;
    run.errorClass = state === "FAILED" ? "BAD_INPUT" : state === "DEAD" ? "POISON" : null;
    this.closeStages();
  }

  /** Tries failed runs again: those that the mask names, or all where it names none. */
  retry(mask: number): void {
    const failed = retriable(this.runs, false);
    const named = failed.filter((_, i) => ((mask >> (i % 16)) & 1) === 1);
    const chosen = new Set((named.length > 0 ? named : failed).map((run) => run.id));
    if (chosen.size > 0) this.apply(planRetry(this, chosen, newId));
  }

  extend(add: Pick<RobustnessRequest, "seeds" | "spuriousness">): void {
    const { seeds, spuriousness } = this.request;
    this.request = {
      ...this.request,
      seeds: [...new Set([...seeds, ...add.seeds])],
      spuriousness: [...new Set([...spuriousness, ...add.spuriousness])],
    };
    this.apply(planExtension(this, planRobustness(this.request, context), newId));
  }

  private apply(wave: Wave): void {
    for (const run of wave.added) this.runs.push(modelRun(run, run.stage === wave.stage ? "QUEUED" : "WAITING"));
    for (const { of, ...copy } of wave.copies) {
      const original = this.runs.find((run) => run.id === of);
      assert.ok(original !== undefined);
      this.runs.push({ ...original, ...copy, state: "WAITING", errorClass: null, supersededBy: null });
    }
    for (const run of this.runs) {
      const by = wave.superseded.find(({ id }) => id === run.id)?.by;
      if (by !== undefined)
        Object.assign(run, { supersededBy: by, state: isTerminal(run.state) ? run.state : "CANCELLED" });
      if (wave.requeued.includes(run.id)) Object.assign(run, { state: "QUEUED", stage: wave.stage, errorClass: null });
    }
    this.stage = wave.stage;
    this.stageCount = wave.stageCount;
    this.ended = false;
    this.closeStages();
  }

  private closeStages(): void {
    while (!this.runs.some((run) => run.stage === this.stage && !isTerminal(run.state))) {
      if (this.stage + 1 >= this.stageCount) {
        this.ended = true;
        return;
      }
      this.stage += 1;
      for (const run of this.runs.filter(({ stage, state }) => stage === this.stage && state === "WAITING")) {
        run.state = this.isReady(run) ? "QUEUED" : "CANCELLED";
      }
    }
  }

  private isReady({ inputs }: ModelRun): boolean {
    const there = inputs.map(
      (input) => input.from.kind === "ARTIFACT" || this.byId(input.from.runId).state === "SUCCEEDED",
    );
    return (
      inputs.every((input, i) => !input.required || there[i] === true) && (inputs.length === 0 || there.includes(true))
    );
  }

  byId(id: string): ModelRun {
    const run = this.runs.find((candidate) => candidate.id === id);
    assert.ok(run !== undefined, "an input names no run of the experiment");
    return run;
  }
}

function modelRun({ id, position, stage, inputs, digest }: PlannedRun, state: RunState): ModelRun {
  return { id, position, stage, inputs, digest, state, errorClass: null, supersededBy: null };
}

/** What must hold of an experiment at every moment. */
function check(experiment: ModelExperiment): void {
  const { runs, stage, stageCount } = experiment;
  assert.equal(new Set(runs.map((run) => run.position)).size, runs.length, "two runs stand at one position");
  const counting = experiment.counting();
  assert.equal(new Set(counting.map((run) => run.digest)).size, counting.length, "one work counts twice");
  const planned = planRobustness(experiment.request, context).runs.map((run) => run.digest);
  assert.deepEqual(counting.map((run) => run.digest).sort(), planned.sort(), "the grid is not what was asked for");
  for (const run of counting) {
    assert.ok(run.stage < stageCount);
    if (run.state === "QUEUED") assert.equal(run.stage, stage, "a run is in the queue whose stage is not open");
    if (run.state === "WAITING") assert.ok(run.stage > stage, "a run waits for a stage that is over");
    for (const { from } of run.inputs) {
      if (from.kind !== "RUN") continue;
      const maker = experiment.byId(from.runId);
      assert.equal(maker.supersededBy, null, "a run that counts reads from one that does not");
      if (!isTerminal(maker.state))
        assert.ok(run.state === "WAITING" && maker.stage < run.stage, "a run does not wait for its input");
    }
  }
  const superseded = runs.filter((run) => run.supersededBy !== null && run.state === "SUCCEEDED");
  assert.ok(
    superseded.every((run) => run.inputs.length > 2),
    "something other than a report was done again",
  );
}

const act = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.tuple(fc.constant("end" as const), fc.nat(9), fc.constantFrom("SUCCEEDED", "FAILED", "DEAD")),
  },
  { weight: 2, arbitrary: fc.tuple(fc.constant("retry" as const), fc.nat(65_535)) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constant("extend" as const), fc.integer({ min: 1, max: 4 }), fc.constantFrom(0.1, 0.9)),
  },
);

test("whatever fails, is retried and is added, in any order, the experiment has each run of its grid once and can be completed", () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 40 }), (acts) => {
      const experiment = new ModelExperiment();
      for (const done of acts) {
        if (done[0] === "end") experiment.end(done[1], done[2]);
        else if (done[0] === "retry") experiment.retry(done[1]);
        else experiment.extend({ seeds: [done[1]], spuriousness: [done[2]] });
        check(experiment);
      }
      const works = experiment.runs.length;
      for (let rounds = 0; !experiment.ended || retriable(experiment.runs, false).length > 0; rounds += 1) {
        assert.ok(rounds < 20 * works, "the experiment comes to no end");
        if (experiment.ended) experiment.retry(0);
        else experiment.end(0, "SUCCEEDED");
        check(experiment);
      }
      const counting = experiment.counting();
      assert.ok(counting.every((run) => run.state === "SUCCEEDED"));
      const report = counting.filter((run) => run.stage === experiment.stageCount - 1).at(-1);
      assert.ok((report?.inputs.length ?? 0) > 2, "the last stage is not the report's");
    }),
    { numRuns: 200 },
  );
});

test("a retry of all that failed takes up every failed run, those whose input is at fault only when it is asked to", () => {
  const experiment = new ModelExperiment();
  experiment.end(0, "SUCCEEDED");
  experiment.end(0, "SUCCEEDED");
  experiment.end(0, "FAILED");
  experiment.end(0, "DEAD");
  assert.deepEqual([retriable(experiment.runs, false).length, retriable(experiment.runs, true).length], [2, 1]);
});
