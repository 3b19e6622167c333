// Generates the code of proto/ for both languages: Python stubs into pods/assay_pods/gen and TypeScript into src/gen; what
// crosses the bus also into the examples, which must work without the rest of the checkout.
// `node scripts/generate.mjs` rewrites the committed code; `--check` writes nothing and fails with the list of files that differ.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const protoRoot = join(root, "proto");
const pythonPackage = "assay_pods.gen";
const targets = {
  python: join(root, "pods", "assay_pods", "gen"),
  typescript: join(root, "src", "gen"),
  examplePython: join(root, "examples", "events-python", "assay"),
  exampleTypescript: join(root, "examples", "events-typescript", "gen"),
};
const busFolder = "assay/events/";
const tsOptions = [
  "outputServices=grpc-js",
  "esModuleInterop=true",
  "importSuffix=.js",
  "forceLong=bigint",
  "oneof=unions-value",
  "env=node",
].join(",");

/** Every file below a folder as sorted posix paths relative to it; none when the folder is missing. */
function filesBelow(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes("__pycache__"))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .sort();
}

/** The interpreter of the checkout's virtual environment, which has grpc_tools. */
function pythonExecutable() {
  const wanted = process.env.ASSAY_PYTHON ?? join(root, ".venv", "bin", "python");
  if (!existsSync(wanted))
    throw new Error(`generating needs a Python with grpcio-tools at ${wanted}; set ASSAY_PYTHON or create .venv`);
  return wanted;
}

/** Runs protoc once for each language into a scratch folder. */
function runProtoc(scratch, protos) {
  const python = join(scratch, "python");
  const typescript = join(scratch, "typescript");
  mkdirSync(python);
  mkdirSync(typescript);
  const plugin = join(root, "node_modules", ".bin", "protoc-gen-ts_proto");
  // The plug-in starts with `env node`: put the running Node first, so that it works where no node is on PATH.
  const env = {
    ...process.env,
    PATH: `${dirname(process.execPath)}${process.platform === "win32" ? ";" : ":"}${process.env.PATH ?? ""}`,
  };
  const protoc = (args) =>
    execFileSync(pythonExecutable(), ["-m", "grpc_tools.protoc", `--proto_path=${protoRoot}`, ...args, ...protos], {
      cwd: protoRoot,
      env,
      stdio: ["ignore", "inherit", "inherit"],
    });
  protoc([`--python_out=${python}`, `--pyi_out=${python}`, `--grpc_python_out=${python}`]);
  protoc([`--plugin=protoc-gen-ts_proto=${plugin}`, `--ts_proto_out=${typescript}`, `--ts_proto_opt=${tsOptions}`]);
  return { python, typescript };
}

/** protoc writes imports from the proto root (`from assay.pod.v1 import`); the package lives below assay_pods.gen. */
function fixPythonImports(text, topFolders) {
  return topFolders.reduce(
    (fixed, top) => fixed.replaceAll(new RegExp(`^(from|import) ${top}(?=[. ])`, "gm"), `$1 ${pythonPackage}.${top}`),
    text,
  );
}

/** Path -> text of everything that belongs into the Python package, `__init__.py` files included. */
function pythonFiles(folder) {
  const topFolders = readdirSync(folder);
  const files = new Map();
  for (const path of filesBelow(folder)) {
    const text = readFileSync(join(folder, path), "utf8");
    // A proto without services still gets an empty *_pb2_grpc module that nothing imports.
    if (path.endsWith("_pb2_grpc.py") && !text.includes("class ")) continue;
    files.set(path, fixPythonImports(text, topFolders));
    for (let parent = dirname(path); ; parent = dirname(parent)) {
      files.set(
        parent === "." ? "__init__.py" : `${parent}/__init__.py`,
        '"""Generated from proto/ by scripts/generate.mjs."""\n',
      );
      if (parent === ".") break;
    }
  }
  return files;
}

/** Path -> text of the TypeScript code. */
function typescriptFiles(folder) {
  return new Map(filesBelow(folder).map((path) => [path, readFileSync(join(folder, path), "utf8")]));
}

/** What crosses the bus, as protoc wrote it; paths begin below `from`. */
function exampleFiles(folder, from) {
  const paths = filesBelow(folder).filter((path) => path.startsWith(busFolder) && !path.endsWith("_pb2_grpc.py"));
  return new Map(paths.map((path) => [path.slice(from.length), readFileSync(join(folder, path), "utf8")]));
}

/** Generates everything into memory: target folder -> (path -> text). */
function generate() {
  const protos = filesBelow(protoRoot).filter((path) => path.endsWith(".proto"));
  const scratch = mkdtempSync(join(tmpdir(), "assay-generate-"));
  try {
    const out = runProtoc(scratch, protos);
    return new Map([
      [targets.python, pythonFiles(out.python)],
      [targets.typescript, typescriptFiles(out.typescript)],
      [targets.examplePython, exampleFiles(out.python, "assay/")],
      [targets.exampleTypescript, exampleFiles(out.typescript, "")],
    ]);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Says how the committed files of one target differ from the generated ones. */
function differences(target, files) {
  const committed = filesBelow(target);
  const name = (path) => `${relative(root, target)}/${path}`;
  const lines = committed.filter((path) => !files.has(path)).map((path) => `stale    ${name(path)}`);
  for (const [path, text] of files) {
    if (!committed.includes(path)) lines.push(`missing  ${name(path)}`);
    else if (readFileSync(join(target, path), "utf8") !== text) lines.push(`changed  ${name(path)}`);
  }
  return lines;
}

/** Replaces the target's files, touching only those that differ so that watchers stay calm. */
function write(target, files) {
  for (const path of filesBelow(target)) if (!files.has(path)) rmSync(join(target, path));
  for (const [path, text] of files) {
    const file = join(target, path);
    if (existsSync(file) && readFileSync(file, "utf8") === text) continue;
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}

const generated = generate();
if (process.argv.includes("--check")) {
  const lines = [...generated].flatMap(([target, files]) => differences(target, files));
  if (lines.length > 0) {
    process.stderr.write(`Generated code differs from proto/; run "node scripts/generate.mjs":\n${lines.join("\n")}\n`);
    process.exit(1);
  }
  process.stdout.write("Generated code matches proto/.\n");
} else {
  for (const [target, files] of generated) write(target, files);
  process.stdout.write(`Wrote ${[...generated.values()].reduce((sum, files) => sum + files.size, 0)} files.\n`);
}
