import assert from "node:assert/strict";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { readModelFolder } from "../src/artifacts/model-folder.js";
import { AssayError } from "../src/errors.js";
import { modelFolder, safetensors } from "./support/model-folder.js";

/** Whether what was thrown is MODEL_UNSAFE for this file, said as what was wanted and what came. */
function isUnsafe(file: string | null): (thrown: unknown) => boolean {
  return (thrown) => {
    assert.ok(thrown instanceof AssayError);
    assert.deepEqual([thrown.code, thrown.detail["file"]], ["MODEL_UNSAFE", file]);
    assert.match(thrown.message, /^wanted .*, but got /);
    return true;
  };
}

describe("a model folder in order", () => {
  it("has a digest that changes with every byte of its files", async () => {
    const { digest } = await readModelFolder(modelFolder(), []);
    assert.equal((await readModelFolder(modelFolder(), [])).digest, digest);
    const other = modelFolder({ "config.json": '{"model_type":"other"}' });
    assert.notEqual((await readModelFolder(other, [])).digest, digest);
  });

  it("may have its weights in several files with an index", async () => {
    const files = {
      "model.safetensors": null,
      "model-1.safetensors": safetensors(),
      "model-2.safetensors": safetensors(),
    };
    const index = '{"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}}';
    await readModelFolder(modelFolder({ ...files, "model.safetensors.index.json": index }), []);
  });

  it("may have any word in its vocabulary", async () => {
    await readModelFolder(modelFolder({ "tokenizer.json": '{"model":{"vocab":{"auto_map":1}}}' }), []);
  });
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
    ["an adapter", { "adapter_config.json": '{"base_model_name_or_path":"/etc"}' }, "adapter_config.json"],
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
      await assert.rejects(readModelFolder(modelFolder(files), []), isUnsafe(file));
    });
  }

  it("is refused without a word of what else lies in it", async () => {
    const path = modelFolder({ "config.json": null, "payroll.txt": "x" });
    await assert.rejects(readModelFolder(path, []), (error: Error) => !error.message.includes("payroll"));
  });

  it("is refused when a file is a link out of it", async () => {
    const path = modelFolder({ "model.safetensors": null });
    symlinkSync(join(modelFolder(), "model.safetensors"), join(path, "model.safetensors"));
    await assert.rejects(readModelFolder(path, []), isUnsafe("model.safetensors"));
  });
});
