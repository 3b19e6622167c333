import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { extname, isAbsolute, join, sep } from "node:path";
import { folderDigest, type ModelFile } from "../domain/model.js";
import { invalidInput } from "../errors.js";
import { checkSafetensors, unsafe } from "./safetensors.js";

/** A folder that was read and found safe. */
export interface ModelFolder {
  /** Its real path, without links. */
  readonly path: string;
  readonly digest: string;
}

/** Formats whose loading can run code. */
const pickled = new Set([
  ".bin",
  ".pt",
  ".pth",
  ".pkl",
  ".pickle",
  ".ckpt",
  ".h5",
  ".hdf5",
  ".keras",
  ".npy",
  ".npz",
  ".joblib",
  ".msgpack",
  ".dill",
]);
const code = new Set([".py", ".pyc", ".pyd", ".so", ".dll", ".dylib", ".sh"]);

const vocabularies = new Set(["tokenizer.json", "vocab.json", "added_tokens.json"]);

/** Whoever names a folder is not told what lies in it. */
const NONE = "a folder without one";

const CONFIG_BYTES_MAX = 64 * 2 ** 20;
const FILES_MAX = 1_000;

/**
 * Reads a folder with a language model in the form that `transformers` saves: its files are held to what can be loaded
 * without running anything that came with them, and hashed. Sub-folders and dot files are not part of a model.
 * Throws INVALID_INPUT for a path that names no folder, MODEL_UNSAFE for what must not be loaded.
 */
export async function readModelFolder(path: string, at: readonly string[]): Promise<ModelFolder> {
  const root = await realFolder(path, at);
  const names = await namesIn(root);
  checkNames(names);
  const files: ModelFile[] = [];
  for (const name of names) {
    const file = join(root, name);
    await checkInside(root, name);
    if (name.endsWith(".json")) await checkConfig(file, name, names);
    if (name.endsWith(".safetensors")) await checkSafetensors(file, name);
    files.push({ name, ...(await hashed(file)) });
  }
  return { path: root, digest: folderDigest(files) };
}

async function realFolder(path: string, at: readonly string[]): Promise<string> {
  const wanted = "an absolute path of a folder that the service can read";
  if (!isAbsolute(path) || path.includes("\0")) throw invalidInput(at, wanted, path);
  try {
    const root = await realpath(path);
    if ((await stat(root)).isDirectory()) return root;
  } catch {
    // Whether nothing is there or it may not be seen makes no difference to who asked.
  }
  throw invalidInput(at, wanted, path);
}

async function namesIn(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true });
  const names: string[] = [];
  for (const entry of entries) {
    if (entry.name.startsWith(".") || entry.isDirectory()) continue;
    if (entry.isSymbolicLink() && (await isFolder(join(root, entry.name)))) continue;
    names.push(entry.name);
  }
  if (names.length > FILES_MAX) throw unsafe(null, `at most ${FILES_MAX} files`, String(names.length));
  return names.sort();
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

function checkNames(names: readonly string[]): void {
  for (const name of names) {
    const extension = extname(name).toLowerCase();
    if (pickled.has(extension))
      throw unsafe(name, "safetensors weights only", `${name}, whose format can run code when it is loaded`);
    if (code.has(extension)) throw unsafe(name, "no code", name);
  }
  // An adapter names its base model itself, so the folder's digest would not cover what is loaded.
  if (names.includes("adapter_config.json")) throw unsafe("adapter_config.json", "a whole model", "an adapter of one");
  if (!names.includes("config.json")) throw unsafe(null, "a file config.json", NONE);
  if (!names.some((name) => name.endsWith(".safetensors"))) throw unsafe(null, "a file *.safetensors", NONE);
  const tokenizer = ["tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt"];
  if (!names.some((name) => tokenizer.includes(name)))
    throw unsafe(null, `one of the files ${tokenizer.join(", ")}`, NONE);
}

/** Links may rename files of the folder, but not bring in what lies elsewhere on the machine. */
async function checkInside(root: string, name: string): Promise<void> {
  const target = await realpath(join(root, name)).catch(() => null);
  if (target === null || !target.startsWith(root + sep))
    throw unsafe(name, "files of the folder itself", `${name}, a link to another place`);
  if (!(await stat(target)).isFile()) throw unsafe(name, "plain files", `${name}, which is none`);
}

async function checkConfig(path: string, name: string, names: readonly string[]): Promise<void> {
  if ((await stat(path)).size > CONFIG_BYTES_MAX) {
    throw unsafe(name, `a JSON file of at most ${CONFIG_BYTES_MAX} bytes`, "a larger one");
  }
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, "utf8"));
  } catch {
    throw unsafe(name, `JSON in ${name}`, "a text that is none");
  }
  // A vocabulary may hold any word as a key.
  if (!vocabularies.has(name) && namesCode(value)) {
    throw unsafe(name, `no auto_map in ${name}`, "one, which names code to be loaded with the model");
  }
  if (name.endsWith(".safetensors.index.json")) checkIndex(value, name, names);
}

function namesCode(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(([key, field]) => key === "auto_map" || namesCode(field));
}

/** The index of a model in several files says which file has which tensor. */
function checkIndex(index: unknown, name: string, names: readonly string[]): void {
  const map = typeof index === "object" && index !== null && "weight_map" in index ? index.weight_map : null;
  const files = typeof map === "object" && map !== null ? Object.values(map) : [null];
  for (const file of new Set(files)) {
    if (typeof file !== "string" || !names.includes(file) || !file.endsWith(".safetensors")) {
      throw unsafe(name, `only safetensors files of the folder in ${name}`, JSON.stringify(file));
    }
  }
}

async function hashed(path: string): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of createReadStream(path)) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest("hex") };
}
