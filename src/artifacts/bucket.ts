import { createHash, randomUUID } from "node:crypto";
import { Readable } from "node:stream";
import { HeadBucketCommand } from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { AssayError } from "../errors.js";
import { type BucketKey, type BucketPlace, bucketClient, unavailable } from "./bucket-client.js";
import { collectBucketGarbage } from "./bucket-garbage.js";
import { BucketObjects, base64Of } from "./bucket-objects.js";
import { GRANT_BYTES_MAX, presignGet, presignPut } from "./bucket-presign.js";
import { digestIn, type GarbageRule, type Removed } from "./garbage.js";
import type { ArtifactStore, AttemptOrigin, Grantor, PutLimits, StoredArtifact, UploadGrant } from "./store.js";

const PART_BYTES = 8 * 2 ** 20;

/**
 * Artifacts in a bucket of an S3-compatible store: `cas/<first two digits>/<digest>` for whole files, `tmp/` for what is not taken
 * yet. A file comes under its digest by one copy within the store, so it is there whole or not at all.
 */
export class ArtifactBucket implements ArtifactStore, Grantor {
  private readonly objects: BucketObjects;

  constructor(
    private readonly place: BucketPlace,
    key?: BucketKey,
  ) {
    this.objects = new BucketObjects(bucketClient(place, key), place);
  }

  /** Whether the bucket answers. Throws ARTIFACTS_UNAVAILABLE, which says why not. */
  async check(): Promise<void> {
    await this.objects.client.send(new HeadBucketCommand({ Bucket: this.place.bucket })).catch((cause: unknown) => {
      throw unavailable(cause);
    });
  }

  /** Closes its connections. */
  close(): void {
    this.objects.client.destroy();
  }

  async put(bytes: AsyncIterable<Uint8Array> | Uint8Array, limits: PutLimits): Promise<StoredArtifact> {
    const path = `tmp/put/${randomUUID()}`;
    const counted = new CountedBytes(bytes, limits);
    try {
      await this.upload(path, counted);
      const stored = counted.outcome();
      if (!(await this.settle(path, stored))) {
        throw new AssayError("ARTIFACT_CORRUPT", `wanted the store to keep ${stored.sha256}, but it has other bytes`);
      }
      return stored;
    } finally {
      // What cannot be removed now goes with the garbage.
      await this.objects.remove(path).catch(() => undefined);
    }
  }

  open(sha256: string): Readable {
    return Readable.from(this.bytesOf(sha256), { objectMode: false });
  }

  async verify(sha256: string, sizeBytes: number): Promise<boolean> {
    const path = pathOf(sha256);
    const head = await this.objects.head(path);
    return head !== null && this.objects.is(path, head, { sha256, sizeBytes });
  }

  async has(sha256: string): Promise<boolean> {
    return (await this.objects.head(pathOf(sha256))) !== null;
  }

  remove(sha256: string): Promise<void> {
    return this.objects.remove(pathOf(sha256));
  }

  collectGarbage(rule: GarbageRule): Promise<Removed> {
    return collectBucketGarbage(this.objects, this.place, rule);
  }

  readGrant(sha256: string): Promise<string> {
    return presignGet(this.objects.client, this.objects.at(pathOf(sha256)));
  }

  async uploadGrant(origin: AttemptOrigin, file: StoredArtifact): Promise<UploadGrant> {
    if (!Number.isSafeInteger(file.sizeBytes) || file.sizeBytes < 0 || file.sizeBytes > GRANT_BYTES_MAX) {
      throw new AssayError("PAYLOAD_TOO_LARGE", `wanted at most ${GRANT_BYTES_MAX} bytes, but got ${file.sizeBytes}`);
    }
    return presignPut(this.objects.client, this.objects.at(uploadPathOf(origin, file.sha256)), {
      sizeBytes: file.sizeBytes,
      checksum: base64Of(file.sha256),
    });
  }

