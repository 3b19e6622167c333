import { type ApolloServer, HeaderMap } from "@apollo/server";
import { GraphQLError } from "graphql";
import { unsafeIn } from "../domain/json-text.js";
import { AssayError } from "../errors.js";
import type { Context } from "./context.js";
import { allow, type Exchange, HttpFault, readJson } from "./http.js";
import type { DocumentCheck } from "./limits.js";

/** Serves GraphQL over HTTP: POST for everything, GET for queries. */
export class GraphqlEndpoint {
  readonly #apollo: ApolloServer<Context>;
  readonly #documents: DocumentCheck;

  constructor(apollo: ApolloServer<Context>, documents: DocumentCheck) {
    this.#apollo = apollo;
    this.#documents = documents;
  }

  /** Answers one request of a caller who is known. */
  async serve({ request, response, url }: Exchange, context: Context): Promise<void> {
    allow({ request, response }, ["GET", "POST"]);
    const body = request.method === "POST" ? await readJson(request) : {};
    if (Array.isArray(body)) throw new HttpFault(400, "wanted one operation, but got a batch");
    this.#check(request.method === "POST" ? body : parametersOf(url));
    const headers = new HeaderMap();
    for (const [name, value] of Object.entries(request.headers)) {
      if (value !== undefined) headers.set(name, String(value));
    }
    const answer = await this.#apollo.executeHTTPGraphQLRequest({
      httpGraphQLRequest: { method: request.method ?? "", headers, search: url.search, body },
      context: () => Promise.resolve(context),
    });
    if (answer.body.kind !== "complete")
      throw new AssayError("INTERNAL", "wanted a whole answer, but got one in parts");
    response.writeHead(answer.status ?? 200, {
      ...Object.fromEntries(answer.headers),
      "content-length": Buffer.byteLength(answer.body.string),
    });
    response.end(answer.body.string);
  }

  /** Holds the document to its limits before anything else looks at it. What is malformed is left to Apollo to tell. */
  #check(body: unknown): void {
    const { query, variables } = fieldsOf(body);
    if (typeof query !== "string") return;
    try {
      this.#documents.parse(query, fieldsOf(variables));
    } catch (thrown) {
      if (!(thrown instanceof GraphQLError)) throw thrown;
    }
  }
}

/** The parameters of a GET request as a body would hold them. */
function parametersOf(url: URL): Readonly<Record<string, unknown>> {
  const query = url.searchParams.get("query") ?? undefined;
  let variables: unknown;
  try {
    variables = JSON.parse(url.searchParams.get("variables") ?? "{}");
  } catch {
    variables = {}; // Apollo tells that it is no JSON
  }
  const fault = unsafeIn([query, variables]);
  if (fault !== null) throw new AssayError("INVALID_INPUT", fault);
  return { query, variables };
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value))
    : {};
}
