import { setTimeout as pause } from "node:timers/promises";
import type { Caller } from "../../src/domain/tenant.js";
import type { Random } from "../support/seed.js";
import type { Query } from "./rule.js";
import { newName } from "./seeded-client.js";
import { randomPlan } from "./seeded-plan.js";
import type { Scene } from "./seeded-scene.js";
import type { LinkState } from "./tcp-proxy.js";

/** What the faults of a scene work on. */
export interface FaultSetting {
  readonly scene: Scene;
  readonly random: Random;
  readonly tenants: readonly Caller[];
  readonly asAdmin: Query;
}

type Fault = (setting: FaultSetting) => Promise<void>;

const faults: Readonly<Record<string, Fault>> = {
  submit: submitOne,
  submitThroughCut: async (setting) => void (await Promise.all([submitOne(setting), cut(setting, ["assay_app"], 1)])),
  repeat: async ({ scene, random }) => {
    const earlier = pick(random, scene.client.experiments);
    if (earlier !== undefined) await scene.client.submit(earlier.caller, earlier.runs, earlier.name);
  },
  retry: async ({ scene, random }) => {
    const key = pick(random, scene.client.experiments);
    if (key !== undefined) await scene.client.retry(key);
  },
  resend: async ({ scene, random }) => pick(random, scene.client.experiments)?.resend(),
  killPod: async ({ scene, random }) => {
    const placed = pick(random, scene.pods);
    if (placed === undefined) return;
    await scene.killPod(placed);
    await scene.addPod({ zombie: random.chance(0.5), slots: 1 + random.below(4) });
  },
  freezePod: async ({ scene, random }) => pick(random, scene.pods)?.pod.stopBeats(),
  tearLink: ({ scene, random }) => tear(scene, random, pick(random, ["DOWN", "STALLED", "DEAF", "MUTE"])),
  loseReplies: ({ scene, random }) => tear(scene, random, "MUTE"),
  resetLink: async ({ scene, random }) => pick(random, scene.pods)?.link.reset(),
  halfOpenLink: async ({ scene, random }) => pick(random, scene.pods)?.link.halfOpen(),
  stopDispatcher: (setting) => replaceDispatcher(setting, false),
  abandonDispatcher: (setting) => replaceDispatcher(setting, true),
  cutDatabase: (setting) => cut(setting, ["assay_app", "assay_work"], 0.3),
  cancel: async ({ scene, random }) => {
    const mode = random.chance(0.5) ? "GRACEFUL" : "IMMEDIATE";
    const key = pick(random, scene.client.experiments);
    if (key !== undefined) await scene.client.cancel(key, mode);
  },
  pause: async ({ scene, random }) => {
    const key = pick(random, scene.client.experiments);
    if (key === undefined) return;
    await scene.client.pause(key);
    await pause(random.below(800));
    await scene.client.resume(key);
  },
};

/** Sends experiments and lets faults happen, some at once, in the order that chance says. */
export async function disturb(setting: FaultSetting, count: number): Promise<void> {
  const { random } = setting;
  const names = Object.keys(faults);
  const going: Promise<void>[] = [];
  for (let i = 0; i < count; i += 1) {
    const fault = faults[names[random.below(names.length)] ?? ""];
    if (fault !== undefined) going.push(fault(setting));
    await pause(random.below(60));
  }
  await Promise.all(going);
}

/** Submits one random experiment of a random tenant. */
export async function submitOne({ scene, random, tenants }: FaultSetting): Promise<void> {
  const caller = pick(random, tenants);
  const name = newName();
  if (caller !== undefined) await scene.client.submit(caller, randomPlan(random, name), name);
}

/** Cuts this share of the roles' connections to the database. */
async function cut({ random, asAdmin }: FaultSetting, roles: readonly string[], share: number): Promise<void> {
  const rows = await asAdmin<{ pid: number }>(
    "select pid from pg_stat_activity where datname = current_database() and usename = any($1) order by pid",
    [roles],
  );
  for (const { pid } of rows) if (random.chance(share)) await asAdmin("select pg_terminate_backend($1)", [pid]);
}

async function tear(scene: Scene, random: Random, state: LinkState = "DOWN"): Promise<void> {
  const link = pick(random, scene.pods)?.link;
  const lasts = 50 + random.below(500);
  await link?.set(state);
  await pause(lasts);
  // What was lost on the way is lost: the connections do not go on as if nothing had been.
  if (state !== "STALLED") link?.reset();
  await link?.set("OPEN");
}

async function replaceDispatcher({ scene, random }: FaultSetting, abandoned: boolean): Promise<void> {
  const placed = pick(random, scene.dispatchers);
  if (placed === undefined) return;
  await scene.endDispatcher(placed, abandoned);
  await scene.addDispatcher();
}

function pick<T>(random: Random, from: readonly T[]): T | undefined {
  return from[random.below(from.length)];
}
