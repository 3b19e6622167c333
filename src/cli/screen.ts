import type { WriteStream } from "node:tty";

/** Between two lines of progress where there is no terminal, in ms. */
const plainPauseMs = 15_000;

/** Lines for people: a last line that changes in a terminal, a line now and then elsewhere. */
export class Screen {
  private shown = "";
  private plainAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly out: Pick<WriteStream, "write" | "isTTY" | "columns">,
    private readonly now: () => number = Date.now,
  ) {}

  /** Prints a line that stays. */
  say(line: string): void {
    const kept = this.shown;
    this.clear();
    this.out.write(`${line}\n`);
    if (kept !== "") this.show(kept);
  }

  /** Shows how far the work is. */
  show(line: string): void {
    if (!this.out.isTTY) {
      if (this.now() - this.plainAt < plainPauseMs) return;
      this.plainAt = this.now();
      this.out.write(`${line}\n`);
      return;
    }
    const cut = line.slice(0, Math.max(20, (this.out.columns ?? 80) - 1));
    this.out.write(`\r\u001b[K${cut}`);
    this.shown = cut;
  }

  /** Takes the changing line away. */
  clear(): void {
    if (this.shown !== "") this.out.write("\r\u001b[K");
    this.shown = "";
  }
}