  takeUpload(origin: AttemptOrigin, file: StoredArtifact): Promise<boolean> {
    return this.settle(uploadPathOf(origin, file.sha256), file);
  }

  async removeUploads(origin: AttemptOrigin): Promise<void> {
    for await (const page of this.objects.list(`${attemptPathOf(origin)}/`)) {
      for (const { key } of page) await this.objects.remove(key);
    }
  }

  private async upload(path: string, bytes: CountedBytes): Promise<void> {
    const upload = new Upload({
      client: this.objects.client,
      params: {
        ...this.objects.at(path),
        Body: Readable.from(bytes, { objectMode: false }),
        ChecksumAlgorithm: "SHA256",
      },
      partSize: PART_BYTES,
      queueSize: 2,
      leavePartsOnError: false,
    });
    try {
      await upload.done();
    } catch (cause) {
      throw bytes.fault ?? unavailable(cause);
    }
  }

  /**
   * Gives a whole file at `path` its digest as its name; false when it is not there or is another file. A file that has the name
   * already is written over: its bytes are the same, or were spoilt, and it must be young until somebody has registered it.
   */
  private async settle(path: string, file: StoredArtifact): Promise<boolean> {
    for (let tries = 1; tries <= 3; tries += 1) {
      const source = await this.objects.head(path);
      if (source === null || !(await this.objects.is(path, source, file))) return false;
      if (await this.objects.copy({ path, etag: source.etag }, pathOf(file.sha256))) return true;
    }
    return false;
  }

  private async *bytesOf(sha256: string): AsyncGenerator<Uint8Array, void, undefined> {
    const bytes = await this.objects.open(pathOf(sha256));
    if (bytes === null) throw unreadable(sha256);
    try {
      yield* bytes;
    } catch (cause) {
      throw unreadable(sha256, cause);
    }
  }
}

/** Bytes on their way, held to their limits. */
class CountedBytes implements AsyncIterable<Uint8Array> {
  /** What was wrong with the bytes, or with where they came from. */
  fault: unknown;
  private readonly hash = createHash("sha256");
  private sizeBytes = 0;

  constructor(
    private readonly bytes: AsyncIterable<Uint8Array> | Uint8Array,
    private readonly limits: PutLimits,
  ) {}

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for await (const chunk of this.bytes instanceof Uint8Array ? [this.bytes] : this.bytes) {
        this.sizeBytes += chunk.length;
        const { maxBytes } = this.limits;
        if (this.sizeBytes > maxBytes) {
          throw new AssayError("PAYLOAD_TOO_LARGE", `wanted at most ${maxBytes} bytes, but more came`);
        }
        this.hash.update(chunk);
        yield chunk;
      }
    } catch (fault) {
      this.fault = fault;
      throw fault;
    }
  }

  outcome(): StoredArtifact {
    const sha256 = this.hash.digest("hex");
    const wanted = this.limits.sha256;
    if (wanted !== undefined && wanted !== sha256) {
      throw new AssayError("ARTIFACT_CORRUPT", `wanted bytes of SHA-256 ${wanted}, but theirs is ${sha256}`);
    }
    return { sha256, sizeBytes: this.sizeBytes };
  }
}

function pathOf(sha256: string): string {
  if (digestIn(sha256) !== null) return `cas/${sha256.slice(0, 2)}/${sha256}`;
  throw new AssayError(
    "INTERNAL",
    "wanted a SHA-256 of 64 lower-case hex digits as the name of an artifact, but got another text",
  );
}

function attemptPathOf({ runId, epoch }: AttemptOrigin): string {
  return `tmp/${runId}/${epoch}`;
}

function uploadPathOf(origin: AttemptOrigin, sha256: string): string {
  return `${attemptPathOf(origin)}/${pathOf(sha256).slice("cas/00/".length)}`;
}

function unreadable(sha256: string, cause?: unknown): AssayError {
  return new AssayError("ARTIFACT_CORRUPT", `wanted to read artifact ${sha256}, but it cannot be read`, { cause });
}
