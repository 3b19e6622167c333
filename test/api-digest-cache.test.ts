import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { DigestCache, jsonLinesOf } from "../src/api/item/digest-cache.js";
import { ArtifactFolder } from "../src/artifacts/folder.js";
import type { Json } from "../src/domain/digest.js";
import { AssayError } from "../src/errors.js";

const root = mkdtempSync(join(tmpdir(), "assay-cache-"));
after(() => rmSync(root, { recursive: true, force: true }));
const folder = new ArtifactFolder(root);

async function stored(text: string): Promise<string> {
  return (await folder.put(Buffer.from(text), { maxBytes: 1_000 })).sha256;
}

function cacheOf(bytesMax: number): DigestCache<readonly { readonly line: Json }[]> {
  return new DigestCache(
    folder,
    jsonLinesOf((line) => (line === null ? "wanted no null" : { line })),
    bytesMax,
  );
}

function corrupt(thrown: unknown): boolean {
  return thrown instanceof AssayError && thrown.code === "ARTIFACT_CORRUPT";
}

describe("files that were read", () => {
  it("are kept up to a number of bytes, those that were used last the longest", async () => {
    const cache = cacheOf(20);
    const [a, b, c] = [await stored('"first"\n'), await stored('"other"\n'), await stored('"third"\n')];
    for (const digest of [a, b, a, c]) await cache.get(digest);
    for (const digest of [a, b, c]) await folder.remove(digest);
    assert.deepEqual(await cache.get(a), [{ line: "first" }]);
    assert.deepEqual(await cache.get(c), [{ line: "third" }]);
    await assert.rejects(cache.get(b), corrupt);
  });

  it("larger than what may be kept are answered and let go", async () => {
    const cache = cacheOf(3);
    const digest = await stored('"large"\n');
    assert.deepEqual(await cache.get(digest), [{ line: "large" }]);
    await folder.remove(digest);
    await assert.rejects(cache.get(digest), corrupt);
  });

  it("by two requests at once are read once", async () => {
    const cache = cacheOf(100);
    const digest = await stored('"twice"\n');
    const [one, two] = [cache.get(digest), cache.get(digest)];
    assert.equal(await one, await two);
  });

  it("are asked for again after a failure", async () => {
    const cache = cacheOf(100);
    const digest = await stored('"again"\n');
    await folder.remove(digest);
    await assert.rejects(cache.get(digest), corrupt);
    await stored('"again"\n');
    assert.deepEqual(await cache.get(digest), [{ line: "again" }]);
  });

  it("and have other bytes than their digest says are refused, whatever they hold", async () => {
    const digest = await stored('"right"\n');
    writeFileSync(join(root, "cas", digest.slice(0, 2), digest), '"wrong"\n');
    await assert.rejects(cacheOf(100).get(digest), (thrown) => corrupt(thrown) && String(thrown).includes("theirs is"));
  });

  it("and break their format are refused with the line", async () => {
    const digest = await stored('"fine"\nnull\n');
    await assert.rejects(
      cacheOf(100).get(digest),
      (thrown) => corrupt(thrown) && String(thrown).includes("line 2: wanted no null"),
    );
  });
});
