import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { createApi } from "../api/server.js";
import { readGatewayConfig } from "../config/roles.js";
import { projectFolder } from "../embedded/project.js";
import { sourceDigest } from "../embedded/source-digest.js";
import { probed } from "./health.js";
import type { Life } from "./life.js";
import { openAppDatabase, openBus, openStore } from "./parts.js";

/** Accepts requests and answers them. It can see one tenant at a time, and gives nothing to pods. */
export async function gatewayRole(life: Life): Promise<number> {
  const config = readGatewayConfig(process.env);
  const database = await openAppDatabase(life, config.database);
  const artifacts = await openStore(life, config.artifacts);
  const bus = await openBus(life, config.kafka);
  const answers = async (): Promise<boolean> => {
    await database.withoutTenant(async () => undefined);
    return true;
  };
  const api = await createApi({
    database,
    bus,
    artifacts: artifacts.store,
    log: life.log("api"),
    allowLocalModels: config.allowLocalModels,
    codeDigests: {
      robustness: sourceDigest(join(projectFolder(), "pods"), "robustness"),
      retrieval: sourceDigest(join(projectFolder(), "pods"), "retrieval"),
    },
    host: config.host,
    port: config.port,
    ...(config.publicUrl === undefined ? {} : { publicUrl: config.publicUrl }),
    // Without the bus requests are still accepted and subscriptions still served, so it is not asked for.
    ready: async () => {
      const checks = await probed({ database: answers, staying: () => !life.isEnding });
      return { ready: Object.values(checks).every(Boolean), checks };
    },
  });
  life.onEnd(() => api.close());
  // Whoever sends requests here must hear first that it is leaving.
  life.onEnd(async () => {
    api.leave();
    await pause(config.drainMs);
  });
  return await life.untilAsked(api);
}
