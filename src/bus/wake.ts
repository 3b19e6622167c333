/** Lets one loop wait for a while, or until somebody rings. A ring while nobody waits is kept for the next wait. */
export class Wake {
  private rung = false;
  private waiting: (() => void) | undefined;

  /** Ends the wait of now, or the next one. */
  ring(): void {
    this.rung = true;
    this.waiting?.();
  }

  /** Resolves after a ring or after so many milliseconds, whichever is first. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.waiting = undefined;
        this.rung = false;
        resolve();
      };
      const timer = setTimeout(done, this.rung ? 0 : ms);
      this.waiting = done;
    });
  }
}
