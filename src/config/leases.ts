import type { Settings } from "./settings.js";

/** How long leases and runs last. */
export interface LeaseConfig {
  /** `ASSAY_LEASE_TTL_MS`: how long a run's lease lasts without a beat, 1000 to 600000 ms. Default 30000. */
  readonly leaseTtlMs: number;
  /** `ASSAY_BEAT_MS`: how often a pod says that a run is alive; at most a third of the lease. Default 5000. */
  readonly beatIntervalMs: number;
  /** `ASSAY_RUN_LIMIT_MS`: the longest time that a run may take on a pod, 60000 to 2592000000 ms. Default 43200000, 12 hours. */
  readonly runLimitMs: number;
}

/** Reads the times of leases. */
export function readLeases(settings: Settings): LeaseConfig {
  const leaseTtlMs = settings.integer("ASSAY_LEASE_TTL_MS", 30_000, [1_000, 600_000]);
  const beatIntervalMs = settings.integer("ASSAY_BEAT_MS", 5_000, [100, 200_000]);
  if (beatIntervalMs * 3 > leaseTtlMs) {
    settings.fault("ASSAY_BEAT_MS", `at most a third of ASSAY_LEASE_TTL_MS (${leaseTtlMs})`, beatIntervalMs);
  }
  return {
    leaseTtlMs,
    beatIntervalMs,
    runLimitMs: settings.integer("ASSAY_RUN_LIMIT_MS", 43_200_000, [60_000, 2_592_000_000]),
  };
}
