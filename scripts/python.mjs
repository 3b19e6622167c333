// The Python environment: found, made and filled by uv from locks with hashes. Nothing is installed outside the checkout.
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  digestOfFiles,
  isStamped,
  outputOf,
  projectEnv,
  root,
  runVisibly,
  SetupError,
  stamp,
  unstamp,
} from "./toolbox.mjs";

const lock = join("pods", "requirements.txt");
const uvLock = join("pods", "uv.txt");
const oldest = [3, 11];
const candidates = ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"];

/** The first Python on the PATH that is new enough, or the one that ASSAY_PYTHON names. */
export function findPython() {
  const named = process.env.ASSAY_PYTHON;
  const seen = [];
  for (const name of named ? [named] : candidates) {
    const version = outputOf(name, ["-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"]);
    if (version === undefined) continue;
    const [major, minor] = version.split(".").map(Number);
    if (major === oldest[0] && minor >= oldest[1]) return name;
    seen.push(`${name} is ${version}`);
  }
  const came = seen.length > 0 ? seen.join(", ") : `none of ${(named ? [named] : candidates).join(", ")} could be run`;
  throw new SetupError(
    `Assay needs Python ${oldest.join(".")} or newer, but ${came}. On Debian and Ubuntu: apt-get install python3 python3-venv. ASSAY_PYTHON may name another one.`,
  );
}

/** What the packages in the environment depend on. */
export function pythonDigest() {
  return digestOfFiles([lock]);
}

/** Makes an empty .venv. */
export function makeEnvironment() {
  uv([
    "venv",
    "--quiet",
    "--allow-existing",
    "--python",
    outputOf(findPython(), ["-c", "import sys; print(sys.executable)"]),
    ".venv",
  ]);
}

/** Fills .venv with exactly what the lock names. */
export function installPackages() {
  unstamp(".venv");
  uv(["pip", "sync", "--require-hashes", "--python", join(".venv", "bin", "python"), lock]);
  stamp(".venv", pythonDigest());
}

const exampleLock = join("examples", "events-python", "requirements.txt");
const exampleFolder = join(".cache", "examples-python");

/** An environment with what the Python example needs and no more; gives its interpreter. */
export function exampleEnvironment() {
  const digest = digestOfFiles([exampleLock]);
  const program = join(root, exampleFolder, "bin", "python");
  if (isStamped(exampleFolder, digest)) return program;
  const python = outputOf(findPython(), ["-c", "import sys; print(sys.executable)"]);
  uv(["venv", "--quiet", "--allow-existing", "--python", python, exampleFolder]);
  unstamp(exampleFolder);
  uv(["pip", "sync", "--quiet", "--require-hashes", "--python", program, exampleLock]);
  stamp(exampleFolder, digest);
  return program;
}

/** A folder with the packages of bench/NAME.txt, which go beside those of .venv for the run of one benchmark. */
export function benchPackages(name) {
  const lockFile = join("bench", `${name}.txt`);
  const folder = join(".cache", `bench-${name}`);
  const digest = digestOfFiles([lockFile]);
  if (!isStamped(folder, digest)) {
    rmSync(join(root, folder), { recursive: true, force: true });
    mkdirSync(join(root, folder), { recursive: true });
    installInto(folder, lockFile);
    stamp(folder, digest);
  }
  return join(root, folder);
}

/** Fills a folder with what a lock with hashes names, apart from every environment. */
export function installInto(folder, lockFile) {
  uv(["pip", "install", "--quiet", "--no-deps", "--require-hashes", "--target", folder, "-r", lockFile]);
}

function uv(args) {
  const index = process.env.UV_DEFAULT_INDEX ?? process.env.UV_INDEX_URL ?? pipIndex();
  const env = {
    ...projectEnv,
    UV_PYTHON_DOWNLOADS: "never",
    UV_NO_CONFIG: "1",
    ...(index ? { UV_DEFAULT_INDEX: index } : {}),
  };
  runVisibly(uvProgram(), args, { env });
}

/** A machine with a mirror of its own has told pip about it; uv does not read pip's configuration. */
function pipIndex() {
  const listed = outputOf(findPython(), ["-m", "pip", "config", "list"]) ?? "";
  return listed.match(/^(?::env:|global|install|user|site)\.index-url='([^']+)'$/m)?.[1];
}

/** uv in its locked version, in a folder named after the lock. */
function uvProgram() {
  const folder = join(root, ".cache", `uv-${digestOfFiles([uvLock]).slice(0, 12)}`);
  const program = join(folder, "bin", "uv");
  if (existsSync(program)) return program;
  const python = findPython();
  mkdirSync(join(root, ".cache"), { recursive: true });
  rmSync(folder, { recursive: true, force: true });
  const install = ["-m", "pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:", "-r", uvLock];
  if (outputOf(python, ["-m", "ensurepip", "--version"]) !== undefined) {
    runVisibly(python, ["-m", "venv", folder]);
    runVisibly(join(folder, "bin", "python"), install);
  } else if (outputOf(python, ["-m", "pip", "--version"]) !== undefined) {
    // --target leaves the system's own packages alone, also where they are managed by the distribution.
    runVisibly(python, [...install, "--target", folder]);
  } else {
    throw new SetupError(
      `${python} has neither ensurepip nor pip, and one of them is needed to install uv. On Debian and Ubuntu: apt-get install python3-venv`,
    );
  }
  return program;
}
