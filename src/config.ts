import { resolve } from "node:path";
import { AssayError } from "./errors.js";

/** Everything that can be set from outside, read once. */
export interface Config {
  /** `ASSAY_HOST`: address to listen on. Default 127.0.0.1; anything else is reachable from other machines. */
  readonly host: string;
  /** `ASSAY_PORT`: HTTP port, 0 for any free one. Default 4000. */
  readonly port: number;
  /** `ASSAY_DATA_DIR`: folder of the database, artifacts, key and secrets. Default `.assay`. */
  readonly dataDir: string;
  /** `ASSAY_MODEL_CACHE`: folder of converted models, shared by data folders. Default `.cache/models`. */
  readonly modelCache: string;
  /** `ASSAY_POD_SLOTS`: runs that the local pod works on at once, 1 to 64. Default 2. */
  readonly podSlots: number;
  /** `ASSAY_LEASE_TTL_MS`: how long a run's lease lasts without a beat, 1000 to 600000 ms. Default 30000. */
  readonly leaseTtlMs: number;
  /** `ASSAY_BEAT_MS`: how often a pod says that a run is alive; at most a third of the lease. Default 5000. */
  readonly beatIntervalMs: number;
  /** `ASSAY_RUN_LIMIT_MS`: the longest time that a run may take on a pod, 60000 to 2592000000 ms. Default 43200000, 12 hours. */
  readonly runLimitMs: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads the configuration. All faults are told together, in one CONFIG_INVALID. */
export function readConfig(env: Environment): Config {
  const faults: string[] = [];
  const integer = (name: string, fallback: number, [min, max]: readonly [number, number]): number => {
    const text = env[name];
    if (text === undefined || text === "") return fallback;
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    faults.push(`${name}: wanted an integer from ${min} to ${max}, but got ${JSON.stringify(text)}`);
    return fallback;
  };
  const text = (name: string, fallback: string): string => {
    const value = env[name];
    return value === undefined || value === "" ? fallback : value;
  };
  const config: Config = {
    host: text("ASSAY_HOST", "127.0.0.1"),
    port: integer("ASSAY_PORT", 4000, [0, 65_535]),
    dataDir: resolve(text("ASSAY_DATA_DIR", ".assay")),
    modelCache: resolve(text("ASSAY_MODEL_CACHE", ".cache/models")),
    podSlots: integer("ASSAY_POD_SLOTS", 2, [1, 64]),
    leaseTtlMs: integer("ASSAY_LEASE_TTL_MS", 30_000, [1_000, 600_000]),
    beatIntervalMs: integer("ASSAY_BEAT_MS", 5_000, [100, 200_000]),
    runLimitMs: integer("ASSAY_RUN_LIMIT_MS", 43_200_000, [60_000, 2_592_000_000]),
  };
  if (config.beatIntervalMs * 3 > config.leaseTtlMs) {
    faults.push(
      `ASSAY_BEAT_MS: wanted at most a third of ASSAY_LEASE_TTL_MS (${config.leaseTtlMs}), but got ${config.beatIntervalMs}`,
    );
  }
  if (faults.length > 0) throw new AssayError("CONFIG_INVALID", faults.join("; "));
  return Object.freeze(config);
}
