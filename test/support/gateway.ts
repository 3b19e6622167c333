import "reflect-metadata";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Api, createApi } from "../../src/api/server.js";
import { ArtifactFolder } from "../../src/artifacts/folder.js";
import { MemoryBus } from "../../src/bus/memory.js";
import { sha256 } from "../../src/domain/digest.js";
import type { DatabaseAccess } from "../../src/embedded/postgres.js";
import { AppDatabase } from "../../src/store/database.js";
import { ensureLocalTenant } from "../../src/store/keys.js";
import { migrate } from "../../src/store/migrate.js";
import { migrationsFolder, quietLog } from "./store.js";

/** A gateway alone: it accepts and answers, and nothing works on what it accepted. */
export interface Gateway {
  readonly api: Api;
  readonly key: string;
  close(): Promise<void>;
}

/** Where a gateway keeps its things; the port is a free one unless it is given. */
export interface GatewayParts {
  readonly access: DatabaseAccess;
  /** Folder of the artifacts and the key. */
  readonly folder: string;
  readonly port?: number;
}

/** Migrates the database, makes the local tenant and opens the real API over them. */
export async function openGateway({ access, folder, port = 0 }: GatewayParts): Promise<Gateway> {
  const keyFile = join(folder, "key");
  await migrate(access.owner, migrationsFolder);
  await ensureLocalTenant(access.owner, keyFile);
  const database = await AppDatabase.open({ login: access.app, log: quietLog });
  const bus = new MemoryBus({ log: quietLog });
  await bus.start();
  const api = await createApi({
    database,
    bus,
    artifacts: new ArtifactFolder(join(folder, "artifacts")),
    log: quietLog,
    allowLocalModels: true,
    codeDigests: { robustness: sha256("code of a test"), retrieval: sha256("code of a test") },
    ready: () => Promise.resolve({ ready: true, checks: {} }),
    host: "127.0.0.1",
    port,
  });
  const close = async (): Promise<void> => {
    await api.close();
    await bus.close();
    await database.close();
  };
  return { api, key: readFileSync(keyFile, "utf8").trim(), close };
}
