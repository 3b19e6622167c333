import assert from "node:assert/strict";
import { buffer } from "node:stream/consumers";
import type { ArtifactStore } from "../../src/artifacts/store.js";
import { sha256 } from "../../src/domain/digest.js";
import { AssayError, type ErrorCode } from "../../src/errors.js";
import { eventually } from "./eventually.js";

/** A store for one test, and a look behind it. */
export interface ContractStore {
  readonly store: ArtifactStore;
  /** Paths of everything that is stored, such as `cas/ab/ab…` and `tmp/…`. */
  readonly paths: () => Promise<string[]>;
  /** Puts other bytes in the place of a stored file, behind the store's back. */
  readonly spoil: (path: string, bytes: Buffer) => Promise<void>;
}

type Register = (name: string, work: () => Promise<void>) => void;

const bytes = Buffer.from("some bytes");
const digest = sha256(bytes);
const path = `cas/${digest.slice(0, 2)}/${digest}`;

/** Gives the bytes one by one. */
export async function* inPieces(whole: Buffer): AsyncGenerator<Uint8Array> {
  for (const byte of whole) yield Buffer.from([byte]);
}

/** Whether an error has a code. */
export function failsWith(code: ErrorCode): (thrown: unknown) => boolean {
  return (thrown) => thrown instanceof AssayError && thrown.code === code;
}

