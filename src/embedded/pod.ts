import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { type Log, reasonOf } from "../log.js";
import { addressIn, relayLine } from "./pod-lines.js";
import { type PodProcess, podPython, spawnPod } from "./pod-process.js";
import { projectFolder } from "./project.js";

/** What the local pod is started with. */
export interface LocalPodOptions {
  /** Folder of the artifact store, shared with the service. */
  readonly artifactsDir: string;
  /** Folder for converted models, shared by all data folders. Default: `.cache/models` of the project. */
  readonly cacheDir?: string;
  /** How many runs it works on at once. */
  readonly slots: number;
  /** Further arguments of the pod's command, for instance `--device cpu`. */
  readonly arguments?: readonly string[];
  readonly log: Log;
  /** Told the pod's address whenever a pod is up, and undefined when it died. */
  readonly onAddress: (address: string | undefined) => void;
}

const firstPauseMs = 250;
const longestPauseMs = 10_000;
/** A pod that has killed what did not stop is gone within this time. */
const END_MS = 3_000;
/** A pod that lived so long was well: the next one is started without delay. */
const wellAfterMs = 60_000;

/** A Python pod on this machine, kept up until it is closed. It dies with this process: its stdin is a pipe that we hold. */
export class LocalPod {
  private readonly closing = new AbortController();
  private child: PodProcess | undefined;
  private readonly loop: Promise<void>;

  private constructor(private readonly options: LocalPodOptions) {
    podPython(); // said at once, not by the first pod
    this.loop = this.keepUp();
  }

  /** Starts the first pod; its address comes through `onAddress`, after the seconds that loading torch takes. */
  static start(options: LocalPodOptions): LocalPod {
    return new LocalPod(options);
  }

  /** Pid of the pod that is up or coming up. */
  get pid(): number | undefined {
    return this.child?.pid;
  }

  /** Lets the pod's runs write their checkpoints and stop, waits for the pod's end, but not long beyond the grace, and starts no other. */
  async release(graceSeconds: number): Promise<void> {
    this.closing.abort();
    const child = this.child;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await Promise.race([ended, pause(graceSeconds * 1_000 + END_MS, undefined, { ref: false })]);
  }

  /** Ends the pod and its runs, and starts no other. */
  async close(): Promise<void> {
    this.closing.abort();
    const child = this.child;
    if (child !== undefined) await end(child);
    await this.loop;
  }

  private async keepUp(): Promise<void> {
    let pauseMs = firstPauseMs;
    while (!this.closing.signal.aborted) {
      const started = Date.now();
      const reason = await this.oneLife();
      this.options.onAddress(undefined);
      if (this.closing.signal.aborted) return;
      if (Date.now() - started > wellAfterMs) pauseMs = firstPauseMs;
      this.options.log.warn("the pod ended; starting another", { reason, pauseMs });
      await pause(pauseMs, undefined, { signal: this.closing.signal }).catch(() => undefined); // closing ends the pause
      pauseMs = Math.min(2 * pauseMs, longestPauseMs);
    }
  }

  /** One pod from start to end; gives why it ended. */
  private async oneLife(): Promise<string> {
    const child = this.spawn();
    this.child = child;
    child.stdin.on("error", () => undefined); // the pipe breaks when the pod dies, which `exit` tells
    createInterface({ input: child.stderr }).on("line", (line) => relayLine(line, this.options.log));
    createInterface({ input: child.stdout }).on("line", (line) => this.heard(line));
    try {
      const [code, signal] = await once(child, "exit");
      return signal === null ? `exit code ${code}` : `signal ${signal}`;
    } catch (error) {
      return reasonOf(error);
    } finally {
      this.child = undefined;
    }
  }

  private spawn(): PodProcess {
    const { artifactsDir, cacheDir = join(projectFolder(), ".cache", "models"), slots } = this.options;
    const args = ["--listen", "127.0.0.1:0", "--slots", String(slots), ...(this.options.arguments ?? [])];
    return spawnPod(args, { artifactsDir, cacheDir });
  }

  private heard(line: string): void {
    const address = addressIn(line);
    if (address === undefined) {
      this.options.log.info(line);
      return;
    }
    this.options.log.info("the pod listens", { address, pid: this.child?.pid });
    this.options.onAddress(address);
  }
}

/** End of file asks the pod to end; a pod that does not is killed with its group. */
async function end(child: PodProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = once(child, "exit").then(() => true);
  child.stdin.end();
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    if (await Promise.race([ended, pause(5_000, false)])) return;
    signalGroup(child.pid, signal);
  }
  await ended;
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error; // ESRCH: it has just ended
  }
}
