import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

const root = mkdtempSync(join(tmpdir(), "assay-models-"));
after(() => rmSync(root, { recursive: true, force: true }));

/** A safetensors file with one tensor of four floats, or with another header. */
export function safetensors(
  header: object | string = { w: { dtype: "F32", shape: [2, 2], data_offsets: [0, 16] } },
  data = 16,
): Buffer {
  const text = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(data)]);
}

/** The files of a whole model. */
export const whole: Readonly<Record<string, string | Buffer>> = {
  "config.json": '{"model_type":"llama"}',
  "tokenizer.json": '{"model":{}}',
  "model.safetensors": safetensors(),
};
let count = 0;

/** A folder with these files beside those of a whole model; null takes one away. */
export function modelFolder(files: Readonly<Record<string, string | Buffer | null>> = {}): string {
  count += 1;
  const path = join(root, String(count));
  mkdirSync(path);
  for (const [name, bytes] of Object.entries({ ...whole, ...files })) {
    if (bytes !== null) writeFileSync(join(path, name), bytes);
  }
  return path;
}
