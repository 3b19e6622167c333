/** How long the note that a run has begun may wait for what comes next. */
const HOLD_MS = 25;

/**
 * Holds the note that a run has begun back for a moment: where its end follows at once, both are written together. Whatever
 * else is to be written of the attempt comes after the note.
 */
export class HeldStart {
  private timer: NodeJS.Timeout | undefined;
  private held = false;
  private saying: Promise<void> = Promise.resolve();

  constructor(
    private readonly write: () => Promise<void>,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** The pod has begun. */
  heard(): void {
    this.held = true;
    this.timer ??= setTimeout(() => void this.say().catch(this.failed), HOLD_MS);
  }

  /** Writes the note now, where it is held; resolves when it is written. */
  say(): Promise<void> {
    if (this.take()) {
      this.saying = this.write().catch((error: unknown) => {
        this.held = true;
        throw error;
      });
    }
    return this.saying;
  }

  /** Whether the note is held; then whoever asks writes it. */
  take(): boolean {
    clearTimeout(this.timer);
    this.timer = undefined;
    const { held } = this;
    this.held = false;
    return held;
  }
}
