import { demandState } from "../domain/control.js";
import { type Json, newId } from "../domain/digest.js";
import type { PlannedExperiment } from "../domain/experiment.js";
import { planExtension } from "../domain/waves.js";
import { relock, stateOf } from "./closing.js";
import { type KeyedRequest, takeKey } from "./idempotency.js";
import type { Transaction } from "./transaction.js";
import { applyWave, recordWave, type WaveFacts, waveBase, wavesOf } from "./waves.js";

/** How an experiment is made larger. */
export interface ExtensionWish {
  readonly experimentId: string;
  /** What is kept of the extension. */
  readonly body: { readonly [name: string]: Json };
  /** The whole plan of the larger experiment, given what was added to it before. Throws what is wrong with the wish. */
  readonly plan: (earlier: readonly WaveFacts[]) => PlannedExperiment;
}

/** What was answered to an extension. */
export interface Extended {
  /** Whether the key was seen before; nothing was done then. */
  readonly replayed: boolean;
}

/**
 * Adds runs to an experiment, and a new report over all. What it has already stays as it is; an experiment that had ended goes
 * on. Throws STATE_CONFLICT for one that was cancelled, and IDEMPOTENCY_CONFLICT.
 */
export async function extendExperiment(tx: Transaction, request: KeyedRequest, wish: ExtensionWish): Promise<Extended> {
  const { tenantId, keyId } = request.caller;
  const id = newId();
  if ((await takeKey(tx, request, id)) !== null) return { replayed: true };
  const experiment = await relock(tx, { tenantId, experimentId: wish.experimentId });
  demandState("EXTEND", { ...experiment, state: await stateOf(tx, experiment) });
  const planned = wish.plan(await wavesOf(tx, [wish.experimentId]));
  await applyWave(tx, experiment, planExtension(await waveBase(tx, experiment), planned, newId));
  await recordWave(tx, experiment, { id, kind: "EXTENSION", body: wish.body, requestedBy: keyId });
  return { replayed: false };
}
