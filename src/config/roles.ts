import { resolve } from "node:path";
import { type ArtifactsConfig, readArtifacts, readPodFolder } from "./artifacts.js";
import { type DatabaseLogin, readDatabase } from "./database.js";
import { type KafkaConfig, requireKafka } from "./kafka.js";
import { type LeaseConfig, readLeases } from "./leases.js";
import {
  type PodPlace,
  type PodTimes,
  type PodTls,
  podTlsFiles,
  readPodPlaces,
  readPodTimes,
  readPodTls,
} from "./pods.js";
import { type RetentionConfig, readRetention } from "./retention.js";
import { Settings, type Variables } from "./settings.js";

/** What `assay migrate` is told. */
export interface MigrateConfig {
  /** Logs in as `assay_owner`. */
  readonly database: DatabaseLogin;
}

/** Reads what `assay migrate` is told. */
export function readMigrateConfig(env: Variables): MigrateConfig {
  const settings = new Settings(env);
  return settings.checked({ database: readDatabase(settings, "assay_owner") });
}

/** What a gateway is told. */
export interface GatewayConfig {
  /** Logs in as `assay_app`. */
  readonly database: DatabaseLogin;
  readonly kafka: KafkaConfig;
  /** The same for all gateways and dispatchers. */
  readonly artifacts: ArtifactsConfig;
  /** `ASSAY_HOST`: address to listen on. Default 127.0.0.1. */
  readonly host: string;
  /** `ASSAY_PORT`: HTTP port, 0 for any free one. Default 4000. */
  readonly port: number;
  /** `ASSAY_PUBLIC_URL`: where clients reach the gateways, for links to uploads and files. Default: the address it listens on. */
  readonly publicUrl: string | undefined;
  /** `ASSAY_ALLOW_LOCAL_MODELS`: whether folders of the machine may be registered as models; pods must see them too. Default `false`. */
  readonly allowLocalModels: boolean;
  /** `ASSAY_DRAIN_MS`: how long it still takes requests after SIGTERM, so that the load balancer sees it leave. Default 5000. */
  readonly drainMs: number;
}

/** Reads what a gateway is told. */
export function readGatewayConfig(env: Variables): GatewayConfig {
  const settings = new Settings(env);
  return settings.checked({
    database: readDatabase(settings, "assay_app"),
    kafka: requireKafka(settings),
    artifacts: readArtifacts(settings),
    host: settings.text("ASSAY_HOST", "127.0.0.1"),
    port: settings.integer("ASSAY_PORT", 4000, [0, 65_535]),
    publicUrl: publicUrl(settings),
    allowLocalModels: settings.flag("ASSAY_ALLOW_LOCAL_MODELS", false),
    drainMs: settings.integer("ASSAY_DRAIN_MS", 5_000, [0, 600_000]),
  });
}

/** Where a role without an API of its own says how it is. */
export interface HealthConfig {
  /** `ASSAY_HOST`: address to listen on. Default 127.0.0.1. */
  readonly host: string;
  /** `ASSAY_HEALTH_PORT`: port of /healthz and /readyz, 0 for any free one. Default 4001. */
  readonly port: number;
}

/** What a relay is told. */
export interface RelayConfig {
  /** Logs in as `assay_work`. */
  readonly database: DatabaseLogin;
  readonly kafka: KafkaConfig;
  readonly health: HealthConfig;
}

/** Reads what a relay is told. */
export function readRelayConfig(env: Variables): RelayConfig {
  const settings = new Settings(env);
  return settings.checked({
    database: readDatabase(settings, "assay_work"),
    kafka: requireKafka(settings),
    health: readHealth(settings),
  });
}

/** What a dispatcher is told. */
export interface DispatcherConfig extends RelayConfig, LeaseConfig, RetentionConfig {
  /** As the gateway's. */
  readonly artifacts: ArtifactsConfig;
  /** `ASSAY_PODS`: `host:port` or `dns:name:port`, several with commas between. */
  readonly pods: readonly PodPlace[];
  /** TLS with the pods; undefined for plain connections. */
  readonly podTls: PodTls | undefined;
  /** `ASSAY_DISPATCHER_BEAT_MS`: how often it says that it lives; at most a sixth of the lease, so that a sibling adopts in time. Default: that sixth, but at most 5000. */
  readonly dispatcherBeatMs: number;
}

