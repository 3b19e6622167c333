import type { Readable } from "node:stream";

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
  /** Reads the whole file and says whether it is there, of this size and of this digest. */
  verify(sha256: string, sizeBytes: number): Promise<boolean>;
  /** Whether a file of this digest is there; its bytes are not read. */
  has(sha256: string): Promise<boolean>;
  /** Removes a file that nobody needs any more; that it is not there is no error. */
  remove(sha256: string): Promise<void>;
}
