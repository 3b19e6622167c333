import assert from "node:assert/strict";
import { connect, createServer, type Socket } from "node:net";
import { after, afterEach, describe, it } from "node:test";
import { ErrorClass } from "../src/gen/assay/pod/v1/run.js";
import { WorkDatabase } from "../src/store/database.js";
import { assertInvariants } from "./faults/checker.js";
import { TcpProxy } from "./faults/tcp-proxy.js";
import { DispatchRig } from "./support/dispatch.js";
import { eventually } from "./support/eventually.js";
import { quietLog } from "./support/store.js";
import { answerOf, type StubOutcome, type StubPod, type StubTask } from "./support/stub-pod.js";

const rig = await DispatchRig.open();
const { query, access } = rig.databases;

afterEach(async () => {
  await rig.reset();
  await assertInvariants(rig.databases);
});

/** Work that waits until the test opens the gate. */
function gated(): { readonly work: (task: StubTask) => Promise<StubOutcome>; readonly open: () => void } {
  const gate = Promise.withResolvers<void>();
  const work = async ({ spec, epoch }: StubTask): Promise<StubOutcome> => {
    await gate.promise;
    return { metrics: { value: answerOf(spec), epoch } };
  };
  return { work, open: gate.resolve };
}

const inState = (experimentId: string, state: string): Promise<unknown> =>
  eventually(`the run to be ${state}`, async () => (await rig.states(experimentId))[0] === state);

const attemptsOf = (experimentId: string): Promise<{ epoch: number; outcome: string | null }[]> =>
  query(
    `select a.epoch, a.outcome from attempt a join run r on r.id = a.run_id where r.experiment_id = $1 order by a.epoch`,
    [experimentId],
  );

/** Puts a link that can be torn between the dispatchers and a pod. */
async function linked(pod: StubPod): Promise<TcpProxy> {
  const link = await TcpProxy.start({ host: "127.0.0.1", port: Number(pod.address.split(":")[1]) });
  after(() => link.close());
  rig.addresses.delete(pod.address);
  rig.addresses.add(link.address);
  return link;
}

describe("F6 and F17: a zombie", () => {
  it("that speaks after its run was done elsewhere is refused and recorded, and the rightful result stays", async () => {
    const slow = gated();
    const zombie = await rig.pod({ zombie: true, work: slow.work });
    await rig.dispatcher({ times: { ttlMs: 1_500, beatMs: 150 } });
    const experimentId = await rig.submit([{ stage: 0 }]);
    await inState(experimentId, "RUNNING");
    zombie.refusing = true;
    zombie.stopBeats();
    await eventually("the lease to run out", async () => (await attemptsOf(experimentId))[0]?.outcome === "LOST");
    await rig.pod({ work: ({ spec, epoch }) => Promise.resolve({ metrics: { value: answerOf(spec), epoch } }) });
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
    const stored = "select x.epoch, x.metrics from result x join run r on r.id = x.run_id where r.experiment_id = $1";
    const rightful = await query(stored, [experimentId]);
    slow.open();
    const late =
      "select l.epoch_seen, l.state_seen, l.what from late_write l join run r on r.id = l.run_id where r.experiment_id = $1";
    await eventually("the late result", async () => (await query(late, [experimentId])).length > 0);
    assert.deepEqual(await query(late, [experimentId]), [
      { epoch_seen: 1, state_seen: "SUCCEEDED", what: "SUCCEEDED" },
    ]);
    assert.deepEqual(await query(stored, [experimentId]), rightful);
  });
});

describe("F18: a half-open connection to a pod", () => {
  it("is found out by missing beats, not by TCP: the run is done, on the same pod, over a connection made anew", async () => {
    const slow = gated();
    const pod = await rig.pod({ work: slow.work, slots: 2 });
    const link = await linked(pod);
    await rig.dispatcher({ times: { ttlMs: 1_500, beatMs: 150, callMs: 500 } });
    const experimentId = await rig.submit([{ stage: 0 }]);
    await inState(experimentId, "RUNNING");
    link.halfOpen();
    await eventually("the loss to be seen", async () => (await attemptsOf(experimentId))[0]?.outcome === "LOST");
    slow.open();
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
  });
});

describe("F21: a run that kills whatever works on it", () => {
  it("is DEAD after three tries with a dead letter, and the tenant's other runs finish", async () => {
    const work = ({ spec }: StubTask): Promise<StubOutcome> =>
      Promise.resolve(
        spec["what"] === "poison"
          ? { errorClass: ErrorClass.ERROR_CLASS_POISON, code: "PROCESS_KILLED" }
          : { metrics: { value: answerOf(spec) } },
      );
    await rig.pod({ work, slots: 2 });
    await rig.dispatcher();
    const experimentId = await rig.submit([
      { stage: 0, spec: { what: "poison" } },
      ...Array.from({ length: 8 }, () => ({ stage: 0 })),
    ]);
    await eventually("all to end", async () => {
      await query("update run set not_before = now() where state = 'RETRY_WAIT' and not_before > now()");
      return (await rig.states(experimentId)).every((state) => state === "SUCCEEDED" || state === "DEAD");
    });
    assert.deepEqual(await rig.states(experimentId), ["DEAD", ...new Array(8).fill("SUCCEEDED")]);
    const letters = await query("select epoch, reason, error_code from dead_letter where experiment_id = $1", [
      experimentId,
    ]);
    assert.deepEqual(letters, [{ epoch: 3, reason: "POISON", error_code: "PROCESS_KILLED" }]);
  });
});

describe("F30: a lost reply to the commit of a result", () => {
  it("makes the pod repeat it, and it counts once", async () => {
    const relay = await commitSwallower(access.work.port);
    const database = await WorkDatabase.open({ login: { ...access.work, port: relay.port }, log: quietLog });
    after(() => database.close());
    await rig.pod();
    await rig.dispatcher({ database });
    const experimentId = await rig.submit([{ stage: 0 }]);
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
    await eventually("the reply to be lost", () => relay.swallowed() === 1);
    await eventually(
      "the dispatcher to be done with it",
      async () => (await query("select 1 from run where state = 'RUNNING'")).length === 0,
    );
    assert.deepEqual(await attemptsOf(experimentId), [{ epoch: 1, outcome: "SUCCEEDED" }]);
    const counted = "from %t x join run r on r.id = x.run_id where r.experiment_id = $1";
    assert.equal((await query(`select 1 ${counted.replace("%t", "usage")}`, [experimentId])).length, 3);
    assert.equal((await query(`select 1 ${counted.replace("%t", "late_write")}`, [experimentId])).length, 0);
  });
});

/** Passes bytes to and from PostgreSQL, but cuts the connection in place of the first reply to the commit of a result. */
async function commitSwallower(port: number): Promise<{ readonly port: number; readonly swallowed: () => number }> {
  let swallowed = 0;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    let completes = false;
    let armed = false;
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => undefined); // its close tells
      socket.once("close", () => other.destroy());
    }
    near.on("data", (chunk) => {
      completes ||= chunk.includes("end-complete");
      armed ||= completes && swallowed === 0 && chunk.includes("commit\0");
      far.write(chunk);
    });
    far.on("data", (chunk) => {
      if (!armed) return void near.write(chunk);
      swallowed += 1;
      far.destroy();
      return undefined;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return { port: typeof address === "object" && address !== null ? address.port : 0, swallowed: () => swallowed };
}
