/** Lets many listeners wait for news of an experiment. A ring that nobody waits for is lost, so look before waiting. */
export class Bell {
  readonly #waiting = new Map<string, Set<() => void>>();

  /** Wakes whoever waits for the experiment. */
  ring(experimentId: string): void {
    for (const wake of this.#waiting.get(experimentId) ?? []) wake();
  }

  /** Wakes everybody. */
  ringAll(): void {
    for (const experimentId of [...this.#waiting.keys()]) this.ring(experimentId);
  }

  /** Listens from now on; the answer's `heard` resolves at the next ring or after so long, whichever comes first. */
  listen(experimentId: string, waitMs: number): { readonly heard: Promise<void>; readonly stop: () => void } {
    let stop = (): void => undefined;
    const heard = new Promise<void>((resolve) => {
      const listeners = this.#waiting.get(experimentId) ?? new Set();
      this.#waiting.set(experimentId, listeners);
      const timer = setTimeout(() => stop(), waitMs);
      stop = () => {
        clearTimeout(timer);
        listeners.delete(stop);
        if (listeners.size === 0 && this.#waiting.get(experimentId) === listeners) this.#waiting.delete(experimentId);
        resolve();
      };
      listeners.add(stop);
    });
    return { heard, stop: () => stop() };
  }
}
