// What the set-up steps share: programs run with their output shown, stamps that say what a result was made from, and a lock.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** A failure whose message is for the person at the terminal; no stack is shown. */
export class SetupError extends Error {}

/** The pinned Node of this platform; other programs of npm packages stand beside its link. */
export const pinnedNode = join(root, "node_modules", `node-${process.platform}-${process.arch}`, "bin", "node");

/** Environment in which the project's own programs come first. */
export const projectEnv = {
  ...process.env,
  PATH: [join(root, "node_modules", ".bin"), process.env.PATH ?? ""].join(delimiter),
  OMP_WAIT_POLICY: "PASSIVE",
  HF_HUB_DISABLE_TELEMETRY: "1",
  TOKENIZERS_PARALLELISM: "false",
};

/** Runs a program with its output on our stderr, and fails when it does. */
export function runVisibly(command, args, options = {}) {
  const { status, error, signal } = spawnSync(command, args, {
    cwd: root,
    env: projectEnv,
    stdio: ["ignore", 2, 2],
    ...options,
  });
  if (error) throw new SetupError(`${command} could not be started: ${error.message}`);
  if (status !== 0)
    throw new SetupError(`"${[command, ...args].join(" ")}" ended with ${signal ?? `exit code ${status}`}`);
}

/** What a program prints, or undefined when it fails or is not there. */
export function outputOf(command, args) {
  const { status, stdout } = spawnSync(command, args, { cwd: root, env: projectEnv, encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}

/** Runs a program in the foreground, hands signals on and gives its exit code; 128 + n when a signal ended it. */
export function runToEnd(command, args, env = projectEnv) {
  const child = spawn(command, args, { env, stdio: "inherit" });
  // In a terminal Ctrl-C reaches the child without our help.
  const handOn = (signal) => (signal === "SIGINT" && process.stdin.isTTY ? undefined : child.kill(signal));
  for (const signal of handedOn) process.on(signal, handOn);
  return new Promise((resolve, reject) => {
    child.once("error", (error) => reject(new SetupError(`${command} could not be started: ${error.message}`)));
    child.once("exit", (code, signal) => {
      for (const name of handedOn) process.removeListener(name, handOn);
      resolve(code ?? 128 + (constants.signals[signal] ?? 0));
    });
  });
}

const handedOn = ["SIGTERM", "SIGHUP", "SIGINT"];

/** SHA-256 over names and contents of files, given relative to the checkout. */
export function digestOfFiles(files, ...more) {
  const hash = createHash("sha256");
  for (const file of files)
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(root, file)))
      .update("\0");
  for (const text of more) hash.update(`${text}\0`);
  return hash.digest("hex");
}

/** Files below a folder with one of the endings, sorted, relative to the checkout. */
export function filesBelow(folder, endings) {
  const found = [];
  const walk = (at) => {
    for (const entry of readdirSync(join(root, at), { withFileTypes: true })) {
      const path = join(at, entry.name);
      if (entry.isDirectory() && entry.name !== "node_modules" && entry.name !== "__pycache__") walk(path);
      else if (endings.some((ending) => entry.name.endsWith(ending))) found.push(path);
    }
  };
  if (existsSync(join(root, folder))) walk(folder);
  return found.sort();
}

/** Whether the folder carries a stamp with this digest. The stamp lies inside, so that it goes with the folder. */
export function isStamped(folder, digest) {
  const file = join(root, folder, ".assay-stamp");
  return existsSync(file) && readFileSync(file, "utf8") === digest;
}

/** Notes what the folder was made from. */
export function stamp(folder, digest) {
  writeFileSync(join(root, folder, ".assay-stamp"), digest);
}

/** Takes away the note before the folder is changed: a broken-off step is done again. */
export function unstamp(folder) {
  rmSync(join(root, folder, ".assay-stamp"), { force: true });
}

/** Does the work while no other set-up of this checkout does its own. */
export async function withLock(work) {
  const lock = join(root, ".cache", "setup.lock");
  mkdirSync(dirname(lock), { recursive: true });
  let told = false;
  while (!takeLock(lock)) {
    const holder = Number(readFileSync(lock, { encoding: "utf8", flag: "a+" }));
    if (!isAlive(holder)) rmSync(lock, { force: true });
    else if (!told) process.stderr.write(`Waiting for another set-up (pid ${holder}) to end …\n`);
    told = true;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const drop = () => rmSync(lock, { force: true });
  process.once("exit", drop);
  try {
    return await work();
  } finally {
    process.removeListener("exit", drop);
    drop();
  }
}

function takeLock(lock) {
  try {
    writeFileSync(lock, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
}

function isAlive(pid) {
  if (!Number.isInteger(pid) || pid <= 1) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}
