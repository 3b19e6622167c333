import { randomUUID } from "node:crypto";
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";

/** What a client asked for. `key` is the idempotency key of calls that carry one. */
export interface ClientCall {
  readonly operation: string;
  readonly key?: string;
}

/** How a call ended, as its client saw it. LOST: no answer came, so nobody but the database knows whether it was done. */
export type ClientOutcome =
  | { readonly kind: "ACKNOWLEDGED"; readonly id: string }
  | { readonly kind: "REFUSED"; readonly code: string }
  | { readonly kind: "LOST"; readonly reason: string };

/** A call with its outcome; null when the client died before it knew one. */
export interface LoggedCall extends ClientCall {
  readonly outcome: ClientOutcome | null;
}

interface SendLine extends ClientCall {
  readonly send: string;
  readonly at: string;
}

interface ReplyLine {
  readonly reply: string;
  readonly at: string;
  readonly outcome: ClientOutcome;
}

/**
 * What a client did, as JSON lines that are on the disk before each request leaves and after each answer came. So whatever
 * was acknowledged is known after any crash, the client's own too.
 */
export class ClientLog {
  private readonly file: number;
  /** Several logs, one after another, may write to one file: a reply must not be taken for an earlier one's. */
  private readonly name = randomUUID();
  private sent = 0;

  constructor(path: string) {
    this.file = openSync(path, "a");
  }

  /** Notes a request that is about to leave and gives the function that notes its outcome. */
  send(call: ClientCall): (outcome: ClientOutcome) => void {
    this.sent += 1;
    const name = `${this.name}-${this.sent}`;
    this.write({ send: name, at: new Date().toISOString(), ...call });
    return (outcome) => this.write({ reply: name, at: new Date().toISOString(), outcome });
  }

  /** Closes the file. */
  close(): void {
    closeSync(this.file);
  }

  private write(line: SendLine | ReplyLine): void {
    writeSync(this.file, `${JSON.stringify(line)}\n`);
    fsyncSync(this.file);
  }
}

/** Reads the calls of a client's log; a last line that a crash cut short is left out. */
export function readClientLog(path: string): LoggedCall[] {
  const calls = new Map<string, LoggedCall>();
  for (const line of existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(0, -1) : []) {
    const entry: SendLine | ReplyLine = JSON.parse(line);
    if ("send" in entry) {
      const { operation, key } = entry;
      calls.set(entry.send, { operation, ...(key === undefined ? {} : { key }), outcome: null });
      continue;
    }
    const call = calls.get(entry.reply);
    if (call !== undefined) calls.set(entry.reply, { ...call, outcome: entry.outcome });
  }
  return [...calls.values()];
}

/** The UUID inside an id as the API gives it, or the id itself where it is one. */
export function bareId(id: string): string {
  if (/^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(id)) return id;
  return Buffer.from(id, "base64url").toString("utf8").replace(/^\w+:/, "");
}
