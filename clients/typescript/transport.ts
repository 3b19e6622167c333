import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { AssayRequestError, topLevelErrors, unreachable } from "./errors.js";

/** Where the service is and who asks. */
export interface Endpoint {
  /** The service's address, for instance http://127.0.0.1:4000. */
  readonly url: string;
  /** An API key. */
  readonly key: string;
}

/** Variables of a GraphQL operation. */
export type Variables = Readonly<Record<string, unknown>>;

const triesMax = 4;

/**
 * Sends one GraphQL operation. Tries again when no answer came or the service was not ready: submitting is safe to repeat
 * because of its idempotency key, and every other operation by its nature.
 */
export async function execute<Data>({ url, key }: Endpoint, query: string, variables: Variables): Promise<Data> {
  const body = JSON.stringify({ query, variables });
  const headers = {
    "content-type": "application/json",
    accept: "application/graphql-response+json",
    authorization: `Bearer ${key}`,
  };
  const answer = await withRetries(url, () => fetch(new URL("/graphql", url), { method: "POST", headers, body }));
  const text = await answer.text();
  const parsed = parseAnswer(text);
  if (parsed?.errors !== undefined) throw topLevelErrors(parsed.errors);
  if (parsed?.data === undefined || parsed.data === null) {
    throw new AssayRequestError([
      { code: "INTERNAL", message: `HTTP ${answer.status}: ${text.slice(0, 200)}`, path: [] },
    ]);
  }
  return parsed.data as Data; // the document that asked for it names exactly these fields
}

/** Sends a file to the address of an upload part. */
export async function putFile({ key }: Endpoint, to: string, file: string): Promise<void> {
  const send = (): Promise<Response> =>
    fetch(to, {
      method: "PUT",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/octet-stream" },
      body: Readable.toWeb(createReadStream(file)),
      duplex: "half",
    });
  await refuseFailure(await withRetries(to, send));
}

/** Opens a file of the artifact store. */
export async function getFile({ key }: Endpoint, from: string): Promise<Response> {
  const answer = await withRetries(from, () => fetch(from, { headers: { authorization: `Bearer ${key}` } }));
  await refuseFailure(answer);
  return answer;
}

async function refuseFailure(answer: Response): Promise<void> {
  if (answer.ok) return;
  const text = await answer.text();
  const errors = parseAnswer(text)?.errors;
  if (errors !== undefined) throw topLevelErrors(errors);
  throw new AssayRequestError([
    { code: "INTERNAL", message: `HTTP ${answer.status}: ${text.slice(0, 200)}`, path: [] },
  ]);
}

async function withRetries(url: string, send: () => Promise<Response>): Promise<Response> {
  for (let tries = 1; ; tries += 1) {
    try {
      const answer = await send();
      if (answer.status !== 503 || tries === triesMax) return answer;
      await answer.arrayBuffer(); // frees the connection
    } catch (error) {
      if (tries === triesMax) throw unreachable(url, error instanceof Error ? (error.cause ?? error) : error);
    }
    await pause(200 * 2 ** tries);
  }
}

function parseAnswer(text: string): { data?: unknown; errors?: readonly unknown[] } | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== "object" || parsed === null) return undefined;
    const data = "data" in parsed ? parsed.data : undefined;
    const errors =
      "errors" in parsed && Array.isArray(parsed.errors) && parsed.errors.length > 0 ? parsed.errors : undefined;
    return { data, ...(errors === undefined ? {} : { errors }) };
  } catch {
    return undefined; // not JSON: a proxy's page, for instance
  }
}
