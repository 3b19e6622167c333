import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { AssayError } from "../../src/errors.js";
import { eventually } from "./eventually.js";

/** A program that is run as a process of its own. */
export interface Program {
  /** Of the process and its log file. */
  readonly name: string;
  /** Script for Node, and its arguments; asked at every start. */
  readonly args: () => readonly string[];
  /** Variables beside PATH and HOME; nothing else is inherited. Asked at every start. */
  readonly env?: () => Readonly<Record<string, string>>;
  /** Told what the process said when it began to listen. */
  readonly listens?: (where: Listening) => void;
}

/** What a process says, in one JSON line, once it listens. */
export interface Listening {
  /** Where it answers over HTTP. */
  readonly url?: string;
  /** Where a pod is dialled. */
  readonly address?: string;
  readonly port?: number;
}

/** How a process ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const START_TRIES = 5;
const READY_MS = 120_000;

/** One process that can be killed, stopped, continued and started again. Its output is kept in a file, over all its lives. */
export class TestProcess {
  readonly log: string;
  /** How often it was started. */
  lives = 0;
  /** What it said when it last began to listen. */
  where: Listening = {};
  private child: ChildProcess | undefined;
  private ended: Promise<Ended> | undefined;
  private logStart = 0;

  constructor(
    readonly program: Program,
    folder: string,
  ) {
    this.log = join(folder, `${program.name}.log`);
  }

  /** Of the life it has now, or had last. */
  get pid(): number {
    return this.child?.pid ?? 0;
  }

  /** Whether it has a life; a process that is stopped has one. */
  get isAlive(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Starts it and waits until it listens. */
  async start(): Promise<this> {
    for (let tries = 1; ; tries += 1) {
      this.launch();
      const listening = await eventually(
        `${this.program.name} to listen`,
        () => this.listening() ?? !this.isAlive,
        READY_MS,
      );
      if (listening !== true) {
        this.where = listening;
        this.program.listens?.(listening);
        return this;
      }
      // The port of an earlier life may be somebody's for a moment.
      if (tries === START_TRIES || !/EADDRINUSE|in use/.test(this.said())) {
        throw new AssayError("INTERNAL", `${this.program.name} did not start; it said: ${this.said().slice(-2_000)}`);
      }
      await pause(200);
    }
  }

  /** Starts it and waits for nothing: for a program that only works and ends. */
  launch(): this {
    this.lives += 1;
    this.logStart = existsSync(this.log) ? statSync(this.log).size : 0;
    const output = openSync(this.log, "a");
    const { PATH = "", HOME = "" } = process.env;
    const child = spawn(process.execPath, ["--enable-source-maps", ...this.program.args()], {
      stdio: ["ignore", output, output],
      env: { PATH, HOME, ...this.program.env?.() },
    });
    closeSync(output);
    this.child = child;
    this.ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));
    return this;
  }

  /** Waits until it says that it can do its work. */
  async ready(): Promise<this> {
    const { url } = this.where;
    if (url === undefined) return this;
    await eventually(
      `${this.program.name} to be ready`,
      async () => (await statusOf(`${url}/readyz`)) === 200,
      READY_MS,
    );
    return this;
  }

  /** SIGKILL: it ends without a word. */
  async kill(): Promise<Ended> {
    return this.end("SIGKILL");
  }

  /** SIGTERM: it ends in its own time. */
  async terminate(): Promise<Ended> {
    return this.end("SIGTERM");
  }

  /** Sends it a signal and waits for nothing. */
  tell(signal: NodeJS.Signals): void {
    this.child?.kill(signal);
  }

  /** SIGSTOP: it keeps everything that it has and does nothing. */
  freeze(): void {
    this.tell("SIGSTOP");
  }

  /** SIGCONT: it goes on as if nothing had been. */
  thaw(): void {
    this.tell("SIGCONT");
  }

  /** Resolves when this life ends. */
  whenEnded(): Promise<Ended> {
    return this.ended ?? Promise.reject(new AssayError("INTERNAL", `${this.program.name} was never started`));
  }

  /** What it has written in this life. */
  said(): string {
    return existsSync(this.log) ? readFileSync(this.log).subarray(this.logStart).toString("utf8") : "";
  }

  private async end(signal: NodeJS.Signals): Promise<Ended> {
    this.tell(signal);
    // A process that is stopped takes no signal but SIGKILL until it goes on.
    if (signal !== "SIGKILL") this.thaw();
    return this.whenEnded();
  }

  private listening(): Listening | undefined {
    const line = this.said()
      .split("\n")
      .slice(0, -1)
      .find((text) => /"(message|event)":"listening"/.test(text));
    return line === undefined ? undefined : JSON.parse(line);
  }
}

/** Processes whose logs lie in one folder, and which all end together. */
export class Processes {
  private readonly started: TestProcess[] = [];

  constructor(private readonly folder: string) {}

  /** A process of this program, not yet started. */
  make(program: Program): TestProcess {
    const made = new TestProcess(program, this.folder);
    this.started.push(made);
    return made;
  }

  /** Kills whatever lives. */
  async close(): Promise<void> {
    await Promise.all(this.started.filter((one) => one.isAlive).map((one) => one.kill()));
  }
}

/** The HTTP status at an address, or undefined where nobody answers. */
export async function statusOf(url: string): Promise<number | undefined> {
  try {
    const { status } = await fetch(url, { signal: AbortSignal.timeout(5_000) });
    return status;
  } catch {
    return undefined;
  }
}
