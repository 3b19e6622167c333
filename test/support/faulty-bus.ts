import type { Bus, Handler, Subscription } from "../../src/bus/bus.js";
import type { Message, Topic } from "../../src/domain/messages.js";
import { AssayError } from "../../src/errors.js";
import type { Random } from "./seed.js";

/** What the bus does wrong. */
export interface BusFaults {
  /** Chooses everything that is left to chance. */
  readonly random: Random;
  /** How often each message is delivered. Default 3. */
  readonly copies?: number;
  /** Messages that are held back so that later ones can overtake them. Default 100. */
  readonly window?: number;
  /** Share of messages that are never delivered. Default 0. */
  readonly lossRate?: number;
  /** Share of publications that are refused; of these half are delivered all the same. Default 0. */
  readonly refusalRate?: number;
  /** Share of deliveries whose handler seems to have failed after it was done, so that the message comes again. Default 0. */
  readonly forgetRate?: number;
  /** How long until the next held message is let go while nothing new comes, in milliseconds. Default 2. */
  readonly stepMs?: number;
}

/** How often each fault happened; a test that counts none has shown nothing. */
export interface BusFaultCounts {
  published: number;
  delivered: number;
  duplicated: number;
  /** Let go before a message that was published earlier. */
  overtook: number;
  lost: number;
  refused: number;
  forgotten: number;
}

interface Held {
  readonly message: Message;
  readonly n: number;
}

/** A bus that keeps none of its neighbours' courtesies: it doubles, reorders, loses and refuses, as its seed says. */
export class FaultyBus implements Bus {
  readonly counts: BusFaultCounts = {
    published: 0,
    delivered: 0,
    duplicated: 0,
    overtook: 0,
    lost: 0,
    refused: 0,
    forgotten: 0,
  };
  private readonly held: Held[] = [];
  private timer: NodeJS.Timeout | undefined;
  private releasing: Promise<void> = Promise.resolve();
  private open = false;

  constructor(
    private readonly inner: Bus,
    private readonly faults: BusFaults,
  ) {}

  async start(): Promise<void> {
    await this.inner.start();
    this.open = true;
  }

  publish(messages: readonly Message[]): Promise<void> {
    const { random, copies = 3, lossRate = 0, refusalRate = 0, window = 100 } = this.faults;
    const refused = random.chance(refusalRate);
    if (refused) this.counts.refused += 1;
    if (!refused || random.chance(0.5)) {
      for (const message of messages) {
        this.counts.published += 1;
        if (random.chance(lossRate)) {
          this.counts.lost += 1;
          continue;
        }
        this.counts.duplicated += copies - 1;
        for (let copy = 0; copy < copies; copy += 1) this.held.push({ message, n: this.counts.published });
      }
    }
    while (this.held.length > window) this.release();
    this.tick();
    return refused ? Promise.reject(new AssayError("BUS_UNAVAILABLE", "planted: refused")) : this.releasing;
  }

  subscribe(topic: Topic, group: string | null, handler: Handler): Promise<Subscription> {
    const { random, forgetRate = 0 } = this.faults;
    return this.inner.subscribe(topic, group, async (message) => {
      await handler(message);
      this.counts.delivered += 1;
      if (!random.chance(forgetRate)) return;
      this.counts.forgotten += 1;
      throw new AssayError("BUS_UNAVAILABLE", "planted: handled, but its offset is lost");
    });
  }

  lag(topic: Topic, group: string): Promise<number> {
    return this.inner.lag(topic, group);
  }

  /** Messages that are held back are lost. */
  async close(): Promise<void> {
    this.open = false;
    clearTimeout(this.timer);
    this.held.length = 0;
    await this.releasing;
    await this.inner.close();
  }

  /** Lets one of the held messages go, whichever chance says. */
  private release(): void {
    const [next] = this.held.splice(this.faults.random.below(this.held.length), 1);
    if (next === undefined) return;
    if (this.held.some(({ n }) => n < next.n)) this.counts.overtook += 1;
    this.releasing = this.releasing.then(() => this.hand(next));
  }

  private async hand(held: Held): Promise<void> {
    if (!this.open) return;
    try {
      await this.inner.publish([held.message]);
    } catch {
      this.held.push(held); // the bus below refused it: it waits on
    }
  }

  private tick(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.release();
      if (this.open && this.held.length > 0) this.tick();
    }, this.faults.stepMs ?? 2);
  }
}
