import type { Readable } from "node:stream";
import type { GarbageRule, Removed } from "./garbage.js";

/** A stored file: its SHA-256 in lower-case hex is its name. */
export interface StoredArtifact {
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** What a file may be while it is taken in. */
export interface PutLimits {
  /** More bytes than this are refused with PAYLOAD_TOO_LARGE, and nothing stays behind. */
  readonly maxBytes: number;
  /** When given, a file with another digest is refused with ARTIFACT_CORRUPT, and nothing stays behind. */
  readonly sha256?: string;
}

/** Immutable files by their SHA-256. Putting the same bytes twice stores them once. */
export interface ArtifactStore {
  /** Stores bytes; durable when the promise resolves. */
  put(bytes: AsyncIterable<Uint8Array> | Uint8Array, limits: PutLimits): Promise<StoredArtifact>;
  /** The bytes of a stored file; the stream fails with ARTIFACT_CORRUPT when there is none. */
  open(sha256: string): Readable;
  /** Whether the file is there, of this size and of this digest, by its bytes or by what the store itself computed of them. */
  verify(sha256: string, sizeBytes: number): Promise<boolean>;
  /** Whether a file of this digest is there; its bytes are not read. */
  has(sha256: string): Promise<boolean>;
  /** Removes a file that nobody needs any more; that it is not there is no error. */
  remove(sha256: string): Promise<void>;
  /** Removes files that nobody has registered and what was left unfinished, both only when they are old enough. */
  collectGarbage(rule: GarbageRule): Promise<Removed>;
}

/** The attempt that a file comes from; both words are ours, never a pod's. */
export interface AttemptOrigin {
  readonly runId: string;
  readonly epoch: number;
}

/** Where one file may be uploaded for a while: a PUT of exactly its bytes with these header fields. The address is a secret. */
export interface UploadGrant {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Lets pods read and write single files for a while without any access of their own. Only a store that has addresses can: the
 * folder is shared as it is.
 */
export interface Grantor {
  /** An address at which the file can be read for an hour. It is a secret. */
  readGrant(sha256: string): Promise<string>;
  /** Takes nothing in yet: the bytes wait under the attempt's own prefix. Throws PAYLOAD_TOO_LARGE. */
  uploadGrant(origin: AttemptOrigin, file: StoredArtifact): Promise<UploadGrant>;
  /** Stores a file that the attempt has uploaded; false when it has not, or other bytes. May be repeated. */
  takeUpload(origin: AttemptOrigin, file: StoredArtifact): Promise<boolean>;
  /** Removes what the attempt uploaded; what was taken from there stays stored. */
  removeUploads(origin: AttemptOrigin): Promise<void>;
}
