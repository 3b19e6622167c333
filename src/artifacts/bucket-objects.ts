import { createHash } from "node:crypto";
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  type S3Client,
} from "@aws-sdk/client-s3";
import { type BucketPlace, orNull, statusOf, unavailable } from "./bucket-client.js";
import type { StoredArtifact } from "./store.js";

/** What the store says of an object without its bytes. */
export interface ObjectHead {
  readonly sizeBytes: number;
  readonly etag: string | undefined;
  readonly changedAt: Date;
  /** In lower-case hex; undefined where the store has none of the whole object. */
  readonly sha256: string | undefined;
}

/** An object in a listing. */
export interface ListedObject {
  readonly key: string;
  readonly changedAt: Date;
}

/** The few things that are done with objects of one bucket. Every failure is ARTIFACTS_UNAVAILABLE. */
export class BucketObjects {
  constructor(
    readonly client: S3Client,
    private readonly place: BucketPlace,
  ) {}

  /** The object's name as every command takes it. */
  at(path: string): { Bucket: string; Key: string } {
    return { Bucket: this.place.bucket, Key: `${this.place.prefix}${path}` };
  }

  /** What the store says of an object, or null. */
  async head(path: string): Promise<ObjectHead | null> {
    const said = await orNull(this.client.send(new HeadObjectCommand({ ...this.at(path), ChecksumMode: "ENABLED" })));
    if (said === null) return null;
    const { ContentLength: sizeBytes = 0, ETag: etag, LastModified: changedAt = new Date() } = said;
    const isWhole = said.ChecksumType !== "COMPOSITE" && !said.ChecksumSHA256?.includes("-");
    const sha256 = isWhole ? hexOf(said.ChecksumSHA256) : undefined;
    return { sizeBytes, etag, changedAt, sha256 };
  }

  /** The bytes of an object, or null. */
  async open(path: string): Promise<AsyncIterable<Uint8Array> | null> {
    const said = await orNull(this.client.send(new GetObjectCommand(this.at(path))));
    const body: unknown = said?.Body;
    return isBytes(body) ? body : null;
  }

  /** Whether the object is this file: by the store's own checksum, or by its bytes where the store has none. */
  async is(path: string, head: ObjectHead, file: StoredArtifact): Promise<boolean> {
    if (head.sizeBytes !== file.sizeBytes) return false;
    return (head.sha256 ?? (await this.digest(path))) === file.sha256;
  }

  /** Copies an object within the store, whole or not at all; false when it has changed since it was looked at. */
  async copy(from: { path: string; etag: string | undefined }, to: string): Promise<boolean> {
    const { Bucket, Key } = this.at(from.path);
    const command = new CopyObjectCommand({
      ...this.at(to),
      CopySource: `${Bucket}/${Key.split("/").map(encodeURIComponent).join("/")}`,
      CopySourceIfMatch: from.etag,
      ChecksumAlgorithm: "SHA256",
    });
    try {
      await this.client.send(command);
      return true;
    } catch (cause) {
      if ([404, 409, 412].includes(statusOf(cause) ?? 0)) return false;
      throw unavailable(cause);
    }
  }

  /** Removes an object; one that is not there is as good as removed. */
  async remove(path: string): Promise<void> {
    await orNull(this.client.send(new DeleteObjectCommand(this.at(path))));
  }

  /** Objects whose path begins so, in pages. Keys come without the store's own prefix. */
  async *list(begin: string, pageSize = 1_000): AsyncGenerator<ListedObject[], void, undefined> {
    let token: string | undefined;
    do {
      const { Bucket, Key: Prefix } = this.at(begin);
      const command = new ListObjectsV2Command({ Bucket, Prefix, MaxKeys: pageSize, ContinuationToken: token });
      const page = await this.client.send(command).catch((cause: unknown) => {
        throw unavailable(cause);
      });
      yield (page.Contents ?? []).map(({ Key = "", LastModified }) => ({
        key: Key.slice(this.place.prefix.length),
        changedAt: LastModified ?? new Date(),
      }));
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  private async digest(path: string): Promise<string | null> {
    const bytes = await this.open(path);
    if (bytes === null) return null;
    const hash = createHash("sha256");
    try {
      for await (const chunk of bytes) hash.update(chunk);
    } catch (cause) {
      throw unavailable(cause);
    }
    return hash.digest("hex");
  }
}

/** A digest as the store's header fields have it. */
export function base64Of(sha256: string): string {
  return Buffer.from(sha256, "hex").toString("base64");
}

function hexOf(base64: string | undefined): string | undefined {
  return base64 === undefined ? undefined : Buffer.from(base64, "base64").toString("hex");
}

function isBytes(body: unknown): body is AsyncIterable<Uint8Array> {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}
