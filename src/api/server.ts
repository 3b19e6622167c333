import "reflect-metadata";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { ApolloServer } from "@apollo/server";
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginInlineTraceDisabled,
  ApolloServerPluginLandingPageDisabled,
  ApolloServerPluginSchemaReportingDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from "@apollo/server/plugin/disabled";
import type { GraphQLSchema } from "graphql";
import type { ArtifactStore } from "../artifacts/store.js";
import type { Bus } from "../bus/bus.js";
import { topics } from "../domain/messages.js";
import type { Caller } from "../domain/tenant.js";
import { traceparentOf } from "../domain/trace.js";
import { AssayError } from "../errors.js";
import type { Log } from "../log.js";
import type { AppDatabase } from "../store/database.js";
import { Submitter } from "../store/submit.js";
import { type Context, KeyCheck } from "./context.js";
import { AcceptedLog } from "./experiment/accepted.js";
import type { CodeDigests } from "./experiment/submit.resolver.js";
import { FileEndpoint } from "./files.js";
import { graphiqlAssets } from "./graphiql.js";
import { GraphqlEndpoint } from "./graphql-http.js";
import { SubscriptionEndpoint } from "./graphql-ws.js";
import { DocumentCheck, limits } from "./limits.js";
import { presentError } from "./present.js";
import { Reads } from "./reads.js";
import { Router } from "./router.js";
import { Bell } from "./run/bell.js";
import { EventWatch } from "./run/watch.js";
import { makeSchema } from "./schema.js";

/** Whether the service can do its work. */
export interface Readiness {
  readonly ready: boolean;
  /** What is looked at, each with whether it is there. */
  readonly checks: Readonly<Record<string, boolean>>;
}

/** What the API is made of. */
export interface ApiOptions {
  readonly database: AppDatabase;
  /** Must be started. */
  readonly bus: Bus;
  readonly artifacts: ArtifactStore;
  readonly log: Log;
  /** Whether folders of this machine may be registered as models. */
  readonly allowLocalModels: boolean;
  /** Source digests of the capabilities' code. */
  readonly codeDigests: CodeDigests;
  /** Answers /readyz. */
  readonly ready: () => Promise<Readiness>;
  /** Address to listen on. */
  readonly host: string;
  /** Port to listen on; 0 for any free one. */
  readonly port: number;
  /** Where clients reach the service, without a slash at the end. Default: the address it listens on. */
  readonly publicUrl?: string;
  /** How long a client may take for its headers. Default 10,000 ms. */
  readonly headersWaitMs?: number;
  /** How often the key of an open subscription connection is looked at again. Default 15,000 ms. */
  readonly keyRecheckMs?: number;
}

/** A listening API. */
export interface Api {
  readonly port: number;
  readonly url: string;
  /** Asks clients to make their next connection elsewhere; requests are answered as before. */
  leave(): void;
  /** Stops listening, ends subscriptions and waits for requests that are being answered. */
  close(): Promise<void>;
}

