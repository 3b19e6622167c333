import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { ApolloServer, HeaderMap } from "@apollo/server";
import pg from "pg";
import type { DatabaseAccess } from "../src/embedded/postgres.js";

/**
 * The yardstick, as a process of its own: Apollo straight on node:http, a mutation with the same input as ours, and one
 * INSERT that commits by itself. No key, no rules, no plan, no runs, no outbox. Its argument is the database as JSON.
 */
const typeDefs = `
  input SpecInput {
    projectId: ID! name: String! modelId: ID! methods: [String!]! tasks: [String!] artifacts: [String!]!
    spuriousness: [Float!]! seeds: [Int!]!
  }
  input SubmitInput { spec: SpecInput! idempotencyKey: String! }
  type Experiment { id: ID! }
  type Payload { experiment: Experiment replayed: Boolean! errors: [String!]! }
  type Query { ready: Boolean! }
  type Mutation { submitRobustnessExperiment(input: SubmitInput!): Payload! }
`;

interface Submit {
  readonly input: { readonly spec: { readonly name: string }; readonly idempotencyKey: string };
}

const access: DatabaseAccess = JSON.parse(process.argv[2] ?? "{}");
const pool = new pg.Pool({ ...access.owner, max: 8 });
await pool.query(
  "create table if not exists bare (id uuid primary key default gen_random_uuid(), name text, spec jsonb, key text)",
);

const resolvers = {
  Query: { ready: () => true },
  Mutation: {
    submitRobustnessExperiment: async (_: unknown, { input }: Submit) => {
      const insert = {
        name: "insert",
        text: "insert into bare (name, spec, key) values ($1, $2, $3) returning id",
        values: [input.spec.name, JSON.stringify(input.spec), input.idempotencyKey],
      };
      const { rows } = await pool.query<{ id: string }>(insert);
      return { experiment: rows[0] ?? null, replayed: false, errors: [] };
    },
  },
};

const apollo = new ApolloServer({ typeDefs, resolvers });
await apollo.start();

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const headers = new HeaderMap();
  for (const [name, value] of Object.entries(request.headers))
    if (value !== undefined) headers.set(name, String(value));
  const {
    status,
    headers: answered,
    body,
  } = await apollo.executeHTTPGraphQLRequest({
    httpGraphQLRequest: {
      method: request.method?.toUpperCase() ?? "POST",
      headers,
      search: "",
      body: JSON.parse(Buffer.concat(chunks).toString("utf8")),
    },
    context: async () => ({}),
  });
  for (const [name, value] of answered) response.setHeader(name, value);
  response.statusCode = status ?? 200;
  response.end(body.kind === "complete" ? body.string : undefined);
}

const server = createServer((request, response) => void answer(request, response));
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (typeof address === "object" && address !== null)
    process.stdout.write(`http://127.0.0.1:${address.port}/graphql\n`);
});
