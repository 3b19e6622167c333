import { createHash } from "node:crypto";
import type { ArtifactStore } from "../../artifacts/store.js";
import type { Json } from "../../domain/digest.js";
import { linesOf } from "../../domain/lines.js";
import type { Line } from "../../domain/records.js";
import { AssayError } from "../../errors.js";

/** A larger file is downloaded, not read through GraphQL. */
const FILE_BYTES_MAX = 64 * 2 ** 20;

/** What a file holds, or what is wrong with it. Reads all of the bytes either way, so that their digest is known. */
export type Parse<T> = (
  bytes: AsyncIterable<Uint8Array>,
) => Promise<{ readonly value: T } | { readonly fault: string }>;

interface Held<T> {
  readonly value: Promise<T>;
  bytes: number;
}

/**
 * What files hold, by the files' digests. What was read last is kept, up to a number of bytes of the files; equal requests at one
 * time read once. The digest names the bytes, so nothing here can go stale, and who may read them was asked before.
 */
export class DigestCache<T> {
  readonly #artifacts: ArtifactStore;
  readonly #parse: Parse<T>;
  readonly #bytesMax: number;
  readonly #held = new Map<string, Held<T>>();

  constructor(artifacts: ArtifactStore, parse: Parse<T>, bytesMax: number) {
    this.#artifacts = artifacts;
    this.#parse = parse;
    this.#bytesMax = bytesMax;
  }

  /** What a file holds. Throws ARTIFACT_CORRUPT where it is gone, has other bytes or breaks its format; QUERY_TOO_COMPLEX. */
  get(sha256: string): Promise<T> {
    const known = this.#held.get(sha256);
    if (known !== undefined) {
      // The last in a map is the one that was used last.
      this.#held.delete(sha256);
      this.#held.set(sha256, known);
      return known.value;
    }
    const held: Held<T> = { bytes: 0, value: this.#load(sha256) };
    this.#held.set(sha256, held);
    held.value.catch(() => this.#held.delete(sha256));
    return held.value;
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

  async #load(sha256: string): Promise<T> {
    const hash = createHash("sha256");
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
    const parsed = await this.#parse(counted(this.#artifacts.open(sha256)));
    const got = hash.digest("hex");
    // A file with other bytes is told as such, whatever it holds.
    if (got !== sha256) {
      throw new AssayError("ARTIFACT_CORRUPT", `wanted bytes of SHA-256 ${sha256}, but theirs is ${got}`);
    }
    if ("fault" in parsed) throw new AssayError("ARTIFACT_CORRUPT", `artifact ${sha256}: ${parsed.fault}`);
    this.#measured(sha256, bytes);
    return parsed.value;
  }
}

/** Parses a JSONL file; `read` makes a row of a line's value, or says in a text what is wrong with it. */
export function jsonLinesOf<T>(read: (line: Json, index: number) => T | string): Parse<readonly T[]> {
  return async (bytes) => {
    const rows: T[] = [];
    let fault: string | null = null;
    for await (const line of linesOf(bytes)) {
      if (fault !== null) continue;
      const row = readValue(line, rows.length, read);
      if (typeof row === "string") fault = `line ${rows.length + 1}: ${row}`;
      else rows.push(row);
    }
    return fault === null ? { value: rows } : { fault };
  };
}

function readValue<T>(line: Line, index: number, read: (line: Json, index: number) => T | string): T | string {
  if (line === null) return "wanted a line of at most 1 MiB, but got a longer one";
  try {
    return read(JSON.parse(Buffer.from(line).toString("utf8")), index);
  } catch {
    return "wanted JSON, but got something else";
  }
}

/** Parses a file that is one JSON document; `read` makes something of it, or says in a text what is wrong with it. */
export function jsonDocumentOf<T extends object>(read: (document: Json) => T | string): Parse<T> {
  return async (bytes) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of bytes) chunks.push(chunk);
    try {
      const document: Json = JSON.parse(Buffer.concat(chunks).toString("utf8"));
      const value = read(document);
      return typeof value === "string" ? { fault: value } : { value };
    } catch {
      return { fault: "wanted JSON, but got something else" };
    }
  };
}
