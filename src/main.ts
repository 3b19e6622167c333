import "reflect-metadata";
import { join } from "node:path";
import { type Api, createApi } from "./api/server.js";
import { ArtifactFolder } from "./artifacts/folder.js";
import type { ArtifactStore } from "./artifacts/store.js";
import type { Bus } from "./bus/bus.js";
import { KafkaBus, type KafkaBusOptions } from "./bus/kafka.js";
import { MemoryBus } from "./bus/memory.js";
import { type Config, readConfig } from "./config.js";
import { Dispatcher } from "./dispatch/dispatcher.js";
import { LocalPod } from "./embedded/pod.js";
import { type DatabaseAccess, EmbeddedPostgres } from "./embedded/postgres.js";
import { projectFolder } from "./embedded/project.js";
import { holdDataFolder } from "./embedded/service-lock.js";
import { sourceDigest } from "./embedded/source-digest.js";
import { AssayError, catalogue } from "./errors.js";
import { jsonLog, type Log, reasonOf } from "./log.js";
import { Relay } from "./relay/relay.js";
import { AppDatabase, WorkDatabase } from "./store/database.js";
import { ensureLocalTenant } from "./store/keys.js";
import { migrate } from "./store/migrate.js";
import { keepPoison } from "./store/poison.js";

/** Steps that undo what was started, run in reverse order. */
type Undo = () => Promise<void> | void;

const write = (line: string): void => void process.stdout.write(`${line}\n`);
const logOf = (part: string): Log => jsonLog(part, write);

/** Makes all parts of the embedded service and joins them, in the order in which a request passes them. */
async function start(config: Config, undo: Undo[]): Promise<Api> {
  const hold = holdDataFolder(config.dataDir);
  undo.push(() => hold.release());
  const access = await startDatabase(config, undo);
  const delivery = await startDelivery(config, access, undo);
  const api = await startGateway(config, access, { delivery, undo });
  hold.announce(api.url);
  return api;
}

async function startDatabase({ dataDir }: Config, undo: Undo[]): Promise<DatabaseAccess> {
  const postgres = await EmbeddedPostgres.start({ dataDir });
  undo.push(() => postgres.stop());
  const access = postgres.access();
  const migrated = await migrate(access.owner, join(projectFolder(), "migrations"));
  logOf("store").info("the database is up", { adopted: postgres.adopted, migrated: migrated.join(" ") });
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

async function startDelivery(config: Config, access: DatabaseAccess, undo: Undo[]): Promise<Delivery> {
  const log = logOf("bus");
  const database = await WorkDatabase.open({
    login: access.work,
    log: logOf("store"),
    onOutbox: () => relay.wake(),
  });
  undo.push(() => database.close());
  const bus = config.kafka === undefined ? new MemoryBus({ log }) : kafkaBus({ ...config.kafka, log }, database);
  await bus.start();
  undo.push(() => bus.close());
  const relay: Relay = new Relay({ database, bus, log: logOf("relay") });
  relay.start();
  undo.push(() => relay.stop());

  const artifactsDir = join(config.dataDir, "artifacts");
  const artifacts = new ArtifactFolder(artifactsDir);
  let podAddress: string | undefined;
  const dispatcher = new Dispatcher({
    database,
    bus,
    artifacts,
    log: logOf("dispatch"),
    pods: { addresses: () => (podAddress === undefined ? [] : [podAddress]) },
    times: { ttlMs: config.leaseTtlMs, beatMs: config.beatIntervalMs, hardDeadlineMs: config.runLimitMs },
    alone: true, // the data folder is held: no other dispatcher of this database can be alive
  });
  const pod = LocalPod.start({
    artifactsDir,
    cacheDir: config.modelCache,
    slots: config.podSlots,
    log: logOf("pod"),
    onAddress: (address) => {
      podAddress = address;
      dispatcher.wake();
    },
  });
  undo.push(() => pod.close());
  await dispatcher.start();
  undo.push(() => dispatcher.stop());
  return { bus, artifacts, relay, hasPod: () => podAddress !== undefined };
}

function kafkaBus(options: KafkaBusOptions, database: WorkDatabase): Bus {
  return new KafkaBus({ ...options, buried: (record) => database.transaction((tx) => keepPoison(tx, record)) });
}

interface GatewayParts {
  readonly delivery: Delivery;
  readonly undo: Undo[];
}

async function startGateway(config: Config, access: DatabaseAccess, { delivery, undo }: GatewayParts): Promise<Api> {
  const { bus, artifacts, relay, hasPod } = delivery;
  const database = await AppDatabase.open({
    login: access.app,
    log: logOf("store"),
    onOutbox: () => relay.wake(),
  });
  undo.push(() => database.close());
  const api = await createApi({
    database,
    bus,
    artifacts,
    log: logOf("api"),
    allowLocalModels: true,
    codeDigests: { robustness: sourceDigest(join(projectFolder(), "pods"), "robustness") },
    host: config.host,
    port: config.port,
    ready: async () => {
      const checks = { database: await answers(database), pod: hasPod() };
      return { ready: checks.database && checks.pod, checks };
    },
  });
  undo.push(() => api.close());
  return api;
}

async function answers(database: AppDatabase): Promise<boolean> {
  try {
    await database.withoutTenant(async () => undefined);
    return true;
  } catch {
    return false; // an unreachable database is exactly what the question is about
  }
}

async function stop(undo: Undo[]): Promise<void> {
  for (let step = undo.pop(); step !== undefined; step = undo.pop()) {
    try {
      await step();
    } catch (error) {
      logOf("main").error("a part could not be stopped", { reason: reasonOf(error) });
    }
  }
}

const undo: Undo[] = [];
const signal = new Promise<NodeJS.Signals>((resolve) => {
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, resolve);
});
try {
  const api = await start(readConfig(process.env), undo);
  logOf("main").info("listening", { url: api.url, port: api.port, pid: process.pid });
  logOf("main").info("stopping", { signal: await signal });
} catch (error) {
  const fault = error instanceof AssayError ? error : new AssayError("INTERNAL", reasonOf(error), { cause: error });
  logOf("main").error(fault.message, { code: fault.code, cause: reasonOf(fault.cause) });
  process.exitCode = catalogue[fault.code].exit;
}
await stop(undo);
process.exit();