/** Opens the API: GraphQL over HTTP and WebSocket, uploads, downloads, the console, and the health paths. */
export async function createApi(options: ApiOptions): Promise<Api> {
  const { database, bus, log } = options;
  const bell = new Bell();
  const watch = new EventWatch(bell, log);
  const documents = new DocumentCheck();
  const keys = new KeyCheck(database);
  let url = options.publicUrl ?? "";
  const schema = await makeSchema({
    ...options,
    submitter: new AcceptedLog(new Submitter(database), log),
    publicUrl: () => url,
  });
  const apollo = await startApollo(schema, log);
  const contextOf = (caller: Caller, { headers }: IncomingMessage): Context => {
    const traceparent = traceparentOf(headers["traceparent"]?.toString());
    return { caller, reads: new Reads(database, caller), watch, traceparent };
  };
  const subscriptions = new SubscriptionEndpoint({
    schema,
    keys,
    documents,
    log,
    contextOf,
    keyRecheckMs: options.keyRecheckMs ?? KEY_RECHECK_MS,
  });
  const router = new Router({
    keys,
    log,
    contextOf,
    graphql: new GraphqlEndpoint(apollo, documents),
    files: new FileEndpoint(options.artifacts),
    assets: await graphiqlAssets(),
    ready: options.ready,
  });
  // Each gateway hears every bell: a group of its own.
  const subscription = await bus.subscribe(topics.events, null, (message) => {
    bell.ring(message.payload.experimentId);
    return Promise.resolve();
  });
  const server = listeningServer(router, subscriptions, options.headersWaitMs ?? HEADERS_WAIT_MS);
  const port = await listen(server, options);
  url = options.publicUrl ?? `http://${options.host.includes(":") ? `[${options.host}]` : options.host}:${port}`;
  return {
    port,
    url,
    leave: () => router.leave(),
    close: async () => {
      const answered = closed(server);
      await subscription.close();
      // In this order: a subscription whose events merely ended would look complete to its client.
      await subscriptions.close();
      watch.close();
      await answered;
      await apollo.stop();
    },
  };
}

async function startApollo(schema: GraphQLSchema, log: Log): Promise<ApolloServer<Context>> {
  const apollo = new ApolloServer<Context>({
    schema,
    nodeEnv: "production",
    introspection: true, // for holders of a key; nobody else gets here
    includeStacktraceInErrorResponses: false,
    hideSchemaDetailsFromClientErrors: true,
    allowBatchedHttpRequests: false,
    // A page of another site cannot set these headers without being asked by the browser first, and we never agree.
    csrfPrevention: { requestHeaders: ["authorization", "apollo-require-preflight", "x-apollo-operation-name"] },
    maxRecursiveSelections: limits.fields,
    parseOptions: { maxTokens: limits.tokens },
    persistedQueries: false,
    stopOnTerminationSignals: false,
    plugins: [
      ApolloServerPluginLandingPageDisabled(),
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginInlineTraceDisabled(),
      ApolloServerPluginUsageReportingDisabled(),
      ApolloServerPluginSchemaReportingDisabled(),
    ],
    formatError: (formatted, thrown) => presentError(formatted, thrown, log),
  });
  await apollo.start();
  return apollo;
}

/** Slow clients are not waited for; uploads may take their time, and GraphQL bodies have a limit of their own. */
const HEADERS_WAIT_MS = 10_000;
const REQUEST_WAIT_MS = 3_600_000;
const IDLE_WAIT_MS = 5_000;
const CONNECTIONS_MAX = 2_000;
const CLOSE_WAIT_MS = 5_000;
const KEY_RECHECK_MS = 15_000;

function listeningServer(router: Router, subscriptions: SubscriptionEndpoint, headersWaitMs: number): Server {
  const server = createServer({
    headersTimeout: headersWaitMs,
    requestTimeout: REQUEST_WAIT_MS,
    keepAliveTimeout: IDLE_WAIT_MS,
    connectionsCheckingInterval: headersWaitMs / 2,
  });
  server.maxConnections = CONNECTIONS_MAX;
  server.on("request", (request, response) => void router.answer(request, response));
  server.on("upgrade", (request, socket, head) => {
    const { sockets } = subscriptions;
    if (request.url?.split("?")[0] !== "/graphql" || SubscriptionEndpoint.isForeign(request)) {
      // Nobody else listens to this socket any more, and an error that nobody hears ends the process.
      socket.on("error", () => socket.destroy());
      socket.once("finish", () => socket.destroy());
      socket.end("HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
      return;
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) => sockets.emit("connection", webSocket, request));
  });
  return server;
}

function listen(server: Server, { host, port }: ApiOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) =>
      reject(new AssayError("SETUP_FAILED", `cannot listen on ${host}:${port}: ${cause.message}`, { cause })),
    );
    server.listen(port, host, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

/** Waits for answers that are under way, but not for ever. */
function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), CLOSE_WAIT_MS);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}
