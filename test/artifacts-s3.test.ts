import assert from "node:assert/strict";
import { after, describe } from "node:test";
import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { ArtifactBucket } from "../src/artifacts/bucket.js";
import { bucketClient } from "../src/artifacts/bucket-client.js";
import { BucketObjects } from "../src/artifacts/bucket-objects.js";
import type { StoredArtifact, UploadGrant } from "../src/artifacts/store.js";
import { newId, sha256 } from "../src/domain/digest.js";
import { artifactContract, type ContractStore, failsWith, nextSecond } from "./support/artifact-contract.js";
import { freshPlace, storeLane, testStore } from "./support/s3.js";

const server = await testStore();
const lane = storeLane(server);

interface Behind extends ContractStore {
  readonly store: ArtifactBucket;
  readonly client: S3Client;
  readonly at: (path: string) => { Bucket: string; Key: string };
}

function fresh(): Behind {
  const place = freshPlace(server);
  const client = bucketClient(place, place);
  const store = new ArtifactBucket(place, place);
  after(() => {
    client.destroy();
    store.close();
  });
  const objects = new BucketObjects(client, place);
  const paths = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const page of objects.list("", 3)) found.push(...page.map(({ key }) => key));
    return found.sort();
  };
  const at = (path: string): { Bucket: string; Key: string } => objects.at(path);
  const spoil = async (path: string, bytes: Buffer): Promise<void> => {
    await client.send(new PutObjectCommand({ ...at(path), Body: bytes }));
  };
  return { store, client, at, paths, spoil };
}

function fileOf(text: string): StoredArtifact & { bytes: Buffer } {
  return { sha256: sha256(text), sizeBytes: Buffer.byteLength(text), bytes: Buffer.from(text) };
}

async function send({ url, headers }: UploadGrant, bytes: Buffer, other: Record<string, string> = {}): Promise<number> {
  const all = { ...headers, "content-length": String(bytes.length), ...other };
  return (await fetch(url, { method: "PUT", headers: all, body: new Uint8Array(bytes) })).status;
}

describe("the artifact bucket", () => {
  artifactContract(lane, fresh);

  lane("sees by the store's own checksum that a file was replaced, without reading it", async () => {
    const { store, client, at } = fresh();
    const { sha256: name, sizeBytes } = await store.put(Buffer.from("some bytes"), { maxBytes: 100 });
    const other = Buffer.from("SOME BYTES");
    await client.send(
      new PutObjectCommand({
        ...at(`cas/${name.slice(0, 2)}/${name}`),
        Body: other,
        ChecksumSHA256: Buffer.from(sha256(other), "hex").toString("base64"),
      }),
    );
    assert.equal(await store.verify(name, sizeBytes), false);
  });

  lane("removes old uploads and multipart uploads that nobody finished, and keeps young ones", async () => {
    const { store, client, at, paths, spoil } = fresh();
    const begin = async (path: string): Promise<void> => {
      const { UploadId } = await client.send(new CreateMultipartUploadCommand(at(path)));
      await client.send(new UploadPartCommand({ ...at(path), UploadId, PartNumber: 1, Body: "part" }));
    };
    await spoil("tmp/run/1/old", Buffer.from("old"));
    await begin("tmp/put/old");
    const olderThan = await nextSecond();
    await spoil("tmp/run/2/young", Buffer.from("young"));
    await begin("tmp/put/young");
    assert.deepEqual(await store.collectGarbage({ olderThan, isRegistered: async () => new Set() }), {
      files: 0,
      leftovers: 2,
    });
    assert.deepEqual(await paths(), ["tmp/run/2/young"]);
    const { Bucket, Key: Prefix } = at("");
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket, Prefix }));
    assert.deepEqual(
      Uploads.map(({ Key }) => Key),
      [at("tmp/put/young").Key],
    );
  });

  lane("says that it cannot be reached, whatever the reason, and names no key", async () => {
    const place = freshPlace(server);
    for (const wrong of [
      new ArtifactBucket(place, { accessKeyId: place.accessKeyId, secretAccessKey: "canary" }),
      new ArtifactBucket({ ...place, endpoint: "http://127.0.0.1:1" }, place),
      new ArtifactBucket({ ...place, bucket: "there-is-none" }, place),
    ]) {
      after(() => wrong.close());
      const isTold = (thrown: unknown): boolean =>
        failsWith("ARTIFACTS_UNAVAILABLE")(thrown) && !String(thrown).includes("canary");
      await assert.rejects(wrong.check(), isTold);
      await assert.rejects(wrong.put(Buffer.from("x"), { maxBytes: 1 }), isTold);
    }
  });
});

