import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { type Log, reasonOf } from "../log.js";
import { clientSettings, type Login } from "./login.js";

/** What is listened to, and who is told. */
export interface Wish {
  readonly channel: string;
  /** Called at every notification, and whenever the connection is made anew, for then some may have been lost. */
  readonly heard: () => void;
  readonly log: Log;
  /** Pause before a broken connection is made anew. Default 1000 ms. */
  readonly retryMs?: number;
}

/** A connection of its own that hears a channel, made anew as often as it breaks. */
export class Listener {
  private readonly closing = new AbortController();
  private client: pg.Client | undefined;
  private loop: Promise<void> = Promise.resolve();

  private constructor(
    private readonly login: Login,
    private readonly wish: Wish,
  ) {}

  /** Resolves once it listens; a first connection that fails is told to the caller. */
  static async open(login: Login, wish: Wish): Promise<Listener> {
    const listener = new Listener(login, wish);
    const broken = await listener.connect();
    listener.loop = listener.keepUp(broken);
    return listener;
  }

  /** Hears no more. */
  async close(): Promise<void> {
    this.closing.abort();
    await this.client?.end();
    await this.loop;
  }

  /** Connects and listens; the promise inside resolves when the connection has ended. */
  private async connect(): Promise<{ readonly ended: Promise<void> }> {
    const { channel, heard, log } = this.wish;
    const client = new pg.Client({ ...clientSettings(this.login), keepAlive: true, connectionTimeoutMillis: 10_000 });
    const ended = new Promise<void>((resolve) => client.once("end", () => resolve()));
    client.on("error", (error) => log.warn("listening connection broke", { channel, reason: reasonOf(error) }));
    client.on("notification", heard);
    try {
      await client.connect();
      await client.query(`listen ${client.escapeIdentifier(channel)}`);
    } catch (error) {
      await client.end().catch(() => undefined); // what broke it is told below
      throw error;
    }
    this.client = client;
    return { ended };
  }

  private async keepUp(first: { readonly ended: Promise<void> }): Promise<void> {
    const { signal } = this.closing;
    for (let connection = first; ; ) {
      await connection.ended;
      const next = await this.connectAgain(signal);
      if (next === undefined) return;
      connection = next;
      this.wish.heard();
    }
  }

  private async connectAgain(signal: AbortSignal): Promise<{ readonly ended: Promise<void> } | undefined> {
    const { channel, log, retryMs = 1_000 } = this.wish;
    while (!signal.aborted) {
      await pause(retryMs, undefined, { signal }).catch(() => undefined); // closing ends the pause
      if (signal.aborted) return undefined;
      try {
        const connection = await this.connect();
        log.info("listens again", { channel });
        if (signal.aborted) await this.client?.end();
        return connection;
      } catch (error) {
        log.warn("cannot listen just now", { channel, reason: reasonOf(error) });
      }
    }
    return undefined;
  }
}
