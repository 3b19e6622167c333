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
  /** Kafka as the bus; the in-process bus where `ASSAY_KAFKA_BROKERS` is empty. */
  readonly kafka: KafkaConfig | undefined;
}

/** Where Kafka is, and how to get in. */
export interface KafkaConfig {
  /** `ASSAY_KAFKA_BROKERS`: `host:port`, several with commas between. */
  readonly brokers: readonly string[];
  /** `ASSAY_KAFKA_TLS`: `true` for encrypted connections; `NODE_EXTRA_CA_CERTS` names an authority of your own. Default `false`. */
  readonly tls: boolean;
  /** A login, where the brokers want one; all three are given, or none. */
  readonly sasl: KafkaLogin | undefined;
  /** `ASSAY_KAFKA_PREFIX`: begins the names of topics and groups, so that installations can share brokers. Default empty. */
  readonly prefix: string;
}

/** A login by SASL. */
export interface KafkaLogin {
  /** `ASSAY_KAFKA_SASL_MECHANISM`: `plain`, `scram-sha-256` or `scram-sha-512`. */
  readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512";
  /** `ASSAY_KAFKA_SASL_USERNAME`. */
  readonly username: string;
  /** `ASSAY_KAFKA_SASL_PASSWORD`. */
  readonly password: string;
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
    kafka: readKafka(env, faults),
  };
  if (config.beatIntervalMs * 3 > config.leaseTtlMs) {
    faults.push(
      `ASSAY_BEAT_MS: wanted at most a third of ASSAY_LEASE_TTL_MS (${config.leaseTtlMs}), but got ${config.beatIntervalMs}`,
    );
  }
  if (faults.length > 0) throw new AssayError("CONFIG_INVALID", faults.join("; "));
  return Object.freeze(config);
}

const kafkaNames = {
  brokers: "ASSAY_KAFKA_BROKERS",
  tls: "ASSAY_KAFKA_TLS",
  prefix: "ASSAY_KAFKA_PREFIX",
  mechanism: "ASSAY_KAFKA_SASL_MECHANISM",
  username: "ASSAY_KAFKA_SASL_USERNAME",
  password: "ASSAY_KAFKA_SASL_PASSWORD",
} as const;

function readKafka(env: Environment, faults: string[]): KafkaConfig | undefined {
  const brokers = env[kafkaNames.brokers] ?? "";
  if (brokers === "") {
    const idle = Object.values(kafkaNames).filter((name) => (env[name] ?? "") !== "");
    for (const name of idle) faults.push(`${name}: wanted ${kafkaNames.brokers} beside it, but got none`);
    return undefined;
  }
  const list = brokers.split(",").map((broker) => broker.trim());
  if (!list.every((broker) => /^([\w.-]+|\[[0-9a-fA-F:]+\]):\d{1,5}$/.test(broker))) {
    faults.push(
      `${kafkaNames.brokers}: wanted host:port, several with commas between, but got ${JSON.stringify(brokers)}`,
    );
  }
  const tls = env[kafkaNames.tls] || "false";
  if (tls !== "true" && tls !== "false") {
    faults.push(`${kafkaNames.tls}: wanted true or false, but got ${JSON.stringify(tls)}`);
  }
  const prefix = env[kafkaNames.prefix] ?? "";
  if (!/^[\w.-]{0,100}$/.test(prefix)) {
    faults.push(`${kafkaNames.prefix}: wanted letters, digits, ".", "_" and "-", but got ${JSON.stringify(prefix)}`);
  }
  return { brokers: list, tls: tls === "true", sasl: readLogin(env, faults), prefix };
}

function readLogin(env: Environment, faults: string[]): KafkaLogin | undefined {
  const names = [kafkaNames.mechanism, kafkaNames.username, kafkaNames.password] as const;
  const [mechanism = "", username = "", password = ""] = names.map((name) => env[name] ?? "");
  if (mechanism === "" && username === "" && password === "") return undefined;
  if (mechanism !== "plain" && mechanism !== "scram-sha-256" && mechanism !== "scram-sha-512") {
    const wanted = "plain, scram-sha-256 or scram-sha-512";
    faults.push(`${kafkaNames.mechanism}: wanted ${wanted}, but got ${JSON.stringify(mechanism)}`);
    return undefined;
  }
  // The password itself is never shown.
  if (username === "") faults.push(`${kafkaNames.username}: wanted the name of the login, but got none`);
  if (password === "") faults.push(`${kafkaNames.password}: wanted the password of the login, but got none`);
  return { mechanism, username, password };
}
