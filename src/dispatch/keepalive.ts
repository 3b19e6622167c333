import { reasonOf } from "../log.js";
import type { Lease } from "../store/claims.js";
import { renewLease } from "../store/leases.js";
import type { AttemptParts } from "./attempt.js";
import type { PodClient } from "./pod.js";

/** Renews a lease at every beat of its pod: first in the database, then at the pod. */
export class Keepalive {
  private beat: bigint | undefined;
  private busy = false;
  private readonly since: number;
  private until: number;

  constructor(
    private readonly parts: Pick<AttemptParts, "dispatcherId" | "database" | "log" | "times">,
    private readonly lease: Lease,
    private readonly attempt: { readonly client: PodClient; readonly over: AbortController; readonly isNew: boolean },
  ) {
    this.since = performance.now();
    this.until = this.since + parts.times.ttlMs;
  }

  /** The pod beat. Only the newest beat that waits is renewed. */
  heard(beat: bigint): void {
    this.beat = beat;
    if (!this.busy) void this.renewAll();
  }

  /** Whether the lease must have run out, as far as is known here. */
  ranOut(): boolean {
    return performance.now() > this.until;
  }

  private async renewAll(): Promise<void> {
    this.busy = true;
    while (this.beat !== undefined && !this.attempt.over.signal.aborted) {
      const { beat } = this;
      this.beat = undefined;
      try {
        await this.renew(beat);
      } catch (error) {
        // The next beat tries again; if none gets through, the pod stops itself and the lease runs out.
        const { runId, epoch } = this.lease;
        this.parts.log.warn("lease was not renewed", { runId, epoch, reason: reasonOf(error) });
      }
    }
    this.busy = false;
  }

  /**
   * The claim was committed a moment ago and gave the lease its whole time, so the first beat needs no renewal. The pod
   * counts 0.7 of that time from the beat: an answer within a tenth of it leaves no doubt.
   */
  private isFresh(beat: bigint, now: number): boolean {
    return this.attempt.isNew && beat === 1n && now - this.since < this.parts.times.ttlMs / 10;
  }

  private async renew(beat: bigint): Promise<void> {
    const { database, dispatcherId, log, times } = this.parts;
    const { runId, epoch } = this.lease;
    const sent = performance.now();
    if (this.isFresh(beat, sent)) {
      return this.attempt.client.renew(this.lease, beat, { stop: null, deadlineMs: times.callMs });
    }
    const owner = { id: dispatcherId, ttlMs: times.ttlMs };
    const renewal = await database.transaction((tx) => renewLease(tx, this.lease, owner));
    if (this.attempt.over.signal.aborted) return;
    switch (renewal.kind) {
      case "RENEWED":
        this.until = sent + times.ttlMs;
        return this.attempt.client.renew(this.lease, beat, { stop: renewal.stop, deadlineMs: times.callMs });
      case "ADOPTED":
        log.warn("another dispatcher adopted the run", { runId, epoch });
        this.attempt.over.abort();
        return;
      case "FENCED":
        log.warn("lease is lost; the pod is told to stop", { runId, epoch });
        this.attempt.over.abort();
        return this.attempt.client.cancel(this.lease, "FENCED", times.callMs);
      default:
        return renewal satisfies never;
    }
  }
}
