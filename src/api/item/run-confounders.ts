import { confoundersOf } from "../../domain/confounders.js";
import type { Json } from "../../domain/digest.js";
import type { Run } from "../../domain/run.js";
import type { Reads } from "../reads.js";
import { fieldOf, numberOf } from "../run/json.js";
import type { ComparedRuns } from "./flips.js";

/** What else differs between the two sides than what is compared: by their specs, the rates that were chosen, and the device. */
export async function confoundersOfRuns({ baseline, candidate }: ComparedRuns, reads: Reads): Promise<string[]> {
  const [mine, theirs] = [baseline[0], candidate[0]];
  if (mine === undefined || theirs === undefined) return [];
  const [ours, others] = await Promise.all([knownOf(mine, reads), knownOf(theirs, reads)]);
  const partial = [...baseline, ...candidate].some((run) => run.partial);
  const early = partial ? ["a run was ended early, and is compared as far as it came"] : [];
  return [...confoundersOf(ours, others), ...early];
}

/** The run's spec, with what became of it. */
async function knownOf(run: Run, reads: Reads): Promise<Json> {
  const spec: Json = JSON.parse(run.spec);
  const [result, { used, saved }] = await Promise.all([reads.result(run.id), reads.usageOfRun(run.id)]);
  const fields = spec !== null && typeof spec === "object" && !Array.isArray(spec) ? spec : {};
  // A rate that was chosen on validation items is not in the spec.
  const chosen = numberOf(fieldOf(result?.metrics, "learningRate"));
  const rate = chosen === null ? {} : { learningRate: chosen };
  const device = (used.GPU_SECONDS ?? 0) + (saved.GPU_SECONDS ?? 0) > 0 ? "GPU" : "CPU";
  return { ...fields, ...rate, device };
}
