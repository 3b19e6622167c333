import { createHash } from "node:crypto";
import { parseKey } from "../domain/key.js";
import type { Caller } from "../domain/tenant.js";
import { AssayError, catalogue } from "../errors.js";
import type { AppDatabase } from "../store/database.js";
import { callerOf } from "../store/keys.js";
import type { Reads } from "./reads.js";
import type { EventWatch } from "./run/watch.js";

/** What every resolver gets: who asks, what they may read, and what they may follow. */
export interface Context {
  readonly caller: Caller;
  readonly reads: Reads;
  readonly watch: EventWatch;
  /** W3C trace context of the request. */
  readonly traceparent: string;
}

const CACHE_MS = 5_000;
const CACHED_MAX = 1_000;

interface Known {
  readonly caller: Caller;
  readonly untilMs: number;
}

/** Tells whose key a request carries. Keys that were found good are trusted for 5 s, so that a revoked one works no longer. */
export class KeyCheck {
  readonly #database: AppDatabase;
  readonly #known = new Map<string, Known>();

  constructor(database: AppDatabase) {
    this.#database = database;
  }

  /**
   * The caller of a request with this Authorization header. Throws UNAUTHENTICATED with the same text for every cause.
   * What is no key by its form or checksum is refused without asking the database.
   */
  async caller(authorization: string | undefined): Promise<Caller> {
    const [, text = ""] = /^Bearer ([0-9A-Za-z_]{1,100})$/i.exec(authorization ?? "") ?? [];
    const parts = parseKey(text);
    if (parts === null) throw unauthenticated();
    const name = createHash("sha256").update(text).digest("base64");
    const known = this.#known.get(name);
    if (known !== undefined && known.untilMs > Date.now()) return known.caller;
    this.#known.delete(name);
    const caller = await this.#database.withoutTenant((tx) => callerOf(tx, parts));
    if (caller === null) throw unauthenticated();
    this.#remember(name, caller);
    return caller;
  }

  #remember(name: string, caller: Caller): void {
    const [oldest] = this.#known.keys();
    if (oldest !== undefined && this.#known.size >= CACHED_MAX) this.#known.delete(oldest);
    this.#known.set(name, { caller, untilMs: Date.now() + CACHE_MS });
  }
}

function unauthenticated(): AssayError {
  return new AssayError("UNAUTHENTICATED", catalogue.UNAUTHENTICATED.sentence);
}
