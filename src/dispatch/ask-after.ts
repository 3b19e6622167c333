import type { Lease } from "../store/claims.js";
import { type PodClient, PodError } from "./pod.js";

/** Whether a pod still works on an attempt; UNKNOWN when it does not say. */
export type Whereabouts =
  | { readonly kind: "HELD" }
  | { readonly kind: "LOST"; readonly message: string }
  | { readonly kind: "UNKNOWN" };

/** Asks the pod after an attempt whose stream broke with an error. */
export async function askAfter(
  { client, podId }: { readonly client: PodClient; readonly podId: string },
  { runId, epoch }: Lease,
  { error, callMs }: { readonly error: PodError; readonly callMs: number },
): Promise<Whereabouts> {
  if (error.kind === "NOT_HELD") return { kind: "LOST", message: error.message };
  try {
    const said = await client.describe(callMs);
    if (said.podId !== podId) return { kind: "LOST", message: `pod ${podId} is gone; ${said.podId} is in its place` };
    if (said.held.some((run) => run.runId === runId && run.epoch === epoch)) return { kind: "HELD" };
    return { kind: "LOST", message: "the pod does not hold the attempt any more" };
  } catch (failure) {
    if (!(failure instanceof PodError)) throw failure;
    return failure.kind === "GONE" ? { kind: "LOST", message: failure.message } : { kind: "UNKNOWN" };
  }
}
