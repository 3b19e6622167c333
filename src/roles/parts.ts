import { join } from "node:path";
import { type OpenArtifacts, openArtifacts } from "../artifacts/open.js";
import type { Bus } from "../bus/bus.js";
import { KafkaBus, type KafkaBusOptions } from "../bus/kafka.js";
import { PatientBus } from "../bus/patient.js";
import type { ArtifactsConfig } from "../config/artifacts.js";
import type { DatabaseLogin } from "../config/database.js";
import type { KafkaConfig } from "../config/kafka.js";
import { topics } from "../domain/messages.js";
import { projectFolder } from "../embedded/project.js";
import { AppDatabase, WorkDatabase } from "../store/database.js";
import { keepPoison } from "../store/poison.js";
import { requireSchema } from "../store/schema-version.js";
import type { Probes } from "./health.js";
import type { Life } from "./life.js";

/** Folder of the SQL files that make the database what this version works on. */
export function migrationsFolder(): string {
  return join(projectFolder(), "migrations");
}

/** The gateway's database, once it is at this version. */
export async function openAppDatabase(life: Life, login: DatabaseLogin): Promise<AppDatabase> {
  const database = await AppDatabase.open({ login, log: life.log("store"), notifyOutbox: true });
  life.onEnd(() => database.close());
  await database.withoutTenant((tx) => requireSchema(tx, migrationsFolder()));
  return database;
}

/** The database of relay and dispatcher, once it is at this version. */
export async function openWorkDatabase(life: Life, login: DatabaseLogin): Promise<WorkDatabase> {
  const database = await WorkDatabase.open({ login, log: life.log("store"), notifyOutbox: true });
  life.onEnd(() => database.close());
  await database.transaction((tx) => requireSchema(tx, migrationsFolder()));
  return database;
}

/** The store of artifacts, once it answers. */
export async function openStore(life: Life, place: ArtifactsConfig): Promise<OpenArtifacts> {
  const artifacts = await openArtifacts(place);
  life.onEnd(() => artifacts.close());
  return artifacts;
}

/** A bus that keeps in the database what nobody can read of it. */
export function kafkaBus(options: KafkaBusOptions, database: WorkDatabase): KafkaBus {
  return new KafkaBus({ ...options, buried: (record) => database.transaction((tx) => keepPoison(tx, record)) });
}

/** Kafka, which may also come later. Only a role that sees all tenants keeps what nobody can read. */
export async function openBus(life: Life, kafka: KafkaConfig, database?: WorkDatabase): Promise<Bus> {
  const log = life.log("bus");
  const options = { ...kafka, log };
  const bus = new PatientBus(database === undefined ? new KafkaBus(options) : kafkaBus(options, database), { log });
  await bus.start();
  life.onEnd(() => bus.close());
  return bus;
}

/** A role whose last look for work is older than this does nothing any more, whatever else answers. */
const LOOK_MS = 30_000;

/** What relay and dispatcher need to do their work, and that they do it. */
export function workProbes(parts: { database: WorkDatabase; bus: Bus; lastLookMs: () => number }): Probes {
  return {
    database: async () => {
      await parts.database.transaction(async () => undefined);
      return true;
    },
    bus: async () => {
      await parts.bus.lag(topics.runsQueued, "dispatcher");
      return true;
    },
    looks: () => performance.now() - parts.lastLookMs() < LOOK_MS,
  };
}
