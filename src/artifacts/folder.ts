import { createHash, type Hash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { AssayError } from "../errors.js";
import { collectFolderGarbage } from "./folder-garbage.js";
import type { GarbageRule, Removed } from "./garbage.js";
import type { ArtifactStore, PutLimits, StoredArtifact } from "./store.js";

/**
 * Artifacts in a folder that pods on the same disk read and write too: `cas/<first two digits>/<digest>`, and `tmp/` for
 * what is not whole yet. A file appears under its digest only once all its bytes are on the disk.
 */
export class ArtifactFolder implements ArtifactStore {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  async put(bytes: AsyncIterable<Uint8Array> | Uint8Array, limits: PutLimits): Promise<StoredArtifact> {
    const temporary = join(this.#root, "tmp", randomUUID());
    await mkdir(dirname(temporary), { recursive: true });
    const file = await open(temporary, "wx", 0o640);
    try {
      const stored = await writeAll(file, bytes, limits);
      await file.sync();
      await this.#settle(temporary, stored.sha256);
      return stored;
    } finally {
      await file.close();
      await rm(temporary, { force: true });
    }
  }

  open(sha256: string): Readable {
    return Readable.from(bytesOf(this.#path(sha256), sha256), { objectMode: false });
  }

  async verify(sha256: string, sizeBytes: number): Promise<boolean> {
    if ((await this.#size(sha256)) !== sizeBytes) return false;
    const hash = createHash("sha256");
    for await (const chunk of createReadStream(this.#path(sha256))) hash.update(chunk);
    return hash.digest("hex") === sha256;
  }

  async has(sha256: string): Promise<boolean> {
    return (await this.#size(sha256)) !== null;
  }

  async remove(sha256: string): Promise<void> {
    await rm(this.#path(sha256), { force: true });
  }

  collectGarbage(rule: GarbageRule): Promise<Removed> {
    return collectFolderGarbage(this.#root, rule);
  }

  /** Gives the whole file its name, in place of one that is there: equal digests are equal bytes. */
  async #settle(temporary: string, sha256: string): Promise<void> {
    const path = this.#path(sha256);
    const made = await mkdir(dirname(path), { recursive: true });
    await rename(temporary, path);
    await syncFolder(dirname(path));
    if (made !== undefined) await syncFolder(dirname(dirname(path)));
  }

  async #size(sha256: string): Promise<number | null> {
    try {
      const found = await stat(this.#path(sha256));
      return found.isFile() ? found.size : null;
    } catch (cause) {
      if (isFileError(cause, "ENOENT")) return null;
      throw cause;
    }
  }

  #path(sha256: string): string {
    if (!/^[0-9a-f]{64}$/.test(sha256)) {
      throw new AssayError(
        "INTERNAL",
        "wanted a SHA-256 of 64 lower-case hex digits as the name of an artifact, but got another text",
      );
    }
    return join(this.#root, "cas", sha256.slice(0, 2), sha256);
  }
}

async function* bytesOf(path: string, sha256: string): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for await (const chunk of createReadStream(path)) yield chunk;
  } catch (cause) {
    throw new AssayError("ARTIFACT_CORRUPT", `wanted to read artifact ${sha256}, but it cannot be read`, { cause });
  }
}

async function writeAll(
  file: FileHandle,
  bytes: AsyncIterable<Uint8Array> | Uint8Array,
  { maxBytes, sha256 }: PutLimits,
): Promise<StoredArtifact> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  for await (const chunk of bytes instanceof Uint8Array ? [bytes] : bytes) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes) {
      throw new AssayError("PAYLOAD_TOO_LARGE", `wanted at most ${maxBytes} bytes, but more came`);
    }
    await writeChunk(file, hash, chunk);
  }
  const got = hash.digest("hex");
  if (sha256 !== undefined && sha256 !== got) {
    throw new AssayError("ARTIFACT_CORRUPT", `wanted bytes of SHA-256 ${sha256}, but theirs is ${got}`);
  }
  return { sha256: got, sizeBytes };
}

async function writeChunk(file: FileHandle, hash: Hash, chunk: Uint8Array): Promise<void> {
  hash.update(chunk);
  let offset = 0;
  while (offset < chunk.length) {
    const { bytesWritten } = await file.write(chunk, offset);
    offset += bytesWritten;
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function isFileError(thrown: unknown, code: string): boolean {
  return thrown instanceof Error && "code" in thrown && thrown.code === code;
}
