import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { AssayError } from "../errors.js";

/** A service to talk to. */
export interface Service {
  readonly url: string;
  readonly key: string;
  /** Whether this command started it. */
  readonly isOurs: boolean;
  /** Rejects when a service that we started ends before it is stopped; never resolves. */
  readonly ended: Promise<never>;
  /** Stops the service if we started it. */
  stop(): Promise<void>;
  /** Lets it go on after this command has ended, whoever started it. */
  leave(): void;
}

const readyWithinMs = 180_000;
const stopWithinMs = 20_000;

/** What a command brings along when it wants a service. */
export interface ServiceWish {
  readonly dataDir: string;
  /** Gives up waiting and stops what was started. */
  readonly signal?: AbortSignal;
  /** Told what goes on, in words for people. */
  readonly onProgress?: (message: string) => void;
}

/** The service that runs on the data folder, or one that is started for this command. */
export async function openService({ dataDir, signal, onProgress = () => undefined }: ServiceWish): Promise<Service> {
  const running = announcedIn(dataDir);
  if (running !== undefined && (await isReady(running.url))) {
    onProgress(`Using the service at ${running.url}.`);
    return {
      url: running.url,
      key: keyIn(dataDir),
      isOurs: false,
      ended: new Promise(() => undefined),
      stop: async () => undefined,
      leave: () => undefined,
    };
  }
  onProgress("Starting the service (database, dispatcher, one local pod) …");
  const child = spawnService(dataDir);
  const ended = once(child, "exit").then(([code, signal]) => {
    throw new AssayError(
      "SETUP_FAILED",
      `the service ended with ${signal ?? `exit code ${code}`}; its log ends with:\n${logTail(dataDir)}`,
    );
  });
  ended.catch(() => undefined); // whoever waits for it hears of it
  const url = await Promise.race([ended, readyAddress(dataDir, child, signal)]);
  return { url, key: keyIn(dataDir), isOurs: true, ended, stop: () => stop(child), leave: () => child.unref() };
}

/** In a group of its own, so that Ctrl-C reaches this command first, which then cancels and stops in order. */
function spawnService(dataDir: string): ChildProcess {
  mkdirSync(dataDir, { recursive: true });
  const log = openSync(join(dataDir, "service.log"), "a", 0o600);
  const env = { ...process.env, ASSAY_DATA_DIR: dataDir, ASSAY_PORT: process.env["ASSAY_PORT"] ?? "0" };
  const main = join(import.meta.dirname, "..", "main.js");
  const child = spawn(process.execPath, ["--enable-source-maps", main], {
    stdio: ["ignore", log, log],
    detached: true,
    env,
  });
  closeSync(log);
  return child;
}

async function readyAddress(dataDir: string, child: ChildProcess, signal?: AbortSignal): Promise<string> {
  const deadline = Date.now() + readyWithinMs;
  while (Date.now() < deadline && signal?.aborted !== true) {
    const announced = announcedIn(dataDir);
    if (announced?.pid === child.pid && announced !== undefined && (await isReady(announced.url))) return announced.url;
    await pause(100);
  }
  await stop(child);
  signal?.throwIfAborted();
  throw new AssayError(
    "SETUP_FAILED",
    `the service was not ready within ${readyWithinMs / 1000} s; its log ends with:\n${logTail(dataDir)}`,
  );
}

/** `service.json` holds pid and address of the service that runs on a data folder. */
function announcedIn(dataDir: string): { readonly pid: number; readonly url: string } | undefined {
  try {
    const said: unknown = JSON.parse(readFileSync(join(dataDir, "service.json"), "utf8"));
    if (typeof said !== "object" || said === null || !("pid" in said) || !("url" in said)) return undefined;
    return typeof said.pid === "number" && typeof said.url === "string" ? { pid: said.pid, url: said.url } : undefined;
  } catch {
    return undefined; // none runs, or it has not come so far
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    const { ok } = await fetch(new URL("/readyz", url), { signal: AbortSignal.timeout(5_000) });
    return ok;
  } catch {
    return false;
  }
}

function keyIn(dataDir: string): string {
  return readFileSync(join(dataDir, "key"), "utf8").trim();
}

function logTail(dataDir: string): string {
  return readFileSync(join(dataDir, "service.log"), "utf8").trimEnd().split("\n").slice(-8).join("\n");
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGTERM");
  const inTime = await Promise.race([exit.then(() => true), pause(stopWithinMs, false, { ref: false })]);
  if (inTime) return;
  child.kill("SIGKILL");
  await exit;
}
