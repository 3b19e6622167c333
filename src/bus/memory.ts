import { setTimeout as pause } from "node:timers/promises";
import { newId } from "../domain/digest.js";
import type { Message, Topic } from "../domain/messages.js";
import { AssayError } from "../errors.js";
import { type Log, reasonOf } from "../log.js";
import type { Bus, Handler, Subscription } from "./bus.js";
import { Wake } from "./wake.js";

/** Settings of the in-process bus. */
export interface MemoryBusOptions {
  readonly log: Log;
  /** Pause before a message whose handler threw comes again. Default 100 ms. */
  readonly retryMs?: number;
  /** Messages a group may have to handle still; `publish` waits beyond it. Default 10,000. */
  readonly backlogMax?: number;
}

/** The bus of the embedded mode: one process, nothing kept when it ends. */
export class MemoryBus implements Bus {
  private readonly groups = new Map<string, Group>();
  private readonly members = new Set<Member>();
  private open = false;

  constructor(private readonly options: MemoryBusOptions) {}

  start(): Promise<void> {
    this.open = true;
    return Promise.resolve();
  }

  async publish(messages: readonly Message[]): Promise<void> {
    this.assertOpen();
    for (const message of messages) {
      for (const [name, group] of this.groups) {
        const isWanted = (): boolean => this.open && this.groups.get(name) === group;
        if (group.topic === message.topic) await group.push(message, isWanted);
      }
    }
  }

  subscribe(topic: Topic, group: string | null, handler: Handler): Promise<Subscription> {
    this.assertOpen();
    const name = `${topic}\n${group ?? newId()}`;
    const joined = this.groups.get(name) ?? new Group(topic, this.options.backlogMax ?? 10_000);
    this.groups.set(name, joined);
    const member = new Member(joined, handler, this.options);
    this.members.add(member);
    member.start();
    const close = async (): Promise<void> => {
      this.members.delete(member);
      if (group === null) this.groups.delete(name);
      joined.changed();
      await member.stop();
    };
    return Promise.resolve({ close });
  }

  lag(topic: Topic, group: string): Promise<number> {
    return Promise.resolve(this.groups.get(`${topic}\n${group}`)?.size ?? 0);
  }

  async close(): Promise<void> {
    this.open = false;
    for (const group of this.groups.values()) group.changed();
    await Promise.all([...this.members].map((member) => member.stop()));
    this.members.clear();
    this.groups.clear();
  }

  private assertOpen(): void {
    if (!this.open) throw new AssayError("INTERNAL", "wanted a started bus, but it is not started or is closed");
  }
}

/** What a group's members share: the messages that wait, and the keys somebody is at work on. */
class Group {
  private readonly waiting: Message[] = [];
  private readonly busyKeys = new Set<string>();
  private readonly listeners = new Set<() => void>();
  private readonly room = new Wake();

  constructor(
    readonly topic: Topic,
    private readonly backlogMax: number,
  ) {}

  get size(): number {
    return this.waiting.length + this.busyKeys.size;
  }

  async push(message: Message, isWanted: () => boolean): Promise<void> {
    while (this.size >= this.backlogMax && isWanted()) await this.room.wait(1000);
    this.waiting.push(message);
    this.changed();
  }

  /** The next message whose key nobody is at work on, so that the messages of one key stay in order. */
  take(): Message | undefined {
    const at = this.waiting.findIndex((message) => !this.busyKeys.has(message.key));
    const [message] = at < 0 ? [] : this.waiting.splice(at, 1);
    if (message !== undefined) this.busyKeys.add(message.key);
    return message;
  }

  /** The message is handled, or goes back to the front for another member. */
  settle(message: Message, handled: boolean): void {
    this.busyKeys.delete(message.key);
    if (!handled) this.waiting.unshift(message);
    this.changed();
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  changed(): void {
    this.room.ring();
    for (const listener of this.listeners) listener();
  }
}

/** Messages of different keys that a member works on side by side. */
const AT_ONCE_MAX = 32;

/** Hands the group's messages to one handler, those of one key one after the other. */
class Member {
  private readonly wake = new Wake();
  private readonly atWork = new Set<Promise<void>>();
  private stopped = false;
  private readonly ending = new AbortController();
  private loop: Promise<void> = Promise.resolve();

  constructor(
    private readonly group: Group,
    private readonly handler: Handler,
    private readonly options: MemoryBusOptions,
  ) {}

  start(): void {
    this.loop = this.run();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.ending.abort();
    this.wake.ring();
    await this.loop;
  }

  private async run(): Promise<void> {
    const forget = this.group.onChange(() => this.wake.ring());
    while (!this.stopped) {
      const message = this.atWork.size < AT_ONCE_MAX ? this.group.take() : undefined;
      if (message === undefined) await this.wake.wait(60_000);
      else this.begin(message);
    }
    forget();
    await Promise.all(this.atWork);
  }

  private begin(message: Message): void {
    const work = this.handle(message).then((handled) => {
      this.atWork.delete(work);
      this.group.settle(message, handled); // which wakes the loop
    });
    this.atWork.add(work);
  }

  /** Whether the handler took the message; it gets it again until it does or the member leaves. */
  private async handle(message: Message): Promise<boolean> {
    const { log, retryMs = 100 } = this.options;
    while (!this.stopped) {
      try {
        await this.handler(message);
        return true;
      } catch (error) {
        log.warn("message comes again", { topic: message.topic, eventId: message.eventId, reason: reasonOf(error) });
        await pause(retryMs, undefined, { signal: this.ending.signal }).catch(() => undefined); // looked at above
      }
    }
    return false;
  }
}
