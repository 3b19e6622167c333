import type { IncomingMessage } from "node:http";
import {
  type ExecutionArgs,
  GraphQLError,
  type GraphQLFormattedError,
  type GraphQLSchema,
  getOperationAST,
  OperationTypeNode,
  specifiedRules,
  validate,
} from "graphql";
import type { ServerOptions, SubscribePayload } from "graphql-ws";
import { type Extra, useServer as serveSockets } from "graphql-ws/use/ws";
import { WebSocket, WebSocketServer } from "ws";
import { unsafeIn } from "../domain/json-text.js";
import { AssayError } from "../errors.js";
import { type Log, reasonOf } from "../log.js";
import type { Context, KeyCheck } from "./context.js";
import { BODY_BYTES_MAX } from "./http.js";
import type { DocumentCheck } from "./limits.js";
import { presentError, publicError } from "./present.js";

/** What subscriptions are made of. */
export interface SubscriptionParts {
  readonly schema: GraphQLSchema;
  readonly keys: KeyCheck;
  readonly documents: DocumentCheck;
  readonly log: Log;
  readonly contextOf: (caller: Context["caller"], request: IncomingMessage) => Context;
  readonly keyRecheckMs: number;
}

/** What a connection remembers once its key was found good. */
interface Known {
  context?: Context;
  authorization?: string;
}

type Options = ServerOptions<Record<string, unknown>, Extra & Partial<Known>>;
type Socket = Parameters<NonNullable<Options["onConnect"]>>[0];

/** Close codes of the graphql-transport-ws protocol. */
const UNAUTHORIZED = 4401;
const FORBIDDEN = 4403;

const SUBSCRIPTIONS_MAX = 100;
const CONNECTIONS_PER_KEY_MAX = 100;

/** Serves subscriptions over graphql-transport-ws. The key comes in the connection's parameters, or as a header. */
export class SubscriptionEndpoint {
  readonly sockets = new WebSocketServer({ noServer: true, maxPayload: BODY_BYTES_MAX });
  readonly #parts: SubscriptionParts;
  readonly #connections = new Map<string, number>();
  readonly #server: { dispose: () => Promise<void> | void };

  constructor(parts: SubscriptionParts) {
    this.#parts = parts;
    const options: Options = {
      schema: parts.schema,
      connectionInitWaitTimeout: 10_000,
      onConnect: (socket) => this.#connect(socket),
      onSubscribe: (socket, _id, payload) => this.#subscribe(socket, payload),
      onError: (_socket, _id, _payload, errors) => errors.map((error) => this.#present(error)),
      onNext: (_socket, _id, _payload, _args, result) => {
        if (result.errors === undefined) return undefined;
        return { data: result.data ?? null, errors: result.errors.map((error) => this.#present(error)) };
      },
    };
    this.#server = serveSockets({ ...options, isProd: true }, this.sockets);
  }

  /** Whether a browser page of another origin wants to connect; programs send no origin. */
  static isForeign({ headers: { origin, host } }: IncomingMessage): boolean {
    return origin !== undefined && (!URL.canParse(origin) || new URL(origin).host !== host);
  }

  /** Ends every connection. */
  async close(): Promise<void> {
    await this.#server.dispose();
  }

  async #connect(socket: Socket): Promise<boolean> {
    const { extra, connectionParams } = socket;
    const authorization = authorizationOf(connectionParams) ?? extra.request.headers.authorization;
    try {
      const caller = await this.#parts.keys.caller(authorization);
      // One that closed meanwhile would be counted for ever: its "close" has come already.
      if (extra.socket.readyState !== WebSocket.OPEN) return false;
      const held = this.#connections.get(caller.keyId) ?? 0;
      if (!caller.scopes.includes("READ") || held >= CONNECTIONS_PER_KEY_MAX) {
        extra.socket.close(FORBIDDEN, "Forbidden");
        return false;
      }
      extra.context = this.#parts.contextOf(caller, extra.request);
      if (authorization !== undefined) extra.authorization = authorization;
      this.#connections.set(caller.keyId, held + 1);
      this.#keepChecking(socket, caller.keyId);
      return true;
    } catch (thrown) {
      const unknown = thrown instanceof AssayError && thrown.code === "UNAUTHENTICATED";
      if (!unknown) publicError(thrown, this.#parts.log);
      // 1013 asks to try again later.
      extra.socket.close(unknown ? UNAUTHORIZED : 1013, unknown ? "Unauthorized" : "Try again later");
      return false;
    }
  }

  /** A key that was revoked while its connection stood ends the connection. */
  #keepChecking({ extra }: Socket, keyId: string): void {
    const { keys, log } = this.#parts;
    const timer = setInterval(() => {
      keys.caller(extra.authorization).catch((thrown: unknown) => {
        if (thrown instanceof AssayError && thrown.code === "UNAUTHENTICATED")
          extra.socket.close(UNAUTHORIZED, "Unauthorized");
        else log.warn("key could not be checked again", { reason: reasonOf(thrown) });
      });
    }, this.#parts.keyRecheckMs);
    extra.socket.once("close", () => {
      clearInterval(timer);
      const held = (this.#connections.get(keyId) ?? 1) - 1;
      if (held > 0) this.#connections.set(keyId, held);
      else this.#connections.delete(keyId);
    });
  }

  #subscribe({ extra, subscriptions }: Socket, payload: SubscribePayload): ExecutionArgs | readonly GraphQLError[] {
    const { schema, documents } = this.#parts;
    const { context } = extra;
    try {
      if (context === undefined) throw new AssayError("INTERNAL", "wanted a connection whose key is known");
      const fault = unsafeIn(payload.variables ?? {});
      if (fault !== null) throw new AssayError("INVALID_INPUT", fault);
      const document = documents.parse(payload.query, payload.variables ?? {});
      const errors = validate(schema, document, specifiedRules);
      if (errors.length > 0) return errors;
      if (getOperationAST(document, payload.operationName)?.operation !== OperationTypeNode.SUBSCRIPTION) {
        throw new AssayError("MALFORMED_REQUEST", "wanted a subscription; queries and mutations go over HTTP");
      }
      if (Object.keys(subscriptions).length > SUBSCRIPTIONS_MAX) {
        throw new AssayError(
          "QUERY_TOO_COMPLEX",
          `wanted at most ${SUBSCRIPTIONS_MAX} subscriptions on one connection, but got more`,
        );
      }
      const { variables, operationName } = payload;
      return {
        schema,
        document,
        contextValue: context,
        variableValues: variables ?? {},
        operationName: operationName ?? null,
      };
    } catch (thrown) {
      if (thrown instanceof GraphQLError) return [thrown];
      return [new GraphQLError("refused", thrown instanceof Error ? { originalError: thrown } : {})];
    }
  }

  #present(error: GraphQLError | GraphQLFormattedError): GraphQLFormattedError {
    const known = error instanceof GraphQLError ? error : new GraphQLError(error.message);
    return presentError(known.toJSON(), known, this.#parts.log);
  }
}

function authorizationOf(params: unknown): string | undefined {
  if (typeof params !== "object" || params === null) return undefined;
  const [, value] = Object.entries(params).find(([name]) => name.toLowerCase() === "authorization") ?? [];
  return typeof value === "string" ? value : undefined;
}
