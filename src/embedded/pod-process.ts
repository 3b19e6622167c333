import { type ChildProcessByStdio, spawn } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { AssayError } from "../errors.js";
import { projectFolder } from "./project.js";

/** A Python pod that was started. It ends when its stdin ends, and so with us. */
export type PodProcess = ChildProcessByStdio<Writable, Readable, Readable>;

/** Where a pod keeps its files. */
export interface PodFolders {
  /** Folder of the artifact store, shared with the service. */
  readonly artifactsDir: string;
  /** Folder for converted models. */
  readonly cacheDir: string;
}

/** The project's Python. Throws SETUP_FAILED where it is not there. */
export function podPython(): string {
  const python = join(projectFolder(), ".venv", "bin", "python");
  if (existsSync(python)) return python;
  throw new AssayError(
    "SETUP_FAILED",
    `wanted a Python environment at ${python}, but it is not there: run npm run build`,
  );
}

/** Starts a pod with these arguments of its command line, beside those that say where its files are. */
export function spawnPod(args: readonly string[], { artifactsDir, cacheDir }: PodFolders): PodProcess {
  const root = projectFolder();
  for (const folder of [cacheDir, artifactsDir]) mkdirSync(folder, { recursive: true });
  const own = ["-m", "assay_pods.server", "--artifacts", artifactsDir, "--cache", cacheDir, "--parent-pipe"];
  return spawn(podPython(), [...own, ...args], {
    cwd: root,
    stdio: ["pipe", "pipe", "pipe"],
    // A group of its own: Ctrl-C in a terminal reaches this process alone, which then ends the pod in order.
    detached: true,
    env: podEnvironment(process.env),
  });
}

/** Names of what lets the service into its bucket, bus and database. A pod reaches files by grants and knows nothing else. */
const ofTheService = ["AWS_", "ASSAY_DATABASE_", "ASSAY_KAFKA_"];

/** A pod's variables: the service's own, without any login. */
export function podEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const harmless = Object.entries(env).filter(([name]) => !ofTheService.some((begin) => name.startsWith(begin)));
  return {
    ...Object.fromEntries(harmless),
    PYTHONPATH: join(projectFolder(), "pods"),
    PYTHONUNBUFFERED: "1",
    OMP_WAIT_POLICY: "PASSIVE",
    HF_HUB_DISABLE_TELEMETRY: "1",
    TOKENIZERS_PARALLELISM: "false",
    TQDM_DISABLE: "1", // progress bars are for terminals
  };
}
