import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, afterEach, describe } from "node:test";
import { ArtifactFolder } from "../src/artifacts/folder.js";
import type { Grantor } from "../src/artifacts/store.js";
import type { DispatcherOptions } from "../src/dispatch/dispatcher.js";
import { sha256 } from "../src/domain/digest.js";
import { ErrorClass } from "../src/gen/assay/pod/v1/run.js";
import { jsonLog } from "../src/log.js";
import { nextSecond } from "./support/artifact-contract.js";
import { DispatchRig } from "./support/dispatch.js";
import { eventually } from "./support/eventually.js";
import { freshBucket, storeLane, testStore } from "./support/s3.js";
import { answerOf, type StubOutcome, type StubPodOptions, type StubTask } from "./support/stub-pod.js";

const server = await testStore();
const lane = storeLane(server);
const rig = await DispatchRig.open();
const bucket = freshBucket(server);
const { query } = rig.databases;

/** The pods' own folder: what came there came by a way that a bucket does not have. */
const folder = mkdtempSync(join(tmpdir(), "assay-apart-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const lines: string[] = [];

const start = (options: Partial<DispatcherOptions> = {}): Promise<unknown> =>
  rig.dispatcher({
    artifacts: bucket,
    grantor: bucket,
    log: jsonLog("dispatch", (line) => lines.push(line)),
    ...options,
  });

const pod = (options: Partial<StubPodOptions> = {}): Promise<unknown> =>
  rig.pod({ artifacts: new ArtifactFolder(folder), ...options });

afterEach(async () => {
  await rig.reset();
  assert.deepEqual(readdirSync(folder), []);
  for (const line of lines) assert.doesNotMatch(line, /X-Amz|Signature=/i);
  if ("bucket" in server) assert.ok(!lines.join("\n").includes(server.secretAccessKey));
});

const filesOf = (experimentId: string): Promise<{ name: string; sha256: string; size: number }[]> =>
  query(
    `select f.name, f.sha256, a.size_bytes::float8 as size from run_artifact f join artifact a on a.sha256 = f.sha256
     join run r on r.id = f.run_id where r.experiment_id = $1 order by f.name`,
    [experimentId],
  );

const errorsOf = (experimentId: string): Promise<{ error_code: string | null; outcome: string }[]> =>
  query("select a.error_code, a.outcome from attempt a join run r on r.id = a.run_id where r.experiment_id = $1", [
    experimentId,
  ]);

describe("with a bucket and pods that share no folder", () => {
  lane("runs read what others made and make their own, by addresses that they are granted", async () => {
    const work = async (task: StubTask): Promise<StubOutcome> => {
      await task.make("items.jsonl", "ITEMS", `items of ${task.runId}`);
      const read = await Promise.all([...task.inputs.keys()].map((name) => task.read(name)));
      return { metrics: { value: answerOf(task.spec), read } };
    };
    await pod({ slots: 2, work });
    await pod({ slots: 2, work });
    await start();
    const input = (from: number): { from: number; artifact: string; required: boolean } => ({
      from,
      artifact: "items.jsonl",
      required: true,
    });
    const experimentId = await rig.submit([
      { stage: 0 },
      { stage: 1, inputs: [input(0)] },
      { stage: 1, inputs: [input(0)] },
      { stage: 2, inputs: [input(1), input(2)] },
    ]);
    assert.deepEqual(new Set(await rig.ended(experimentId)), new Set(["SUCCEEDED"]));
    const runs = await query<{ id: string; read: string[] }>(
      "select r.id, x.metrics -> 'read' as read from run r join result x on x.run_id = r.id where r.experiment_id = $1 order by r.position",
      [experimentId],
    );
    const made = (i: number): string => `items of ${runs[i]?.id}`;
    assert.deepEqual(
      runs.map(({ read }) => read),
      [[], [made(0)], [made(0)], [made(1), made(2)]],
    );
    const files = await filesOf(experimentId);
    assert.equal(files.length, 8);
    for (const { sha256: name, size } of files) {
      assert.equal(await bucket.verify(name, size), true);
      assert.equal(sha256(await text(bucket.open(name))), name);
    }
  });

  lane("what attempts uploaded is gone from where it waited once they have ended", async () => {
    const grants: { runId: string; epoch: number }[] = [];
    const grantor: Grantor = {
      readGrant: (name) => bucket.readGrant(name),
      uploadGrant: (origin, file) => {
        grants.push(origin);
        return bucket.uploadGrant(origin, file);
      },
      takeUpload: (origin, file) => bucket.takeUpload(origin, file),
      removeUploads: (origin) => bucket.removeUploads(origin),
    };
    await pod();
    await start({ grantor });
    const experimentId = await rig.submit([{ stage: 0 }]);
    await rig.ended(experimentId);
    const [file] = await filesOf(experimentId);
    const [origin] = grants;
    assert.ok(file && origin);
    await eventually("the uploads to be removed", async () => {
      return !(await bucket.takeUpload(origin, { sha256: file.sha256, sizeBytes: file.size }));
    });
    assert.equal(await bucket.verify(file.sha256, file.size), true);
  });

  lane("an upload of other bytes than were announced is refused, and the run is tried again", async () => {
    const statuses: number[] = [];
    let spoilt = 0;
    await pod({
      uploaded: (status) => statuses.push(status),
      spoil: (bytes) => {
        spoilt += 1;
        return spoilt === 1 ? Buffer.from(bytes).fill("x") : bytes;
      },
    });
    await start();
    const experimentId = await rig.submit([{ stage: 0 }]);
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
    assert.deepEqual(statuses, [400, 200]);
    assert.deepEqual((await errorsOf(experimentId)).map((row) => row.error_code).sort(), ["ARTIFACT_CORRUPT", null]);
    assert.equal((await filesOf(experimentId)).length, 1);
  });

  lane("a file that was announced without an upload does not count, also when another run has made it", async () => {
    const known = Buffer.from("made before");
    const { sha256: name, sizeBytes } = await bucket.put(known, { maxBytes: 100 });
    await pod({
      work: async (task) => {
        if (task.epoch === 1) {
          task.claim({ name: "stolen.jsonl", kind: "ITEMS", sha256: name, sizeBytes: BigInt(sizeBytes) });
        }
        return { metrics: {} };
      },
    });
    await start();
    const experimentId = await rig.submit([{ stage: 0 }]);
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
    assert.deepEqual((await errorsOf(experimentId)).map((row) => row.error_code).sort(), ["ARTIFACT_CORRUPT", null]);
    assert.deepEqual(
      (await filesOf(experimentId)).map((file) => file.name),
      ["result.json"],
    );
  });

  lane(
    "a run goes on from the checkpoint that an earlier attempt uploaded, and passes over one that is lost",
    async () => {
      const digests: string[] = [];
      const from: (number | null)[] = [];
      await pod({
        work: async (task) => {
          from.push(task.resumedFrom);
          if (task.epoch > 2) return { metrics: {} };
          digests.push(await task.checkpoint(task.epoch * 10));
          await eventually("the checkpoint to be kept", async () => {
            const rows = await query("select 1 from checkpoint where run_id = $1 and epoch = $2", [
              task.runId,
              task.epoch,
            ]);
            return rows.length === 1;
          });
          // The file of the second attempt's checkpoint is lost behind everybody's back.
          if (task.epoch === 2) await bucket.remove(digests[1] ?? "");
          return { errorClass: ErrorClass.ERROR_CLASS_TRANSIENT, code: "MODEL_UNREACHABLE" };
        },
      });
      await start();
      const experimentId = await rig.submit([{ stage: 0 }]);
      assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
      assert.deepEqual(from, [null, 10, 10]);
      const rows = await query(
        "select body ->> 'message' as said from event where experiment_id = $1 and kind = 'WARNING'",
        [experimentId],
      );
      assert.match(JSON.stringify(rows), /the checkpoint at step 20 is passed over/);
    },
  );

  lane("a file too large for one upload fails the run with the reason", async () => {
    await pod({
      work: async (task) => {
        const file = { name: "huge.safetensors", sha256: sha256("huge"), sizeBytes: 6n * 2n ** 30n };
        const refusal = await task.ask(file);
        return { metrics: { refusal } };
      },
    });
    await start();
    const experimentId = await rig.submit([{ stage: 0 }]);
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
    const [row] = await query<{ metrics: { refusal: string } }>(
      "select x.metrics from result x join run r on r.id = x.run_id where r.experiment_id = $1",
      [experimentId],
    );
    assert.match(row?.metrics.refusal ?? "", /huge\.safetensors: wanted at most 5368709120 bytes, but got 6442450944/);
  });
});

describe("garbage", () => {
  lane("is removed by one dispatcher of several, and never what a run made or what is young", async () => {
    await pod();
    await start();
    const experimentId = await rig.submit([{ stage: 0 }]);
    await rig.ended(experimentId);
    const [file] = await filesOf(experimentId);
    assert.ok(file);
    const forgotten = await bucket.put(Buffer.from("forgotten"), { maxBytes: 100 });
    const olderThan = await nextSecond();
    const young = await bucket.put(Buffer.from("young"), { maxBytes: 100 });
    let sweeps = 0;
    const artifacts: DispatcherOptions["artifacts"] = {
      verify: (name, size) => bucket.verify(name, size),
      has: (name) => bucket.has(name),
      remove: (name) => bucket.remove(name),
      collectGarbage: (rule) => {
        sweeps += 1;
        return bucket.collectGarbage({ ...rule, olderThan });
      },
    };
    const garbage = { everyMs: 600_000, ageMs: 1 };
    await Promise.all([1, 2, 3].map(() => start({ artifacts, garbage })));
    await eventually("the sweep", async () => !(await bucket.has(forgotten.sha256)));
    assert.equal(await bucket.verify(file.sha256, file.size), true);
    assert.equal(await bucket.verify(young.sha256, young.sizeBytes), true);
    await rig.reset();
    assert.equal(sweeps, 1);
  });
});