/** What every store of artifacts must do. Each test gets an empty one. */
export function artifactContract(register: Register, open: () => ContractStore): void {
  const contract = (name: string, work: (at: ContractStore) => Promise<void>): void =>
    register(name, () => work(open()));

  contract("stores bytes under their digest, once, however they come", async ({ store, paths }) => {
    assert.deepEqual(await store.put(bytes, { maxBytes: 100 }), { sha256: digest, sizeBytes: bytes.length });
    assert.deepEqual(await paths(), [path]);
    const again = await store.put(inPieces(bytes), { maxBytes: bytes.length, sha256: digest });
    assert.deepEqual(again, { sha256: digest, sizeBytes: bytes.length });
    assert.deepEqual(await paths(), [path]);
  });

  contract("stores no bytes at all too", async ({ store }) => {
    const { sha256: empty, sizeBytes } = await store.put(Buffer.alloc(0), { maxBytes: 0 });
    assert.deepEqual([sizeBytes, await store.verify(empty, 0)], [0, true]);
    assert.equal((await buffer(store.open(empty))).length, 0);
  });

  contract("opens, has and verifies what is there", async ({ store }) => {
    await store.put(bytes, { maxBytes: 100 });
    assert.deepEqual(await buffer(store.open(digest)), bytes);
    assert.equal(await store.has(digest), true);
    assert.equal(await store.verify(digest, bytes.length), true);
    assert.equal(await store.verify(digest, bytes.length + 1), false);
  });

  contract("says of what is not there that it is not", async ({ store }) => {
    const other = sha256("other");
    assert.deepEqual([await store.has(other), await store.verify(other, 5)], [false, false]);
    await assert.rejects(buffer(store.open(other)), failsWith("ARTIFACT_CORRUPT"));
  });

  contract("removes a file, and one that is not there as well", async ({ store, paths }) => {
    await store.put(bytes, { maxBytes: 100 });
    await store.remove(digest);
    await store.remove(digest);
    assert.deepEqual([await store.has(digest), await paths()], [false, []]);
  });

  contract("takes a file that is larger than what it holds in memory", async ({ store, paths }) => {
    const megabyte = Buffer.alloc(2 ** 20, 7);
    async function* large(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 20; i += 1) yield megabyte;
      yield Buffer.from("tail");
    }
    const { sha256: name, sizeBytes } = await store.put(large(), { maxBytes: 100 * 2 ** 20 });
    assert.equal(sizeBytes, 20 * 2 ** 20 + 4);
    assert.equal(await store.verify(name, sizeBytes), true);
    assert.equal(sha256(await buffer(store.open(name))), name);
    assert.deepEqual(await paths(), [`cas/${name.slice(0, 2)}/${name}`]);
  });

  contract("refuses more bytes than allowed without keeping any", async ({ store, paths }) => {
    let pulled = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        pulled += 1;
        yield Buffer.alloc(10);
      }
    }
    await assert.rejects(store.put(endless(), { maxBytes: 95 }), failsWith("PAYLOAD_TOO_LARGE"));
    assert.equal(pulled, 10);
    assert.deepEqual(await paths(), []);
  });

  contract("refuses bytes of another digest than was told without keeping any", async ({ store, paths }) => {
    const put = store.put(Buffer.from("other bytes"), { maxBytes: 100, sha256: digest });
    await assert.rejects(put, failsWith("ARTIFACT_CORRUPT"));
    assert.deepEqual(await paths(), []);
  });

  contract("keeps nothing of a stream that breaks, early or late", async ({ store, paths }) => {
    for (const megabytes of [0, 20]) {
      async function* breaking(): AsyncGenerator<Uint8Array> {
        for (let i = 0; i < megabytes; i += 1) yield Buffer.alloc(2 ** 20, i);
        yield bytes;
        throw new RangeError("gone");
      }
      await assert.rejects(store.put(breaking(), { maxBytes: 100 * 2 ** 20 }), RangeError);
    }
    assert.deepEqual(await paths(), []);
  });

  contract("sees a flipped bit and a lost end, and mends both when the bytes come again", async (at) => {
    const flipped = Buffer.from(bytes);
    flipped[0] = (flipped[0] ?? 0) ^ 1;
    for (const bad of [flipped, bytes.subarray(0, -1)]) {
      await at.store.put(bytes, { maxBytes: 100 });
      await at.spoil(path, bad);
      assert.equal(await at.store.verify(digest, bytes.length), false);
      await at.store.put(bytes, { maxBytes: 100 });
      assert.equal(await at.store.verify(digest, bytes.length), true);
    }
  });

  contract("never makes a path of a text that is no digest", async ({ store }) => {
    for (const name of ["../../etc/passwd", "", digest.toUpperCase(), `${digest}/x`]) {
      await assert.rejects(store.has(name), failsWith("INTERNAL"));
    }
  });

  contract("takes many at once, equal ones among them", async ({ store, paths }) => {
    const files = Array.from({ length: 50 }, (_, i) => Buffer.from(`file ${i % 10}`));
    const stored = await Promise.all(files.map((file) => store.put(inPieces(file), { maxBytes: 100 })));
    for (const [i, { sha256: name }] of stored.entries()) assert.equal(name, sha256(files[i] ?? ""));
    for (const file of files) assert.equal(await store.verify(sha256(file), file.length), true);
    assert.equal((await paths()).length, 10);
  });

  contract("removes old files that nobody registered, and nothing else", async ({ store, paths }) => {
    const old = ["registered", "forgotten", "known"];
    for (const text of old) await store.put(Buffer.from(text), { maxBytes: 100 });
    const olderThan = await nextSecond();
    await store.put(Buffer.from("young"), { maxBytes: 100 });
    const asked: string[] = [];
    const isRegistered = async (sha256s: readonly string[]): Promise<Set<string>> => {
      asked.push(...sha256s);
      return new Set([sha256("registered"), sha256("known")]);
    };
    assert.deepEqual(await store.collectGarbage({ olderThan, isRegistered }), { files: 1, leftovers: 0 });
    assert.deepEqual(asked.sort(), old.map((text) => sha256(text)).sort());
    const left = ["registered", "known", "young"].map((text) => sha256(text));
    assert.deepEqual(await paths(), left.map((name) => `cas/${name.slice(0, 2)}/${name}`).sort());
  });

  contract("keeps a file that is put again while garbage is looked for", async ({ store }) => {
    await store.put(bytes, { maxBytes: 100 });
    const olderThan = await nextSecond();
    const isRegistered = async (): Promise<Set<string>> => {
      await store.put(bytes, { maxBytes: 100 });
      return new Set();
    };
    assert.deepEqual(await store.collectGarbage({ olderThan, isRegistered }), { files: 0, leftovers: 0 });
    assert.equal(await store.verify(digest, bytes.length), true);
  });
}

const COARSE_CLOCK_MS = 50;

/**
 * The beginning of a second after now, once it has surely come: some stores tell the time of a change by the second, and a file
 * system by a clock that runs behind by a tick of the kernel.
 */
export async function nextSecond(): Promise<Date> {
  const second = (Math.floor(Date.now() / 1_000) + 1) * 1_000;
  await eventually("the next second", () => Date.now() > second + COARSE_CLOCK_MS);
  return new Date(second);
}
