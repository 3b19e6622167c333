import { resolve } from "node:path";
import { type ArtifactsConfig, readArtifacts, readPodFolder } from "./artifacts.js";
import { type KafkaConfig, readKafka } from "./kafka.js";
import { type LeaseConfig, readLeases } from "./leases.js";
import { type PodTimes, readPodTimes } from "./pods.js";
import { type RetentionConfig, readRetention } from "./retention.js";
import { Settings, type Variables } from "./settings.js";

/** What the service in one process can be told from outside. */
export interface Config extends LeaseConfig, PodTimes, RetentionConfig {
  /** `ASSAY_HOST`: address to listen on. Default 127.0.0.1; anything else is reachable from other machines. */
  readonly host: string;
  /** `ASSAY_PORT`: HTTP port, 0 for any free one. Default 4000. */
  readonly port: number;
  /** `ASSAY_DATA_DIR`: folder of the database, artifacts, key and secrets. Default `.assay`. */
  readonly dataDir: string;
  readonly artifacts: ArtifactsConfig;
  /** Folder that the local pod keeps files in. */
  readonly podFolder: string;
  /** `ASSAY_MODEL_CACHE`: folder of converted models, shared by data folders. Default `.cache/models`. */
  readonly modelCache: string;
  /** `ASSAY_POD_SLOTS`: runs that the local pod works on at once, 1 to 64. Default 2. */
  readonly podSlots: number;
  /** Kafka as the bus; the in-process bus where `ASSAY_KAFKA_BROKERS` is empty. */
  readonly kafka: KafkaConfig | undefined;
}

/** Reads the configuration of the service in one process. All faults are told together, in one CONFIG_INVALID. */
export function readConfig(env: Variables): Config {
  const settings = new Settings(env);
  return settings.checked({
    host: settings.text("ASSAY_HOST", "127.0.0.1"),
    port: settings.integer("ASSAY_PORT", 4000, [0, 65_535]),
    dataDir: resolve(settings.text("ASSAY_DATA_DIR", ".assay")),
    artifacts: readArtifacts(settings),
    podFolder: readPodFolder(settings),
    modelCache: resolve(settings.text("ASSAY_MODEL_CACHE", ".cache/models")),
    podSlots: settings.integer("ASSAY_POD_SLOTS", 2, [1, 64]),
    ...readLeases(settings),
    ...readPodTimes(settings, 5),
    ...readRetention(settings),
    kafka: readKafka(settings),
  });
}
