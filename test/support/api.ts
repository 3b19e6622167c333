import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import pg from "pg";
import { type Api, type ApiOptions, createApi } from "../../src/api/server.js";
import { ArtifactFolder } from "../../src/artifacts/folder.js";
import type { Bus } from "../../src/bus/bus.js";
import { MemoryBus } from "../../src/bus/memory.js";
import { newId } from "../../src/domain/digest.js";
import { newKey, parseKey, secretDigest } from "../../src/domain/key.js";
import { type Caller, type Scope, scopes } from "../../src/domain/tenant.js";
import { jsonLog } from "../../src/log.js";
import { Relay } from "../../src/relay/relay.js";
import { type TestDatabases, testDatabases } from "./databases.js";
import { quietLog } from "./store.js";

/** A tenant with a key that the API takes. */
export interface Holder {
  readonly caller: Caller;
  readonly key: string;
}

/** How a key differs from a good one of all scopes. */
export interface KeyWish {
  readonly scopes?: readonly Scope[];
  readonly expired?: boolean;
  readonly revoked?: boolean;
}

/** A listening API over a fresh database, for a test file. */
export interface TestApi {
  readonly api: Api;
  readonly databases: TestDatabases;
  readonly bus: Bus;
  readonly artifacts: ArtifactFolder;
  readonly holder: Holder;
  /** What the API logged, a JSON text a line. */
  readonly logged: readonly string[];
  /** Another tenant with a key of its own. */
  readonly newHolder: () => Promise<Holder>;
  /** Another key of a tenant. */
  readonly newKeyOf: (caller: Caller, wish?: KeyWish) => Promise<Holder>;
  /** Takes back a key. */
  readonly revoke: (holder: Holder) => Promise<void>;
}

/** Opens it; everything is closed after the file's last test. */
export async function testApi(options: Partial<ApiOptions> = {}): Promise<TestApi> {
  const relays: Relay[] = [];
  const databases = await testDatabases(() => relays.forEach((relay) => void relay.wake()));
  const bus = options.bus ?? new MemoryBus({ log: quietLog });
  await bus.start();
  const relay = new Relay({ database: databases.work, bus, log: quietLog });
  relays.push(relay);
  relay.start();
  const folder = mkdtempSync(join(tmpdir(), "assay-artifacts-"));
  const artifacts = new ArtifactFolder(folder);
  const logged: string[] = [];
  const api = await createApi({
    database: databases.app,
    bus,
    artifacts,
    log: jsonLog("api", (line) => logged.push(line)),
    allowLocalModels: true,
    codeDigests: { robustness: "c".repeat(64), retrieval: "e".repeat(64) },
    ready: () => Promise.resolve({ ready: true, checks: { database: true } }),
    host: "127.0.0.1",
    port: 0,
    ...options,
  });
  after(async () => {
    await api.close();
    await relay.stop();
    await bus.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const newKeyOf = (caller: Caller, wish: KeyWish = {}): Promise<Holder> => insertKey(databases, caller, wish);
  const newHolder = async (): Promise<Holder> => newKeyOf(await databases.newTenant());
  const revoke = async ({ caller }: Holder): Promise<void> => {
    const text = "update api_key set revoked_at = now() where tenant_id = $1 and id = $2";
    await asOwner(databases, caller.tenantId, (client) => client.query(text, [caller.tenantId, caller.keyId]));
  };
  return {
    api,
    databases,
    bus,
    artifacts,
    holder: await newKeyOf(databases.caller),
    logged,
    newHolder,
    newKeyOf,
    revoke,
  };
}

async function insertKey(databases: TestDatabases, caller: Caller, wish: KeyWish): Promise<Holder> {
  const key = newKey();
  const parts = parseKey(key) ?? { publicId: "", secret: "" };
  const keyId = newId();
  const granted = wish.scopes ?? scopes;
  await asOwner(databases, caller.tenantId, (client) =>
    client.query(
      `insert into api_key (tenant_id, id, project_id, public_id, secret_sha256, name, scopes, expires_at, revoked_at)
       values ($1, $2, $3, $4, $5, $6, $7, case when $8 then now() - interval '1 s' end, case when $9 then now() end)`,
      [
        caller.tenantId,
        keyId,
        caller.projectId,
        parts.publicId,
        secretDigest(parts),
        `key ${randomUUID()}`,
        [...granted],
        wish.expired ?? false,
        wish.revoked ?? false,
      ],
    ),
  );
  return { caller: { ...caller, keyId, scopes: granted }, key };
}

/** Does something as the owner of the tables, for one tenant. */
export async function asOwner(
  databases: TestDatabases,
  tenantId: string,
  act: (client: pg.Client) => Promise<unknown>,
): Promise<void> {
  const client = new pg.Client(databases.access.owner);
  await client.connect();
  try {
    await client.query("begin");
    await client.query("select set_config('app.tenant', $1, true)", [tenantId]);
    await act(client);
    await client.query("commit");
  } finally {
    await client.end();
  }
}

/** An answer to a GraphQL request. */
export interface GraphqlAnswer {
  readonly status: number;
  readonly body: {
    // biome-ignore lint/suspicious/noExplicitAny: tests look at whatever they asked for, and fail where it is not there
    readonly data?: any;
    readonly errors?: readonly { message: string; path?: readonly string[]; extensions: Record<string, unknown> }[];
  };
}

/** Sends a GraphQL request over HTTP. */
export async function ask(
  { api, key }: { api: Api; key: string | null },
  query: string,
  variables: Readonly<Record<string, unknown>> = {},
): Promise<GraphqlAnswer> {
  const answer = await fetch(`${api.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(key === null ? {} : { authorization: `Bearer ${key}` }) },
    body: JSON.stringify({ query, variables }),
  });
  return { status: answer.status, body: JSON.parse(await answer.text()) };
}

/** The global id of a thing. */
export function idOf(kind: string, key: string): string {
  return Buffer.from(`${kind}:${key}`).toString("base64url");
}
