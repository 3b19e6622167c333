import { setTimeout as pause } from "node:timers/promises";
import { sha256 } from "../../src/domain/digest.js";
import { CancelMode, ErrorClass } from "../../src/gen/assay/pod/v1/run.js";
import { makeFiles } from "../support/steady-work.js";
import { answerOf, type StubOutcome, type StubTask } from "../support/stub-pod.js";

/** Steps of a training; a checkpoint is written behind every second one. */
const TRAINING_STEPS = 6;

/** How long the work of the fault suite takes, in milliseconds a step. */
export interface Pace {
  readonly stepMsMin: number;
  readonly stepMsMax: number;
}

/**
 * What pods do in the fault suite: every step of a robustness experiment with the files that later steps read, and a value
 * that is a function of the spec alone. What goes wrong follows from the run and the try, so that it goes wrong the same way
 * wherever it runs: some tries fail, some runs fail always.
 */
export function faultWork(pace: Pace): (task: StubTask) => Promise<StubOutcome> {
  return async (task) => {
    const early = task.spec["step"] === "train" ? await train(task, pace) : await oneStep(task, pace);
    if (early !== null) return early;
    await makeFiles(task);
    return { metrics: { value: answerOf(task.spec) } };
  };
}

async function oneStep(task: StubTask, pace: Pace): Promise<null> {
  task.say({ $case: "progress", value: { stage: "preparing", completed: 0n, total: 1n } });
  await pause(stepMs(task, pace));
  return null;
}

/** How the training ended early; null when it came to its end. */
async function train(task: StubTask, pace: Pace): Promise<StubOutcome | null> {
  const failure = plannedFailure(task);
  let wish: CancelMode | undefined;
  void task.cancelled.then((mode) => {
    wish = mode;
  });
  for (let done = task.resumedFrom ?? 0; done < TRAINING_STEPS; done += 1) {
    const value = { stage: "training", completed: BigInt(done), total: BigInt(TRAINING_STEPS) };
    task.say({ $case: "progress", value });
    await pause(stepMs(task, pace));
    if (wish !== undefined) return wish === CancelMode.CANCEL_MODE_RELEASE ? "RELEASED" : "CANCELLED";
    if (failure !== null && done >= TRAINING_STEPS / 2) return failure;
    if (done % 2 === 1) await task.checkpoint(done + 1);
  }
  return null;
}

/** The same run and try always come to the same number, from 0 to below 1. */
function chanceOf(...parts: readonly (string | number)[]): number {
  return Number.parseInt(sha256(parts.join("/")).slice(0, 8), 16) / 2 ** 32;
}

function stepMs({ runId, epoch }: StubTask, { stepMsMin, stepMsMax }: Pace): number {
  return stepMsMin + (stepMsMax - stepMsMin) * chanceOf("pace", runId, epoch);
}

/** A few trainings fail at every try, and a few tries of the others. Preparing never fails: all of an experiment hangs on it. */
function plannedFailure({ runId, epoch, spec }: StubTask): StubOutcome | null {
  if (spec["step"] !== "train") return null;
  if (chanceOf("cursed", runId) < 0.02) return { errorClass: ErrorClass.ERROR_CLASS_TRANSIENT, code: "CURSED" };
  const chance = chanceOf("try", runId, epoch);
  if (chance < 0.04) return { errorClass: ErrorClass.ERROR_CLASS_TRANSIENT, code: "FLAKY" };
  if (chance < 0.06) return { errorClass: ErrorClass.ERROR_CLASS_OOM, code: "OUT_OF_MEMORY" };
  if (chance < 0.07) return { errorClass: ErrorClass.ERROR_CLASS_UNKNOWN, code: "ODD" };
  return null;
}
