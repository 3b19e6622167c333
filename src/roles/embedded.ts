import { join } from "node:path";
import { type Api, createApi } from "../api/server.js";
import type { ArtifactStore } from "../artifacts/store.js";
import type { Bus } from "../bus/bus.js";
import { MemoryBus } from "../bus/memory.js";
import { type Config, readConfig } from "../config/embedded.js";
import { podTimeArguments } from "../config/pods.js";
import { Dispatcher } from "../dispatch/dispatcher.js";
import { LocalPod } from "../embedded/pod.js";
import { type DatabaseAccess, EmbeddedPostgres } from "../embedded/postgres.js";
import { projectFolder } from "../embedded/project.js";
import { holdDataFolder } from "../embedded/service-lock.js";
import { sourceDigest } from "../embedded/source-digest.js";
import { Relay } from "../relay/relay.js";
import { AppDatabase, WorkDatabase } from "../store/database.js";
import { ensureLocalTenant } from "../store/keys.js";
import { migrate } from "../store/migrate.js";
import { probed } from "./health.js";
import type { Life } from "./life.js";
import { kafkaBus, migrationsFolder, openStore } from "./parts.js";

/** Makes all parts of the service in this one process and joins them, in the order in which a request passes them. */
export async function embeddedRole(life: Life): Promise<number> {
  const config = readConfig(process.env);
  const hold = holdDataFolder(config.dataDir);
  life.onEnd(() => hold.release());
  const access = await startDatabase(life, config);
  const api = await startGateway(life, config, { access, delivery: await startDelivery(life, config, access) });
  hold.announce(api.url);
  return await life.untilAsked(api);
}

async function startDatabase(life: Life, { dataDir }: Config): Promise<DatabaseAccess> {
  const postgres = await EmbeddedPostgres.start({ dataDir });
  life.onEnd(() => postgres.stop());
  const access = postgres.access();
  const migrated = await migrate(access.owner, migrationsFolder());
  life.log("store").info("the database is up", { adopted: postgres.adopted, migrated: migrated.join(" ") });
  await ensureLocalTenant(access.owner, join(dataDir, "key"));
  return access;
}

/** What carries accepted work to the pod and back. */
interface Delivery {
  readonly bus: Bus;
  readonly artifacts: ArtifactStore;
  readonly relay: Relay;
  readonly hasPod: () => boolean;
}

async function startDelivery(life: Life, config: Config, access: DatabaseAccess): Promise<Delivery> {
  const log = life.log("bus");
  const database = await WorkDatabase.open({
    login: access.work,
    log: life.log("store"),
    onOutbox: () => relay.wake(),
  });
  life.onEnd(() => database.close());
  const bus = config.kafka === undefined ? new MemoryBus({ log }) : kafkaBus({ ...config.kafka, log }, database);
  await bus.start();
  life.onEnd(() => bus.close());
  const relay: Relay = new Relay({ database, bus, log: life.log("relay") });
  relay.start();
  life.onEnd(() => relay.stop());

  const { store: artifacts, grantor } = await openStore(life, config.artifacts);
  let podAddress: string | undefined;
  const dispatcher = new Dispatcher({
    database,
    bus,
    artifacts,
    ...(grantor === undefined ? {} : { grantor }),
    log: life.log("dispatch"),
    pods: { addresses: () => (podAddress === undefined ? [] : [podAddress]) },
    times: { ttlMs: config.leaseTtlMs, beatMs: config.beatIntervalMs, hardDeadlineMs: config.runLimitMs },
    retention: config,
    alone: true, // the data folder is held: no other dispatcher of this database can be alive
  });
  const pod = LocalPod.start({
    artifactsDir: config.podFolder,
    cacheDir: config.modelCache,
    slots: config.podSlots,
    arguments: podTimeArguments(config),
    log: life.log("pod"),
    onAddress: (address) => {
      podAddress = address;
      dispatcher.wake();
    },
  });
  life.onEnd(() => pod.close());
  await dispatcher.start();
  life.onEnd(() => dispatcher.stop());
  // While the dispatcher still listens, so that it hears of the checkpoints.
  life.onEnd(() => pod.release(config.graceSeconds));
  return { bus, artifacts, relay, hasPod: () => podAddress !== undefined };
}

interface GatewayParts {
  readonly access: DatabaseAccess;
  readonly delivery: Delivery;
}

async function startGateway(life: Life, config: Config, { access, delivery }: GatewayParts): Promise<Api> {
  const { bus, artifacts, relay, hasPod } = delivery;
  const database = await AppDatabase.open({
    login: access.app,
    log: life.log("store"),
    onOutbox: () => relay.wake(),
  });
  life.onEnd(() => database.close());
  const answers = async (): Promise<boolean> => {
    await database.withoutTenant(async () => undefined);
    return true;
  };
  const api = await createApi({
    database,
    bus,
    artifacts,
    log: life.log("api"),
    allowLocalModels: true,
    codeDigests: {
      robustness: sourceDigest(join(projectFolder(), "pods"), "robustness"),
      retrieval: sourceDigest(join(projectFolder(), "pods"), "retrieval"),
    },
    host: config.host,
    port: config.port,
    ready: async () => {
      const checks = await probed({ database: answers, pod: hasPod });
      return { ready: Object.values(checks).every(Boolean), checks };
    },
  });
  life.onEnd(() => api.close());
  return api;
}
