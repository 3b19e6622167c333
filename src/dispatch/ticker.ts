import { Wake } from "../bus/wake.js";
import { type Log, reasonOf } from "../log.js";

/** Does things again and again until it is stopped. What one of them throws is logged, and it is done again in its time. */
export class Ticker {
  private readonly loops: Promise<void>[] = [];
  private readonly wakes: Wake[] = [];
  private stopped = false;

  constructor(private readonly log: Log) {}

  /** Does the work, waits for so long or until the answer is called, and so on. */
  every(what: string, ms: number, work: () => Promise<void>): () => void {
    const wake = new Wake();
    this.wakes.push(wake);
    this.loops.push(this.run(what, wake, { ms, work }));
    return () => wake.ring();
  }

  /** Begins nothing more and waits for what is at work. */
  async stop(): Promise<void> {
    this.stopped = true;
    for (const wake of this.wakes) wake.ring();
    await Promise.all(this.loops);
  }

  private async run(what: string, wake: Wake, { ms, work }: { ms: number; work: () => Promise<void> }): Promise<void> {
    while (!this.stopped) {
      try {
        await work();
      } catch (error) {
        this.log.error(`${what} failed`, { reason: reasonOf(error) });
      }
      if (!this.stopped) await wake.wait(ms);
    }
  }
}
