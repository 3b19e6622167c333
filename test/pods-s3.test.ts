import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, afterEach, describe } from "node:test";
import { ArtifactBucket } from "../src/artifacts/bucket.js";
import type { Grantor } from "../src/artifacts/store.js";
import { LocalPod } from "../src/embedded/pod.js";
import { jsonLog } from "../src/log.js";
import { TcpProxy } from "./faults/tcp-proxy.js";
import { DispatchRig } from "./support/dispatch.js";
import { eventually } from "./support/eventually.js";
import { freshPlace, storeLane, testStore } from "./support/s3.js";

const server = await testStore();
const lane = storeLane(server);
const rig = await DispatchRig.open();
const { query } = rig.databases;
const folder = mkdtempSync(join(tmpdir(), "assay-pod-s3-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const lines: string[] = [];
const pods: LocalPod[] = [];

afterEach(async () => {
  await Promise.all(pods.splice(0).map((pod) => pod.close()));
  await rig.reset();
  for (const line of lines) assert.doesNotMatch(line, /X-Amz|Signature=/i);
});

/** A Python pod with a folder of its own and a capability that does what its spec says. */
function startPod(name: string): LocalPod {
  let address: string | undefined;
  const pod = LocalPod.start({
    artifactsDir: join(folder, name),
    cacheDir: join(folder, `${name}-models`),
    slots: 2,
    arguments: ["--device", "cpu", "--preload", "none", "--capability", "robustness=tests.server_capability:run"],
    log: jsonLog("pod", (line) => lines.push(line)),
    onAddress: (now) => {
      if (address !== undefined) rig.addresses.delete(address);
      address = now;
      if (now !== undefined) rig.addresses.add(now);
    },
  });
  pods.push(pod);
  return pod;
}

/** The store behind a link that can be torn; service and pods both reach it through the link alone. */
async function tornStore(): Promise<{ bucket: ArtifactBucket; link: TcpProxy }> {
  const place = freshPlace(server);
  const link = await TcpProxy.start({ host: "127.0.0.1", port: Number(new URL(place.endpoint ?? "").port) });
  const bucket = new ArtifactBucket({ ...place, endpoint: `http://${link.address}` }, place);
  after(async () => {
    bucket.close();
    await link.close();
  });
  return { bucket, link };
}

const start = (bucket: ArtifactBucket, grantor: Grantor = bucket): Promise<unknown> =>
  rig.dispatcher({ artifacts: bucket, grantor, log: jsonLog("dispatch", (line) => lines.push(line)) });

const echo = { capability: "robustness", step: "echo", value: 7 };

interface FileRow {
  readonly position: number;
  readonly epoch: number;
  readonly name: string;
  readonly sha256: string;
  readonly size: number;
}

const filesOf = (experimentId: string): Promise<FileRow[]> =>
  query(
    `select r.position, f.epoch, f.name, f.sha256, a.size_bytes::float8 as size
     from run_artifact f join artifact a on a.sha256 = f.sha256 join run r on r.id = f.run_id
     where r.experiment_id = $1 order by r.position, f.name`,
    [experimentId],
  );

describe("Python pods with folders of their own", () => {
  lane("hand files on to one another through the bucket alone", async () => {
    const { bucket } = await tornStore();
    startPod("one");
    startPod("two");
    await start(bucket);
    const input = (from: number): { from: number; artifact: string; required: boolean } => {
      return { from, artifact: "items.jsonl", required: true };
    };
    const experimentId = await rig.submit([
      { stage: 0, spec: echo },
      { stage: 0, spec: echo },
      { stage: 0, spec: echo },
      { stage: 0, spec: echo },
      { stage: 1, spec: echo, inputs: [0, 1, 2, 3].map(input) },
    ]);
    assert.deepEqual(new Set(await rig.ended(experimentId)), new Set(["SUCCEEDED"]));
    const files = await filesOf(experimentId);
    assert.equal(files.length, 10);
    for (const { sha256: name, size } of files) assert.equal(await bucket.verify(name, size), true);
    const last = files.find((file) => file.position === 4 && file.name === "items.jsonl");
    assert.equal(await text(bucket.open(last?.sha256 ?? "")), "nothing\n".repeat(4));
  });

  lane(
    "leave nothing registered when they are killed in the middle of an upload, and the run is done again",
    async () => {
      const { bucket, link } = await tornStore();
      const pod = startPod("killed");
      let granted = 0;
      const grantor: Grantor = {
        readGrant: (name) => bucket.readGrant(name),
        uploadGrant: async (origin, file) => {
          granted += 1;
          // Everything is sent into a link that passes nothing.
          if (granted === 1) await link.set("STALLED");
          return bucket.uploadGrant(origin, file);
        },
        takeUpload: (origin, file) => bucket.takeUpload(origin, file),
        removeUploads: (origin) => bucket.removeUploads(origin),
      };
      await start(bucket, grantor);
      const experimentId = await rig.submit([{ stage: 0, spec: echo }]);
      await eventually("an upload to hang", () => granted > 0 && link.connections > 0);
      assert.ok(pod.pid !== undefined && pod.pid > 1);
      process.kill(pod.pid, "SIGKILL");
      await eventually("the attempt to be lost", async () => {
        const lost = await query(
          "select 1 from attempt a join run r on r.id = a.run_id where r.experiment_id = $1 and a.outcome = 'LOST'",
          [experimentId],
        );
        return lost.length === 1;
      });
      assert.deepEqual(await filesOf(experimentId), []);
      await link.set("OPEN");
      assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
      const files = await filesOf(experimentId);
      assert.deepEqual(
        files.map(({ epoch, name }) => ({ epoch, name })),
        ["items.jsonl", "result.json"].map((name) => ({ epoch: 2, name })),
      );
      for (const { sha256: name, size } of files) assert.equal(await bucket.verify(name, size), true);
    },
  );
});
