import type { IncomingMessage, ServerResponse } from "node:http";
import { unsafeIn } from "../domain/json-text.js";
import { AssayError, catalogue } from "../errors.js";
import { extensionsOf, type PublicError } from "./present.js";

/** One request on its way to an answer. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
}

/** Larger bodies of a GraphQL request are refused. */
export const BODY_BYTES_MAX = 2 ** 20;
const BODY_WAIT_MS = 30_000;

/** Answers with an error in the shape that GraphQL clients read, whatever the path. */
export function sendError(
  response: ServerResponse,
  error: PublicError,
  status: number = catalogue[error.code].http,
): void {
  if (status === 401) response.setHeader("www-authenticate", "Bearer");
  if (catalogue[error.code].retriable) response.setHeader("retry-after", "1");
  // What was not read of the request cannot be told from a next one.
  if (!response.req.complete) response.setHeader("connection", "close");
  const body = JSON.stringify({ errors: [{ message: error.message, extensions: extensionsOf(error) }] });
  send(response, status, { contentType: "application/json; charset=utf-8", body });
}

/** What an answer consists of. */
export interface Content {
  readonly contentType: string;
  readonly body: string | Buffer;
}

/** Sends a whole answer. */
export function send(response: ServerResponse, status: number, { contentType, body }: Content): void {
  response.writeHead(status, { "content-type": contentType, "content-length": Buffer.byteLength(body) });
  response.end(response.req.method === "HEAD" ? undefined : body);
}

/** Refuses every method but these. */
export function allow({ request, response }: Pick<Exchange, "request" | "response">, methods: readonly string[]): void {
  if (methods.includes(request.method ?? "")) return;
  response.setHeader("allow", methods.join(", "));
  throw new HttpFault(405, `wanted one of the methods ${methods.join(", ")}, but got ${request.method}`);
}

/** A fault of HTTP itself, which has a status of its own beside the catalogue's code. */
export class HttpFault extends AssayError {
  readonly status: number;

  constructor(status: number, message: string) {
    super("MALFORMED_REQUEST", message);
    this.status = status;
  }
}

/**
 * Reads a JSON body. Throws HttpFault for another content type, an encoding, or a client that is too slow, PAYLOAD_TOO_LARGE
 * without reading on, MALFORMED_REQUEST for what is no JSON, and INVALID_INPUT for what could not be stored.
 */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const [type = "", ...parameters] = (request.headers["content-type"] ?? "").toLowerCase().split(";");
  if (type.trim() !== "application/json") {
    throw new HttpFault(415, `wanted a body of content type application/json, but got ${JSON.stringify(type.trim())}`);
  }
  const charset = parameters.map((parameter) => parameter.trim()).find((parameter) => parameter.startsWith("charset="));
  if (charset !== undefined && !/^charset="?utf-?8"?$/.test(charset)) {
    throw new HttpFault(415, `wanted charset utf-8, but got ${charset}`);
  }
  if ((request.headers["content-encoding"] ?? "identity") !== "identity") {
    throw new HttpFault(415, "wanted a body that is not compressed");
  }
  const value = parsed(await readBody(request));
  const fault = unsafeIn(value);
  if (fault !== null) throw new AssayError("INVALID_INPUT", fault);
  return value;
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw new AssayError("MALFORMED_REQUEST", "wanted a body of JSON in UTF-8, but it is not");
  }
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  if (Number(request.headers["content-length"] ?? 0) > BODY_BYTES_MAX) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    request.destroy();
  }, BODY_WAIT_MS);
  try {
    // The answer goes out on the same socket, so a body that is refused half-way must not close it.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      size += chunk.length;
      if (size > BODY_BYTES_MAX) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof AssayError) throw cause;
    throw new HttpFault(
      408,
      late ? "wanted the whole body within 30 s" : "wanted the whole body, but the connection ended",
    );
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(chunks);
}

function tooLarge(): AssayError {
  return new AssayError("PAYLOAD_TOO_LARGE", `wanted a body of at most ${BODY_BYTES_MAX} bytes, but it is larger`);
}
