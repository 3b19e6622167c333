import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import pg from "pg";
import { newId, sha256 } from "../../src/domain/digest.js";
import { cancelExperiment } from "../../src/store/cancel.js";
import { dispatchBell, RUNS_QUEUED, writeMessages } from "../../src/store/outbox.js";
import { eventually } from "../support/eventually.js";
import { answerOf, type StubOutcome, type StubTask } from "../support/stub-pod.js";
import { missingFacts } from "./facts.js";
import { newName } from "./seeded-client.js";
import type { OutboxRow, Scene } from "./seeded-scene.js";
import { World } from "./seeded-world.js";

/** How long a run may take that nothing holds up any more. */
const BOUND_MS = 20_000;

/** Histories in which one rule of delivery is all that stands between a fault and a broken invariant. */
export const scenarios = {
  zombie: { play: playZombie, sees: ["rejectedZombies", "leaseExpiries"] as const },
  rollback: { play: playRollback, sees: [] as const },
  consumer: { play: playConsumer, sees: [] as const },
  straggler: { play: playStraggler, sees: [] as const },
  writer: { play: playWriter, sees: [] as const },
};
export type ScenarioName = keyof typeof scenarios;

/** Plays one of them and gives everything that is broken or was not seen. */
export async function faultsOf(name: ScenarioName): Promise<string[]> {
  const world = await World.open();
  try {
    await scenarios[name].play(world);
    const { breaches, facts } = await world.verdict();
    return [
      ...breaches.map(({ invariant, says }) => `${invariant} ${says}`),
      ...missingFacts(facts, scenarios[name].sees),
    ];
  } finally {
    await world.close();
  }
}

async function submitRun(world: World, scene: Scene, spec: { readonly [key: string]: string } = {}): Promise<string> {
  const [caller] = world.tenants;
  assert.ok(caller !== undefined);
  const name = newName();
  await scene.client.submit(caller, [{ stage: 0, spec: { name, ...spec } }], name);
  return scene.client.experiments.at(-1)?.experimentId ?? "";
}

/** A pod is frozen, its run goes to another one, and it speaks while that one is still at work. */
function playZombie(world: World): Promise<void> {
  return world.perform(null, async (scene) => {
    const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const gated =
      (gate: Promise<void>) =>
      async ({ spec, epoch }: StubTask): Promise<StubOutcome> => {
        await gate;
        return { metrics: { value: answerOf(spec), epoch } };
      };
    const zombie = await scene.addPod({ zombie: true, work: gated(first.promise) });
    await scene.addDispatcher();
    await submitRun(world, scene);
    await eventually("the run to be in work", () => countOf(world, "run where state = 'RUNNING'"));
    zombie.pod.refusing = true;
    zombie.pod.stopBeats();
    await eventually("the lease to run out", () => countOf(world, "attempt where outcome = 'LOST'"));
    await scene.addPod({ work: gated(second.promise) });
    await eventually("the heir to be at work", () => countOf(world, "run where state = 'RUNNING' and epoch > 1"));
    first.resolve();
    await eventually("the late result to be dealt with", () =>
      countOf(world, "late_write union all select 1 from result"),
    );
    second.resolve();
    await world.drain(scene, BOUND_MS);
  });
}

/** A transaction that wrote a bell is taken back. */
function playRollback(world: World): Promise<void> {
  return world.perform(null, async (scene) => {
    await scene.addPod({});
    await scene.addDispatcher();
    await submitRun(world, scene, { steps: "100", stepMs: "20" });
    await eventually("the run to be in work", () => countOf(world, "run where state = 'RUNNING'"));
    const [key] = scene.client.experiments;
    assert.ok(key !== undefined);
    Object.assign(globalThis, { publishNow: (rows: readonly OutboxRow[]) => scene.publish(rows) });
    const undone = scene.app.withTenant(key.tenantId, async (tx) => {
      await cancelExperiment(tx, key, { mode: "IMMEDIATE", reason: null });
      throw new RangeError("planted: taken back");
    });
    await assert.rejects(undone, /planted/);
    await scene.client.cancel(key, "IMMEDIATE");
    await world.drain(scene, BOUND_MS);
  });
}

/** A dispatcher that was handed a bell dies before its note of it is committed. */
function playConsumer(world: World): Promise<void> {
  return world.perform(null, async (scene) => {
    // The first to subscribe is handed the message. Neither looks by itself.
    const never = { pollMs: 600_000, dispatcherBeatMs: 600_000 };
    const dying = await scene.addDispatcher({ ...never, pods: { addresses: () => [] } });
    await submitRun(world, scene);
    await eventually("the first bell to be noted", () => countOf(world, "inbox"));
    await scene.addPod({ slots: 2 });
    await scene.addDispatcher({ ...never, pods: { addresses: () => scene.pods.map(({ link }) => link.address) } });
    // It looks once at its start, and once more when the run has ended; from then on it waits for bells.
    await world.drain(scene, BOUND_MS);
    const busy = "pg_stat_activity where datname = current_database() and usename = 'assay_work' and state <> 'idle'";
    await eventually("nobody to look any more", async () => !(await countOf(world, busy)));
    const locker = new pg.Client(world.access.admin);
    await locker.connect();
    await locker.query("begin; lock table inbox in access exclusive mode");
    await submitRun(world, scene);
    const waiting =
      "pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like 'insert into inbox%'";
    await eventually("the note to wait", () => countOf(world, waiting));
    await world.asAdmin(`select pg_terminate_backend(pid) from ${waiting}`);
    await scene.endDispatcher(dying, true);
    await locker.query("rollback");
    await locker.end();
    await world.drain(scene, BOUND_MS);
  });
}

/** A transaction that took its message's id early commits after one that took its own later. */
function playStraggler(world: World): Promise<void> {
  return world.perform(null, async (scene) => {
    await scene.addPod({});
    await scene.addDispatcher();
    await submitRun(world, scene);
    await world.drain(scene, BOUND_MS);
    const [key] = scene.client.experiments;
    assert.ok(key !== undefined);
    await scene.app.withTenant(key.tenantId, async (tx) => {
      await writeMessages(tx, [dispatchBell(key, RUNS_QUEUED)]);
      await submitRun(world, scene);
      await world.drain(scene, BOUND_MS);
    });
    await world.drain(scene, BOUND_MS);
  });
}

/** A process that stores the bytes of a registered file once more is killed half-way. */
function playWriter(world: World): Promise<void> {
  return world.perform(null, async (scene) => {
    const text = `made twice ${newId()} `.repeat(2_000);
    const work = async ({ spec, make }: StubTask): Promise<StubOutcome> => {
      await make("items.jsonl", "ITEMS", text);
      return { metrics: { value: answerOf(spec) } };
    };
    await scene.addPod({ work });
    await scene.addDispatcher();
    await submitRun(world, scene);
    await world.drain(scene, BOUND_MS);
    const program = join(import.meta.dirname, "half-writer-main.js");
    const child = spawn(process.execPath, [program, world.files.artifacts, sha256(text)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    child.stdin.end(text);
    await once(child.stdout, "data");
    child.kill("SIGKILL");
    await once(child, "exit");
  });
}

async function countOf(world: World, what: string): Promise<boolean> {
  return (await world.asAdmin(`select 1 from ${what}`)).length > 0;
}
