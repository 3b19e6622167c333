import { readRelayConfig } from "../config/roles.js";
import { Relay } from "../relay/relay.js";
import { OUTBOX_CHANNEL } from "../store/database.js";
import { Health } from "./health.js";
import type { Life } from "./life.js";
import { openBus, openWorkDatabase, workProbes } from "./parts.js";

/** Publishes what transactions wrote into the outbox, at once where it is told of it and every second where it is not. */
export async function relayRole(life: Life): Promise<number> {
  const config = readRelayConfig(process.env);
  const health = await Health.open(life, config.health);
  const database = await openWorkDatabase(life, config.database);
  const bus = await openBus(life, config.kafka, database);
  const relay = new Relay({ database, bus, log: life.log("relay") });
  relay.start();
  life.onEnd(() => relay.stop());
  const listening = await database.listen(OUTBOX_CHANNEL, () => relay.wake());
  life.onEnd(() => listening.close());
  health.watch(workProbes({ database, bus, lastLookMs: () => relay.lastLookMs }));
  return await life.untilAsked(health.address);
}
