import { existsSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { CancelMode } from "../../src/gen/assay/pod/v1/run.js";
import { answerOf, type StubOutcome, type StubTask } from "./stub-pod.js";

/** How long the work takes. */
export interface SteadyPace {
  /** Steps of a run. Default 4. */
  readonly steps?: number;
  /** Milliseconds of a step. Default 50. */
  readonly stepMs?: number;
  /** A file without which no run ends. Default: none is waited for. */
  readonly gate?: string;
}

/**
 * Work for stub pods that always succeeds: some steps with a checkpoint behind each, from which another attempt goes on, then
 * the files that later steps of an experiment read, and a value that is a function of the spec alone.
 */
export function steadyWork({ steps = 4, stepMs = 50, gate }: SteadyPace): (task: StubTask) => Promise<StubOutcome> {
  return async (task) => {
    let stop: CancelMode | undefined;
    void task.cancelled.then((mode) => {
      stop = mode;
    });
    const isShut = (): boolean => gate !== undefined && !existsSync(gate);
    for (let done = task.resumedFrom ?? 0; done < steps || isShut(); done += 1) {
      if (stop === CancelMode.CANCEL_MODE_RELEASE) return "RELEASED";
      if (stop !== undefined) return "CANCELLED";
      task.say({ $case: "progress", value: { stage: "training", completed: BigInt(done), total: BigInt(steps) } });
      await pause(stepMs);
      await task.checkpoint(done + 1);
    }
    await makeFiles(task);
    return { metrics: { value: answerOf(task.spec) } };
  };
}

/** The files of a step of a robustness experiment that later steps read. */
export async function makeFiles({ make, spec }: StubTask): Promise<void> {
  const text = JSON.stringify({ of: answerOf(spec) });
  switch (spec["step"]) {
    case "prepare":
      await make("records.jsonl", "DATASET", `${text}\n`);
      await make("trunk.safetensors", "CACHE", text);
      return;
    case "train":
      await make("items.jsonl", "ITEMS", `${text}\n`);
      return;
    case "report":
      await make("report.json", "REPORT_JSON", text);
      await make("report.txt", "REPORT_TEXT", text);
  }
}