/** Reads what a dispatcher is told. */
export function readDispatcherConfig(env: Variables): DispatcherConfig {
  const settings = new Settings(env);
  const leases = readLeases(settings);
  const pods = readPodPlaces(settings);
  const sixth = Math.floor(leases.leaseTtlMs / 6);
  const dispatcherBeatMs = settings.integer("ASSAY_DISPATCHER_BEAT_MS", Math.min(5_000, sixth), [50, 100_000]);
  if (dispatcherBeatMs > sixth) {
    const wanted = `at most a sixth of ASSAY_LEASE_TTL_MS (${leases.leaseTtlMs})`;
    settings.fault("ASSAY_DISPATCHER_BEAT_MS", wanted, dispatcherBeatMs);
  }
  return settings.checked({
    database: readDatabase(settings, "assay_work"),
    kafka: requireKafka(settings),
    health: readHealth(settings),
    artifacts: readArtifacts(settings),
    pods,
    podTls: readPodTls(settings, pods),
    dispatcherBeatMs,
    ...leases,
    ...readRetention(settings),
  });
}

/** What a pod is told. It holds no login of the database and knows no Kafka. */
export interface PodConfig extends PodTimes {
  /** `ASSAY_POD_LISTEN`: `host:port` that dispatchers dial, port 0 for any free one. Default 127.0.0.1:4100; without TLS only the loopback address is taken. */
  readonly listen: string;
  /** `ASSAY_POD_SLOTS`: runs that it works on at once, 1 to 64. Default 2. */
  readonly slots: number;
  /** `ASSAY_POD_DEVICE`: `auto`, `cpu` or `cuda`. Default `auto`: CUDA where it works. */
  readonly device: string;
  /** `ASSAY_ARTIFACTS`: the folder that is shared; where a bucket is, `artifacts` in `ASSAY_DATA_DIR`, a folder of its own. */
  readonly artifactsDir: string;
  /** `ASSAY_MODEL_CACHE`: folder of converted models. Default `.cache/models`. */
  readonly modelCache: string;
  /** The files of `ASSAY_POD_TLS_CA`, `ASSAY_POD_TLS_CERT` and `ASSAY_POD_TLS_KEY`; undefined for plain connections. */
  readonly tls:
    | {
        readonly ca: string;
        readonly cert: string;
        readonly key: string;
        /** `ASSAY_POD_TLS_CLIENT_NAME`: the DNS name that dispatchers' certificates must be for. Default: any of the authority. */
        readonly clientName: string | undefined;
      }
    | undefined;
  readonly health: HealthConfig;
}

/** Reads what a pod is told. */
export function readPodConfig(env: Variables): PodConfig {
  const settings = new Settings(env);
  const device = settings.text("ASSAY_POD_DEVICE", "auto");
  if (!["auto", "cpu", "cuda"].includes(device)) settings.fault("ASSAY_POD_DEVICE", "auto, cpu or cuda", device);
  const passwords = Object.keys(env).filter(
    (name) => name.startsWith("ASSAY_DATABASE_") || name.startsWith("ASSAY_KAFKA_"),
  );
  settings.refuse(passwords, "a pod has no database and no Kafka");
  const [ca = "", cert = "", key = ""] = podTlsFiles.map((name) => settings.text(name, ""));
  const given = [ca, cert, key].filter((path) => path !== "").length;
  if (given === 1 || given === 2)
    settings.faults.push(`${podTlsFiles.join(", ")}: wanted them together, but got ${given} of them`);
  const clientName = settings.text("ASSAY_POD_TLS_CLIENT_NAME", "") || undefined;
  if (clientName !== undefined && given === 0)
    settings.fault("ASSAY_POD_TLS_CLIENT_NAME", `${podTlsFiles.join(", ")} beside it`, "none");
  return settings.checked({
    listen: settings.text("ASSAY_POD_LISTEN", "127.0.0.1:4100"),
    slots: settings.integer("ASSAY_POD_SLOTS", 2, [1, 64]),
    device,
    artifactsDir: readPodFolder(settings),
    modelCache: resolve(settings.text("ASSAY_MODEL_CACHE", ".cache/models")),
    ...readPodTimes(settings, 120),
    tls: given === 3 ? { ca: resolve(ca), cert: resolve(cert), key: resolve(key), clientName } : undefined,
    health: readHealth(settings),
  });
}

function readHealth(settings: Settings): HealthConfig {
  return {
    host: settings.text("ASSAY_HOST", "127.0.0.1"),
    port: settings.integer("ASSAY_HEALTH_PORT", 4001, [0, 65_535]),
  };
}

function publicUrl(settings: Settings): string | undefined {
  const text = settings.text("ASSAY_PUBLIC_URL", "");
  if (text === "") return undefined;
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return text.replace(/\/+$/, "");
  settings.fault("ASSAY_PUBLIC_URL", "an address that begins with http:// or https://", text);
  return undefined;
}
