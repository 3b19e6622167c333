import { reasonOf } from "../log.js";
import { type ClaimedRun, claimRuns, inputsOf, type ResolvedInput } from "../store/claims.js";
import { failAttempt } from "../store/endings.js";
import type { AttemptParts } from "./attempt.js";
import type { FreePod } from "./pods.js";

/** Who claims. */
export interface ClaimCall {
  readonly dispatcherId: string;
  readonly ttlMs: number;
}

/** A run to be started, with the files that it reads. */
export interface Assignment extends ClaimedRun {
  readonly inputs: readonly ResolvedInput[];
}

/** Claims as many runs as the pod has free slots. */
export async function claimFor(
  parts: Pick<AttemptParts, "database" | "writer" | "log">,
  { client, podId, freeSlots }: FreePod,
  { dispatcherId, ttlMs }: ClaimCall,
): Promise<Assignment[]> {
  const request = { dispatcherId, podId, podAddress: client.address, ttlMs, limit: freeSlots };
  const claimed = await parts.database.transaction((tx) => claimRuns(tx, request, true));
  const readers = claimed.filter((run) => run.readsFiles);
  const inputs =
    readers.length === 0 ? new Map<string, never>() : await parts.database.transaction((tx) => inputsOf(tx, readers));
  const ready: Assignment[] = [];
  for (const run of claimed) {
    const found = inputs.get(run.runId);
    const missing = found?.missing ?? [];
    if (missing.length === 0) ready.push({ ...run, inputs: found?.inputs ?? [] });
    else
      await failForInputs(parts, run, missing).catch((error: unknown) => {
        // The others of the claim are started all the same; this one's lease runs out.
        parts.log.error("a run could not be failed", { runId: run.runId, reason: reasonOf(error) });
      });
  }
  return ready;
}

/** A stage opens only for runs whose inputs exist, so this says that something was deleted since. */
async function failForInputs(
  parts: Pick<AttemptParts, "writer" | "log">,
  run: ClaimedRun,
  missing: readonly string[],
): Promise<void> {
  const message = `wanted the files of the inputs ${missing.join(", ")}, but no run made them`;
  parts.log.error("inputs of a run are missing", { runId: run.runId, reason: message });
  await parts.writer.write(run, (scope) =>
    failAttempt(scope, run, {
      errorClass: "BAD_INPUT",
      code: "INPUT_MISSING",
      message,
      stage: null,
      used: null,
      events: [],
    }),
  );
}
