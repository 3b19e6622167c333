import type { IncomingMessage, ServerResponse } from "node:http";
import { AssayError } from "../errors.js";
import type { Log } from "../log.js";
import type { Context, KeyCheck } from "./context.js";
import type { FileEndpoint } from "./files.js";
import type { Asset } from "./graphiql.js";
import type { GraphqlEndpoint } from "./graphql-http.js";
import { allow, type Exchange, HttpFault, send, sendError } from "./http.js";
import { publicError } from "./present.js";
import type { Readiness } from "./server.js";

/** What a router hands requests to. */
export interface RouterParts {
  readonly keys: KeyCheck;
  readonly log: Log;
  readonly contextOf: (caller: Context["caller"], request: IncomingMessage) => Context;
  readonly graphql: GraphqlEndpoint;
  readonly files: FileEndpoint;
  /** What is served to anybody, by path. */
  readonly assets: ReadonlyMap<string, Asset>;
  readonly ready: () => Promise<Readiness>;
}

/** Sends each request to what answers it. Only the console's files and the health paths are there without a key. */
export class Router {
  readonly #parts: RouterParts;
  #isLeaving = false;

  constructor(parts: RouterParts) {
    this.#parts = parts;
  }

  /** From now on every answer is the last one on its connection. */
  leave(): void {
    this.#isLeaving = true;
  }

  /** Answers a request, whatever happens. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#isLeaving) response.setHeader("connection", "close");
    response.setHeader("x-content-type-options", "nosniff");
    try {
      const url = new URL(request.url ?? "/", "http://localhost");
      await this.#route({ request, response, url });
    } catch (thrown) {
      this.#refuse(response, thrown);
    }
  }

  async #route(exchange: Exchange): Promise<void> {
    const { request, response, url } = exchange;
    const asset = this.#parts.assets.get(url.pathname);
    if (asset !== undefined) {
      allow(exchange, ["GET", "HEAD"]);
      for (const [name, value] of Object.entries(asset.headers)) response.setHeader(name, value);
      return send(response, 200, asset);
    }
    const [, first = "", second = "", third, ...rest] = url.pathname.split("/");
    if (url.pathname === "/healthz" || url.pathname === "/readyz") return this.#health(exchange);
    if (url.pathname === "/graphql") return this.#parts.graphql.serve(exchange, await this.#context(request));
    if (first === "uploads" && third === "1" && rest.length === 0) {
      return this.#parts.files.receive(exchange, second, await this.#context(request));
    }
    if (first === "artifacts" && third === undefined) {
      return this.#parts.files.give(exchange, second, await this.#context(request));
    }
    throw new HttpFault(404, "wanted one of the paths /graphql, /uploads, /artifacts, /healthz and /readyz");
  }

  async #context(request: IncomingMessage): Promise<Context> {
    return this.#parts.contextOf(await this.#parts.keys.caller(request.headers.authorization), request);
  }

  async #health(exchange: Exchange): Promise<void> {
    allow(exchange, ["GET", "HEAD"]);
    const { ready, checks } =
      exchange.url.pathname === "/healthz" ? { ready: true, checks: {} } : await this.#parts.ready();
    exchange.response.setHeader("cache-control", "no-store");
    send(exchange.response, ready ? 200 : 503, {
      contentType: "application/json; charset=utf-8",
      body: JSON.stringify({ status: ready ? "ok" : "not ready", checks }),
    });
  }

  #refuse(response: ServerResponse, thrown: unknown): void {
    if (response.headersSent || response.destroyed) {
      // A broken download: the client sees that the length is short.
      if (!(thrown instanceof Error && "code" in thrown && thrown.code === "ERR_STREAM_PREMATURE_CLOSE")) {
        publicError(thrown, this.#parts.log);
      }
      response.destroy();
      return;
    }
    const error = publicError(
      thrown instanceof TypeError && "input" in thrown ? malformedPath() : thrown,
      this.#parts.log,
    );
    sendError(response, error, thrown instanceof HttpFault ? thrown.status : undefined);
  }
}

/** What `URL` throws for a path that it cannot read. */
function malformedPath(): AssayError {
  return new AssayError("MALFORMED_REQUEST", "wanted a path that is well-formed, but it is not");
}
