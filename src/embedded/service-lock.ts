import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AssayError } from "../errors.js";

/** A hold on a data folder: one service at a time works on it. */
export interface ServiceLock {
  /** Writes down where the service answers, for commands that look for a running one. */
  announce(url: string): void;
  /** Gives the folder free. */
  release(): void;
}

/** Takes the data folder for this process, or says who has it. `service.json` holds pid and, later, address. */
export function holdDataFolder(dataDir: string): ServiceLock {
  mkdirSync(dataDir, { recursive: true });
  const file = join(dataDir, "service.json");
  for (;;) {
    if (create(file)) break;
    const holder = holderOf(file);
    if (holder !== undefined && isRunning(holder)) {
      throw new AssayError(
        "SETUP_FAILED",
        `${dataDir}: wanted the data folder for this service, but a service with pid ${holder} holds it`,
      );
    }
    rmSync(file, { force: true }); // left by a service that was killed
  }
  return {
    announce: (url) => {
      const draft = `${file}.${process.pid}`;
      writeFileSync(draft, `${JSON.stringify({ pid: process.pid, url })}\n`, { mode: 0o600 });
      renameSync(draft, file);
    },
    release: () => rmSync(file, { force: true }),
  };
}

function create(file: string): boolean {
  try {
    writeFileSync(file, `${JSON.stringify({ pid: process.pid })}\n`, { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw new AssayError("SETUP_FAILED", `${file}: wanted to write it, but could not`, { cause: error });
  }
}

function holderOf(file: string): number | undefined {
  try {
    const held: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (typeof held === "object" && held !== null && "pid" in held && typeof held.pid === "number") return held.pid;
    return undefined;
  } catch {
    return undefined; // gone meanwhile, or cut short by a crash
  }
}

/** Alive, and a Node process: after a restart of the machine the pid may be anyone's. */
function isRunning(pid: number): boolean {
  if (pid === process.pid) return false; // our own pid, written by a service before a container's restart
  try {
    process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("node");
  } catch {
    return process.platform !== "linux";
  }
}
