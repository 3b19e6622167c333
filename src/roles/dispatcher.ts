import { readDispatcherConfig } from "../config/roles.js";
import { Dispatcher } from "../dispatch/dispatcher.js";
import { PodPlaces } from "../dispatch/pod-places.js";
import { Health } from "./health.js";
import type { Life } from "./life.js";
import { openBus, openStore, openWorkDatabase, workProbes } from "./parts.js";

/** Gives runs to pods and sees every attempt through. At its end the pods work on, and a sibling watches them. */
export async function dispatcherRole(life: Life): Promise<number> {
  const config = readDispatcherConfig(process.env);
  const health = await Health.open(life, config.health);
  const database = await openWorkDatabase(life, config.database);
  const artifacts = await openStore(life, config.artifacts);
  const bus = await openBus(life, config.kafka, database);
  const log = life.log("dispatch");
  const dispatcher = new Dispatcher({
    database,
    bus,
    artifacts: artifacts.store,
    ...(artifacts.grantor === undefined ? {} : { grantor: artifacts.grantor }),
    log,
    pods: new PodPlaces(config.pods, log),
    ...(config.podTls === undefined ? {} : { podTls: config.podTls }),
    times: { ttlMs: config.leaseTtlMs, beatMs: config.beatIntervalMs, hardDeadlineMs: config.runLimitMs },
    retention: config,
    dispatcherBeatMs: config.dispatcherBeatMs,
  });
  await dispatcher.start();
  log.info("dispatching", { dispatcherId: dispatcher.id });
  life.onEnd(() => dispatcher.stop());
  health.watch(workProbes({ database, bus, lastLookMs: () => dispatcher.lastLookMs }));
  return await life.untilAsked(health.address);
}
