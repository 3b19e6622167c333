import { setTimeout as pause } from "node:timers/promises";
import type { Message, Topic } from "../domain/messages.js";
import { AssayError } from "../errors.js";
import { type Log, reasonOf } from "../log.js";
import type { Bus, Handler, Subscription } from "./bus.js";

/** Settings of a bus that is waited for. */
export interface PatientBusOptions {
  readonly log: Log;
  /** Pause between two tries. Default 2000 ms. */
  readonly retryMs?: number;
}

/**
 * Stands for a bus that may be away when a process starts. Nothing depends on a ring, so the process works without until it
 * answers: `start` and `subscribe` resolve at once and are done as soon as they can be, `publish` fails and is tried again.
 */
export class PatientBus implements Bus {
  private readonly closing = new AbortController();
  private readonly waiting = new Set<Join>();
  private isOpen = false;
  private loop: Promise<void> | undefined;
  private trying: Promise<void> | undefined;

  constructor(
    private readonly inner: Bus,
    private readonly options: PatientBusOptions,
  ) {}

  async start(): Promise<void> {
    if (!(await this.tryOnce())) this.tryOn();
  }

  publish(messages: readonly Message[]): Promise<void> {
    return this.isOpen ? this.inner.publish(messages) : Promise.reject(notYet());
  }

  async subscribe(topic: Topic, group: string | null, handler: Handler): Promise<Subscription> {
    const join = new Join(() => this.inner.subscribe(topic, group, handler));
    this.waiting.add(join);
    if (!(await this.tryOnce())) this.tryOn();
    const close = (): Promise<void> => {
      this.waiting.delete(join);
      return join.close();
    };
    return { close };
  }

  lag(topic: Topic, group: string): Promise<number> {
    return this.isOpen ? this.inner.lag(topic, group) : Promise.reject(notYet());
  }

  async close(): Promise<void> {
    this.closing.abort();
    await this.loop;
    await this.trying;
    if (this.isOpen) await this.inner.close();
  }

  private tryOn(): void {
    this.loop ??= this.keepTrying().finally(() => {
      this.loop = undefined;
    });
  }

  private async keepTrying(): Promise<void> {
    const { signal } = this.closing;
    do {
      await pause(this.options.retryMs ?? 2_000, undefined, { signal }).catch(() => undefined); // closing ends the pause
    } while (!signal.aborted && !(await this.tryOnce()));
  }

  /** Whether the bus is open and everybody who waited has joined. */
  private async tryOnce(): Promise<boolean> {
    this.trying ??= this.attempt().finally(() => {
      this.trying = undefined;
    });
    await this.trying;
    return this.isOpen && this.waiting.size === 0;
  }

  private async attempt(): Promise<void> {
    try {
      if (!this.isOpen) await this.inner.start();
      this.isOpen = true;
      for (const join of this.waiting) {
        await join.open();
        this.waiting.delete(join);
      }
    } catch (error) {
      this.options.log.warn("the bus is away; looking for work without it", { reason: reasonOf(error) });
    }
  }
}

/** A member that joins when it can. */
class Join {
  private isClosed = false;
  private joining: Promise<Subscription> | undefined;

  constructor(private readonly subscribe: () => Promise<Subscription>) {}

  async open(): Promise<void> {
    if (this.isClosed) return;
    this.joining ??= this.subscribe();
    try {
      await this.joining;
    } catch (error) {
      this.joining = undefined;
      throw error;
    }
  }

  async close(): Promise<void> {
    this.isClosed = true;
    const subscription = await this.joining?.catch(() => undefined); // told to whoever opened it
    await subscription?.close();
  }
}

function notYet(): AssayError {
  return new AssayError("BUS_UNAVAILABLE", "wanted the bus, but it has not answered since this process began");
}
