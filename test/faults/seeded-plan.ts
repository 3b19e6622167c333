import { setTimeout as pause } from "node:timers/promises";
import { CancelMode, ErrorClass } from "../../src/gen/assay/pod/v1/run.js";
import type { Random } from "../support/seed.js";
import type { TestRun } from "../support/store.js";
import { answerOf, type StubOutcome, type StubTask } from "../support/stub-pod.js";

/** What a run does on its pod; its spec says so. */
const behaviours = [
  "works",
  "works",
  "works",
  "works",
  "works",
  "fails first",
  "is wrong",
  "dies",
  "needs memory",
] as const;

/** An experiment of three stages whose runs take some steps each. */
export function randomPlan(random: Random, name: string): TestRun[] {
  const run = (stage: number): TestRun => {
    const what = behaviours[random.below(behaviours.length)] ?? "works";
    const spec = { name, what, steps: 1 + random.below(10), stepMs: 5 + random.below(60), every: 1 + random.below(4) };
    return { stage, spec };
  };
  const first = Array.from({ length: 1 + random.below(4) }, () => run(0));
  const inputs = first.map((_, from) => ({ from, artifact: "items.jsonl", required: false }));
  const second = Array.from({ length: 1 + random.below(5) }, (): TestRun => ({ ...run(1), inputs }));
  const last: TestRun = { ...run(2), spec: { name, what: "works", steps: 1, stepMs: 5, every: 1 } };
  return [...first, ...second, last];
}

/** Does what the spec says, step by step, from the last checkpoint on. */
export async function work(task: StubTask): Promise<StubOutcome> {
  const { spec, make, resumedFrom, cancelled, checkpoint, say } = task;
  const asked: CancelMode[] = [];
  void cancelled.then((mode) => asked.push(mode));
  const steps = Number(spec["steps"]);
  for (let step = (resumedFrom ?? 0) + 1; step <= steps; step += 1) {
    await pause(Number(spec["stepMs"]));
    if (asked[0] === CancelMode.CANCEL_MODE_RELEASE) {
      await checkpoint(step - 1);
      return "RELEASED";
    }
    if (asked.length > 0) return "CANCELLED";
    say({ $case: "progress", value: { stage: "training", completed: BigInt(step), total: BigInt(steps) } });
    if (step % Number(spec["every"]) === 0) await checkpoint(step);
  }
  const failure = failureOf(task);
  if (failure !== null) return { errorClass: failure, code: "PLANTED" };
  await make("items.jsonl", "ITEMS", answerOf(spec));
  return { metrics: { value: answerOf(spec), epoch: task.epoch } };
}

function failureOf({ spec, epoch, microBatchDivisor }: StubTask): ErrorClass | null {
  switch (spec["what"]) {
    case "fails first":
      return epoch === 1 ? ErrorClass.ERROR_CLASS_TRANSIENT : null;
    case "is wrong":
      return ErrorClass.ERROR_CLASS_BAD_INPUT;
    case "dies":
      return ErrorClass.ERROR_CLASS_POISON;
    case "needs memory":
      return microBatchDivisor < 2 ? ErrorClass.ERROR_CLASS_OOM : null;
    default:
      return null;
  }
}