describe("a grant", () => {
  const file = fileOf("hello world");
  const origin = { runId: newId(), epoch: 1 };

  lane("takes exactly the bytes that it was given for, once or again, and they wait until they are taken", async () => {
    const { store, paths } = fresh();
    const grant = await store.uploadGrant(origin, file);
    assert.deepEqual([await send(grant, file.bytes), await send(grant, file.bytes)], [200, 200]);
    assert.deepEqual(await paths(), [`tmp/${origin.runId}/1/${file.sha256}`]);
    assert.equal(await store.has(file.sha256), false);
    assert.deepEqual([await store.takeUpload(origin, file), await store.takeUpload(origin, file)], [true, true]);
    assert.equal(await store.verify(file.sha256, file.sizeBytes), true);
    await store.removeUploads(origin);
    assert.deepEqual(await paths(), [`cas/${file.sha256.slice(0, 2)}/${file.sha256}`]);
  });

  lane("refuses other bytes, another size, another checksum, another name and no checksum at all", async () => {
    const { store, paths } = fresh();
    const grant = await store.uploadGrant(origin, file);
    const other = Buffer.from("HELLO world");
    const own = { "x-amz-checksum-sha256": Buffer.from(sha256(other), "hex").toString("base64") };
    const elsewhere = { ...grant, url: grant.url.replace("/1/", "/2/") };
    const statuses = [
      await send(grant, other),
      await send(grant, Buffer.from("hello world, and more")),
      await send(grant, other, own),
      await send(elsewhere, file.bytes),
      await send({ ...grant, headers: {} }, file.bytes),
    ];
    assert.deepEqual(statuses, [400, 403, 403, 403, 403]);
    assert.deepEqual(await paths(), []);
    assert.equal(await store.takeUpload(origin, file), false);
  });

  lane("is for one attempt: what another epoch uploaded is not taken, and what is stored proves nothing", async () => {
    const { store } = fresh();
    await store.put(file.bytes, { maxBytes: 100 });
    const zombie = { ...origin, epoch: 2 };
    assert.equal(await send(await store.uploadGrant(zombie, file), file.bytes), 200);
    assert.equal(await store.takeUpload(origin, file), false);
    assert.equal(await store.takeUpload(zombie, { ...file, sizeBytes: file.sizeBytes + 1 }), false);
  });

  lane("is refused for more than one PUT may bring", async () => {
    const { store } = fresh();
    await assert.rejects(
      store.uploadGrant(origin, { ...file, sizeBytes: 6 * 2 ** 30 }),
      failsWith("PAYLOAD_TOO_LARGE"),
    );
  });

  lane("to read gives the bytes, also a part of them, and of this file alone", async () => {
    const { store } = fresh();
    await store.put(file.bytes, { maxBytes: 100 });
    const url = await store.readGrant(file.sha256);
    assert.equal(await (await fetch(url)).text(), "hello world");
    const part = await fetch(url, { headers: { range: "bytes=6-" } });
    assert.deepEqual([part.status, await part.text()], [206, "world"]);
    assert.equal((await fetch(url.replace(file.sha256, sha256("another")))).status, 403);
    assert.equal((await fetch(url, { method: "PUT", body: "x" })).status, 403);
  });
});
