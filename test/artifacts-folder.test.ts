import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { after, describe, it } from "node:test";
import { ArtifactFolder } from "../src/artifacts/folder.js";
import { sha256 } from "../src/domain/digest.js";
import { AssayError, type ErrorCode } from "../src/errors.js";

const root = mkdtempSync(join(tmpdir(), "assay-folder-"));
after(() => rmSync(root, { recursive: true, force: true }));
const store = new ArtifactFolder(root);
const bytes = Buffer.from("some bytes");
const digest = sha256(bytes);

async function* inPieces(whole: Buffer): AsyncGenerator<Uint8Array> {
  for (const byte of whole) yield Buffer.from([byte]);
}

/** Whether nothing half-written is left. */
function isTidy(): boolean {
  return !existsSync(join(root, "tmp")) || readdirSync(join(root, "tmp")).length === 0;
}

function failsWith(code: ErrorCode): (thrown: unknown) => boolean {
  return (thrown) => thrown instanceof AssayError && thrown.code === code;
}

describe("the artifact folder", () => {
  it("stores bytes under their digest, where pods look for them", async () => {
    assert.deepEqual(await store.put(bytes, { maxBytes: 100 }), { sha256: digest, sizeBytes: bytes.length });
    const path = join(root, "cas", digest.slice(0, 2), digest);
    assert.deepEqual(readFileSync(path), bytes);
    assert.equal(statSync(path).mode & 0o022, 0, "others must not write it");
    assert.ok(isTidy());
  });

  it("stores a stream like its bytes, and the same bytes once", async () => {
    assert.deepEqual(await store.put(inPieces(bytes), { maxBytes: 100 }), { sha256: digest, sizeBytes: bytes.length });
    assert.deepEqual(readdirSync(join(root, "cas", digest.slice(0, 2))), [digest]);
  });

  it("stores no bytes at all too", async () => {
    const { sha256: empty, sizeBytes } = await store.put(Buffer.alloc(0), { maxBytes: 0 });
    assert.deepEqual([sizeBytes, await store.verify(empty, 0)], [0, true]);
  });

  it("opens, has and verifies what is there", async () => {
    assert.deepEqual(await buffer(store.open(digest)), bytes);
    assert.equal(await store.has(digest), true);
    assert.equal(await store.verify(digest, bytes.length), true);
    assert.equal(await store.verify(digest, bytes.length + 1), false);
  });

  it("says of what is not there that it is not", async () => {
    const other = sha256("other");
    assert.deepEqual([await store.has(other), await store.verify(other, 5)], [false, false]);
    await assert.rejects(buffer(store.open(other)), failsWith("ARTIFACT_CORRUPT"));
  });

  it("refuses more bytes than allowed without keeping any", async () => {
    let pulled = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        pulled += 1;
        yield Buffer.alloc(10);
      }
    }
    await assert.rejects(store.put(endless(), { maxBytes: 95 }), failsWith("PAYLOAD_TOO_LARGE"));
    assert.equal(pulled, 10);
    assert.ok(isTidy());
  });

  it("refuses bytes of another digest than was told", async () => {
    const other = Buffer.from("other bytes");
    await assert.rejects(store.put(other, { maxBytes: 100, sha256: digest }), failsWith("ARTIFACT_CORRUPT"));
    assert.equal(await store.has(sha256(other)), false);
    assert.ok(isTidy());
  });

  it("keeps nothing of a stream that breaks", async () => {
    async function* breaking(): AsyncGenerator<Uint8Array> {
      yield bytes;
      throw new RangeError("gone");
    }
    await assert.rejects(store.put(breaking(), { maxBytes: 100 }), RangeError);
    assert.ok(isTidy());
  });

  it("sees that a file was changed behind its back, and mends it when the bytes come again", async () => {
    const path = join(root, "cas", digest.slice(0, 2), digest);
    rmSync(path);
    writeFileSync(path, "SOME BYTES");
    assert.equal(await store.verify(digest, bytes.length), false);
    await store.put(bytes, { maxBytes: 100 });
    assert.equal(await store.verify(digest, bytes.length), true);
  });

  it("never makes a path of a text that is no digest", async () => {
    for (const name of ["../../etc/passwd", "", digest.toUpperCase(), `${digest}/x`]) {
      await assert.rejects(store.has(name), failsWith("INTERNAL"));
    }
  });

  it("takes many at once", async () => {
    const files = Array.from({ length: 50 }, (_, i) => Buffer.from(`file ${i % 10}`));
    const stored = await Promise.all(files.map((file) => store.put(inPieces(file), { maxBytes: 100 })));
    for (const [i, { sha256: name }] of stored.entries()) assert.equal(name, sha256(files[i] ?? ""));
    assert.ok(isTidy());
  });
});
