import { demandState, stateConflict } from "../domain/control.js";
import { newId } from "../domain/digest.js";
import { planRetry, retriable, type WaveBase } from "../domain/waves.js";
import { AssayError } from "../errors.js";
import { type LockedExperiment, relock, stateOf } from "./closing.js";
import type { ExperimentKey } from "./events.js";
import { type KeyedRequest, takeKey } from "./idempotency.js";
import type { Transaction } from "./transaction.js";
import { applyWave, idsIn, recordWave, type WaveRequest, waveBase, wavesUnder } from "./waves.js";

/** Which runs of an experiment are tried again. */
export interface RetryWish {
  readonly experimentId: string;
  /** Null for all that failed. */
  readonly runIds: readonly string[] | null;
  /** Whether those are passed over whose input is at fault, which would fail again. */
  readonly onlyRetryable: boolean;
}

/** What was answered to a retry. */
export interface Retried {
  /** The runs that do the work again: the failed ones themselves, or those that took their place. */
  readonly runIds: readonly string[];
  /** Whether the key was seen before; nothing was done then. */
  readonly replayed: boolean;
}

const failedStates = ["FAILED", "DEAD"] as const;

/**
 * Tries failed runs again, with as many tries as a new run has, and does again what had to do without them. An experiment that
 * had ended goes on. Throws STATE_CONFLICT for a run that has not failed and where none has, and IDEMPOTENCY_CONFLICT.
 */
export async function retryRuns(tx: Transaction, request: KeyedRequest, wish: RetryWish): Promise<Retried> {
  const { tenantId, keyId } = request.caller;
  const id = newId();
  const earlier = await takeKey(tx, request, id);
  if (earlier !== null) {
    const [wave] = await wavesUnder(tx, tenantId, earlier);
    return { runIds: idsIn(wave?.body ?? null, "runIds"), replayed: true };
  }
  const experiment = await relock(tx, { tenantId, experimentId: wish.experimentId });
  const state = await stateOf(tx, experiment);
  demandState("RETRY", { ...experiment, state });
  const base = await waveBase(tx, experiment);
  const chosen = chosenRuns(base, wish);
  if (chosen.length === 0) {
    const cause = wish.onlyRetryable ? " for another reason than its input" : "";
    const message = `wanted a run that is ${failedStates.join(" or ")}${cause}, but the experiment has none`;
    throw new AssayError("STATE_CONFLICT", message, { detail: { currentState: state, allowedFrom: failedStates } });
  }
  const runIds = await tryAgain(tx, experiment, {
    base,
    chosen,
    wave: { id, kind: "RETRY", requestedBy: keyId, body: {} },
  });
  return { runIds, replayed: false };
}

function chosenRuns(base: WaveBase, { runIds, onlyRetryable }: RetryWish): string[] {
  if (runIds !== null) demandFailed(base, runIds);
  const named = runIds === null ? null : new Set(runIds);
  return retriable(base.runs, onlyRetryable).flatMap(({ id }) => (named === null || named.has(id) ? [id] : []));
}

function demandFailed({ runs }: WaveBase, runIds: readonly string[]): void {
  const found = new Map(runs.map((run) => [run.id, run]));
  for (const [i, id] of runIds.entries()) {
    const run = found.get(id);
    if (run === undefined) throw new AssayError("INTERNAL", `wanted run ${id} of the experiment, but it is not there`);
    const state = run.supersededBy === null ? run.state : "SUPERSEDED";
    if (failedStates.some((failed) => failed === state)) continue;
    const path = ["input", "runIds", String(i)];
    throw stateConflict({ wanted: "a run to be tried again", path }, state, failedStates);
  }
}

/** Which runs are tried again, and for which wave. */
export interface Again {
  readonly base: WaveBase;
  /** Runs that are FAILED or DEAD and count. */
  readonly chosen: readonly string[];
  readonly wave: WaveRequest;
}

/** Plans and applies the wave that tries these runs of the locked experiment again; gives the runs that do their work. */
export async function tryAgain(tx: Transaction, experiment: LockedExperiment, again: Again): Promise<string[]> {
  const wave = planRetry(again.base, new Set(again.chosen), newId);
  await applyWave(tx, experiment, wave);
  const successors = new Map(wave.copies.map((copy) => [copy.of, copy.id]));
  const runIds = again.chosen.map((id) => successors.get(id) ?? id);
  const key: ExperimentKey = { tenantId: experiment.tenantId, experimentId: experiment.experimentId };
  await recordWave(tx, key, { ...again.wave, body: { ...again.wave.body, runIds } });
  return runIds;
}
