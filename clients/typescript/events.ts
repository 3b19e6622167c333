import { setTimeout as pause } from "node:timers/promises";
import { createClient } from "graphql-ws";
import { experimentEventsDocument } from "./documents.js";
import { AssayRequestError, topLevelErrors, unreachable } from "./errors.js";
import type { Endpoint } from "./transport.js";
import type { ExperimentEvent } from "./types.js";

/** How an experiment's events are followed. */
export interface FollowOptions {
  /** Only events with a higher sequence are given. Default 0: from the beginning. */
  readonly afterSequence?: number;
  /** Ends the iteration. */
  readonly signal?: AbortSignal;
  /** How long to go on trying after the connection was lost, in ms. Default 120,000. */
  readonly patienceMs?: number;
}

/** Close codes after which another connection would fare no better. */
const finalCodes = [4400, 4401, 4403, 4406, 4500];
const pingEveryMs = 15_000;

/**
 * The events of an experiment in commit order, each once. A lost connection is made again and resumes after the last event
 * that was given; the iteration ends when the service completes it, when the signal aborts, or when patience is over.
 */
export async function* followEvents(
  endpoint: Endpoint,
  experimentId: string,
  options: FollowOptions = {},
): AsyncGenerator<ExperimentEvent> {
  const loss = new Loss(endpoint.url, options);
  let last = options.afterSequence ?? 0;
  while (!isAborted(options.signal)) {
    try {
      const connection = { endpoint, loss, ...(options.signal === undefined ? {} : { signal: options.signal }) };
      for await (const event of oneConnection(connection, { experimentId, afterSequence: last })) {
        if (event.sequence <= last) continue;
        last = event.sequence;
        yield event;
      }
      return;
    } catch (error) {
      if (!(await loss.isWorthAnotherTry(error))) return;
    }
  }
}

/** How long the connection has been lost, and whether that is bearable. */
class Loss {
  private since: number | undefined;

  constructor(
    private readonly url: string,
    private readonly options: FollowOptions,
  ) {}

  /** The connection is there again. */
  over(): void {
    this.since = undefined;
  }

  /** Pauses before another try; false when the caller has had enough. Throws what no other try would mend. */
  async isWorthAnotherTry(error: unknown): Promise<boolean> {
    const { signal, patienceMs = 120_000 } = this.options;
    if (isAborted(signal)) return false;
    if (error instanceof AssayRequestError) throw error;
    this.since ??= Date.now();
    if (Date.now() - this.since > patienceMs) throw unreachable(this.url, error);
    await pause(250, undefined, signal === undefined ? {} : { signal }).catch(() => undefined); // told by `aborted` below
    return !isAborted(signal);
  }
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted ?? false;
}

interface ConnectionOptions {
  readonly endpoint: Endpoint;
  readonly loss: Loss;
  readonly signal?: AbortSignal;
}

interface EventVariables {
  readonly experimentId: string;
  readonly afterSequence: number;
}

/** Events of one WebSocket connection. Throws an AssayRequestError for a refusal, anything else when the connection is lost. */
async function* oneConnection(options: ConnectionOptions, variables: EventVariables): AsyncGenerator<ExperimentEvent> {
  const { signal } = options;
  const client = connect(options);
  const query = { query: experimentEventsDocument, variables: { ...variables } };
  const results = client.iterate<{ experimentEvents: ExperimentEvent }>(query);
  const abort = (): void => void results.return?.();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    for await (const { data, errors } of results) {
      if (errors !== undefined) throw topLevelErrors(errors);
      if (data) yield data.experimentEvents;
    }
  } catch (error) {
    throw Array.isArray(error) ? topLevelErrors(error) : refusalOf(error);
  } finally {
    signal?.removeEventListener("abort", abort);
    await client.dispose();
  }
}

function connect({ endpoint: { url, key }, loss }: ConnectionOptions): ReturnType<typeof createClient> {
  let unanswered: NodeJS.Timeout | undefined;
  const address = new URL("/graphql", url);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  const client = createClient({
    url: address.href,
    connectionParams: { authorization: `Bearer ${key}` },
    retryAttempts: 0, // `followEvents` makes connections again, because only it knows the last sequence
    keepAlive: pingEveryMs,
    on: {
      connected: () => loss.over(),
      ping: (received) => {
        // A peer that vanished without a word is noticed by a ping that nobody answers.
        if (!received) unanswered = setTimeout(() => client.terminate(), pingEveryMs);
      },
      pong: () => clearTimeout(unanswered),
      closed: () => clearTimeout(unanswered),
    },
  });
  return client;
}

function refusalOf(error: unknown): unknown {
  if (typeof error !== "object" || error === null || !("code" in error) || !("reason" in error)) return error;
  if (typeof error.code !== "number" || !finalCodes.includes(error.code)) return error;
  const code = error.code === 4401 || error.code === 4403 ? "UNAUTHENTICATED" : "MALFORMED_REQUEST";
  return new AssayRequestError([{ code, message: String(error.reason), path: [] }], error);
}
