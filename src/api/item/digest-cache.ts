import { createHash } from "node:crypto";
import type { ArtifactStore } from "../../artifacts/store.js";
import type { Json } from "../../domain/digest.js";
import type { Line } from "../../domain/records.js";
import { AssayError } from "../../errors.js";
import { linesOf } from "../dataset/lines.js";

/** A larger file is downloaded, not read through GraphQL. */
const FILE_BYTES_MAX = 64 * 2 ** 20;

/** Reads the value of one line; a text says what is wrong with it. */
export type ReadLine<T> = (line: Json, index: number) => T | string;

interface Held<T> {
  readonly rows: Promise<readonly T[]>;
  bytes: number;
}

/**
 * Rows of JSONL files by the files' digests. What was read last is kept, up to a number of bytes of the files; equal requests at one
 * time read once. The digest names the bytes, so nothing here can go stale, and who may read them was asked before.
 */
export class DigestCache<T> {
  readonly #artifacts: ArtifactStore;
  readonly #read: ReadLine<T>;
  readonly #bytesMax: number;
  readonly #held = new Map<string, Held<T>>();

  constructor(artifacts: ArtifactStore, read: ReadLine<T>, bytesMax: number) {
    this.#artifacts = artifacts;
    this.#read = read;
    this.#bytesMax = bytesMax;
  }

  /** The rows of a file. Throws ARTIFACT_CORRUPT where it is gone, has other bytes or breaks its format; PAYLOAD_TOO_LARGE. */
  rows(sha256: string): Promise<readonly T[]> {
    const known = this.#held.get(sha256);
    if (known !== undefined) {
      // The last in a map is the one that was used last.
      this.#held.delete(sha256);
      this.#held.set(sha256, known);
      return known.rows;
    }
    const held: Held<T> = { bytes: 0, rows: this.#load(sha256, (bytes) => this.#measured(sha256, bytes)) };
    this.#held.set(sha256, held);
    held.rows.catch(() => this.#held.delete(sha256));
    return held.rows;
  }

  #measured(sha256: string, bytes: number): void {
    const held = this.#held.get(sha256);
    if (held !== undefined) held.bytes = bytes;
    let sum = [...this.#held.values()].reduce((total, one) => total + one.bytes, 0);
    for (const [digest, one] of this.#held) {
      if (sum <= this.#bytesMax) break;
      sum -= one.bytes;
      this.#held.delete(digest);
    }
  }

  async #load(sha256: string, measured: (bytes: number) => void): Promise<readonly T[]> {
    const hash = createHash("sha256");
    const rows: T[] = [];
    let bytes = 0;
    const counted = async function* (file: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
      for await (const chunk of file) {
        bytes += chunk.length;
        if (bytes > FILE_BYTES_MAX) {
          throw new AssayError(
            "QUERY_TOO_COMPLEX",
            `wanted a file of at most ${FILE_BYTES_MAX} bytes, but got a larger one; download it instead`,
          );
        }
        hash.update(chunk);
        yield chunk;
      }
    };
    const faults: string[] = [];
    for await (const line of linesOf(counted(this.#artifacts.open(sha256)))) {
      const row = readValue(line, rows.length, this.#read);
      // A file with other bytes is told as such, whatever its lines say: so all of it is read.
      if (typeof row === "string") faults.push(`line ${rows.length + 1}: ${row}`);
      else if (faults.length === 0) rows.push(row);
    }
    const got = hash.digest("hex");
    if (got !== sha256)
      throw new AssayError("ARTIFACT_CORRUPT", `wanted bytes of SHA-256 ${sha256}, but theirs is ${got}`);
    if (faults[0] !== undefined) throw new AssayError("ARTIFACT_CORRUPT", `artifact ${sha256}, ${faults[0]}`);
    measured(bytes);
    return rows;
  }
}

function readValue<T>(line: Line, index: number, read: ReadLine<T>): T | string {
  if (line === null) return "wanted a line of at most 1 MiB, but got a longer one";
  try {
    return read(JSON.parse(Buffer.from(line).toString("utf8")), index);
  } catch {
    return "wanted JSON, but got something else";
  }
}
