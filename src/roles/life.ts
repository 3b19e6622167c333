import { AssayError, catalogue } from "../errors.js";
import { jsonLog, type Log, reasonOf } from "../log.js";

/** What undoes something that was started. */
type Step = () => Promise<void> | void;

/** One command in a terminal may deliver a signal twice: once to the whole group, once handed on by npm. */
const SAME_SIGNAL_MS = 1_000;

/** The life of a process: what it has started, and the signal that asks it to end. */
export class Life {
  private readonly steps: Step[] = [];
  private askedAt: number | undefined;

  /** Resolves with the first SIGINT or SIGTERM. */
  readonly asked: Promise<NodeJS.Signals>;

  constructor() {
    this.asked = new Promise((resolve) => {
      for (const name of ["SIGINT", "SIGTERM"] as const) {
        process.on(name, () => {
          // Whoever asks again does not want to wait.
          if (this.askedAt !== undefined && performance.now() - this.askedAt > SAME_SIGNAL_MS) process.exit(130);
          this.askedAt ??= performance.now();
          resolve(name);
        });
      }
    });
  }

  /** Whether the process was asked to end. */
  get isEnding(): boolean {
    return this.askedAt !== undefined;
  }

  /** Where a part of the process says what happens. */
  log(part: string): Log {
    return jsonLog(part, (line) => void process.stdout.write(`${line}\n`));
  }

  /** Does this at the end; the last that was started ends first. */
  onEnd(step: Step): void {
    this.steps.push(step);
  }

  /** Lives a role to its end and gives the exit code. */
  async live(role: (life: Life) => Promise<number>): Promise<number> {
    const code = await this.foreseen(() => role(this));
    for (let step = this.steps.pop(); step !== undefined; step = this.steps.pop()) {
      try {
        await step();
      } catch (error) {
        this.log("main").error("a part could not be stopped", { reason: reasonOf(error) });
      }
    }
    return code;
  }

  private async foreseen(work: () => Promise<number>): Promise<number> {
    try {
      return await work();
    } catch (error) {
      const fault = error instanceof AssayError ? error : new AssayError("INTERNAL", reasonOf(error), { cause: error });
      this.log("main").error(fault.message, { code: fault.code, cause: reasonOf(fault.cause) });
      return catalogue[fault.code].exit;
    }
  }

  /** Says that the role works, and waits until it is asked to end. */
  async untilAsked(where: { readonly url: string; readonly port: number }): Promise<number> {
    this.log("main").info("listening", { url: where.url, port: where.port, pid: process.pid });
    this.log("main").info("stopping", { signal: await this.asked });
    return 0;
  }
}
