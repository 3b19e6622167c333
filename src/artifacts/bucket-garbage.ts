import { AbortMultipartUploadCommand, ListMultipartUploadsCommand } from "@aws-sdk/client-s3";
import { type BucketPlace, orNull, unavailable } from "./bucket-client.js";
import type { BucketObjects, ListedObject } from "./bucket-objects.js";
import { digestIn, GARBAGE_BATCH, type GarbageRule, type Removed } from "./garbage.js";

/** Removes unregistered files, uploads that nobody took and multipart uploads that nobody finished, all only when old enough. */
export async function collectBucketGarbage(
  objects: BucketObjects,
  place: BucketPlace,
  rule: GarbageRule,
): Promise<Removed> {
  let files = 0;
  let leftovers = await abortMultipart(objects, place, rule.olderThan);
  for await (const page of objects.list("cas/", GARBAGE_BATCH)) files += await removeUnregistered(objects, page, rule);
  for await (const page of objects.list("tmp/", GARBAGE_BATCH)) {
    for (const { key, changedAt } of page) {
      if (changedAt >= rule.olderThan) continue;
      await objects.remove(key);
      leftovers += 1;
    }
  }
  return { files, leftovers };
}

async function removeUnregistered(
  objects: BucketObjects,
  page: readonly ListedObject[],
  { olderThan, isRegistered }: GarbageRule,
): Promise<number> {
  const old = page.flatMap(({ key, changedAt }) => {
    const sha256 = digestIn(key.slice(key.lastIndexOf("/") + 1));
    return sha256 !== null && changedAt < olderThan ? [{ key, sha256 }] : [];
  });
  const registered = old.length === 0 ? new Set() : await isRegistered(old.map(({ sha256 }) => sha256));
  let removed = 0;
  for (const { key, sha256 } of old) {
    if (registered.has(sha256)) continue;
    // Somebody may have put it again since it was listed, and be about to register it.
    const now = await objects.head(key);
    if (now === null || now.changedAt >= olderThan) continue;
    await objects.remove(key);
    removed += 1;
  }
  return removed;
}

/** A gateway that was killed in the middle of a large file leaves parts that no listing of objects shows. */
async function abortMultipart(objects: BucketObjects, { bucket }: BucketPlace, olderThan: Date): Promise<number> {
  const { Key: Prefix } = objects.at("tmp/");
  const command = new ListMultipartUploadsCommand({ Bucket: bucket, Prefix });
  const page = await objects.client.send(command).catch((cause: unknown) => {
    throw unavailable(cause);
  });
  let aborted = 0;
  for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
    if (Initiated === undefined || Initiated >= olderThan) continue;
    await orNull(objects.client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId })));
    aborted += 1;
  }
  return aborted;
}
