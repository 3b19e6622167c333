import { randomUUID } from "node:crypto";
import { open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import pg from "pg";
import { newId } from "../domain/digest.js";
import { isSecret, type KeyParts, newKey, parseKey, secretDigest } from "../domain/key.js";
import type { ApiKey, Caller, Project, Scope } from "../domain/tenant.js";
import { scopes } from "../domain/tenant.js";
import { AssayError } from "../errors.js";
import { statement, type Transaction } from "./database.js";
import { clientSettings, type Login } from "./login.js";
import { apiKeyTable, projectTable } from "./tables.js";

const findApiKey = statement(
  "keys-find",
  `select tenant_id, id, project_id, secret_sha256, scopes
     from find_api_key($1)
    where revoked_at is null and (expires_at is null or expires_at > now())`,
);

interface FoundKey {
  readonly tenant_id: string;
  readonly id: string;
  readonly project_id: string;
  readonly secret_sha256: Buffer;
  readonly scopes: readonly string[];
}

/** Who holds a key, or null when it is unknown, expired, revoked or has another secret. Needs no tenant. */
export async function callerOf(tx: Transaction, parts: KeyParts): Promise<Caller | null> {
  const [found] = await tx.rows<FoundKey>(findApiKey, [parts.publicId]);
  if (found === undefined || !isSecret(parts, found.secret_sha256)) return null;
  return {
    tenantId: found.tenant_id,
    projectId: found.project_id,
    keyId: found.id,
    scopes: found.scopes.filter((scope): scope is Scope => scopes.some((known) => known === scope)),
  };
}

/** The keys with these ids, in no order. */
export function keysById(tx: Transaction, tenantId: string, ids: readonly string[]): Promise<ApiKey[]> {
  return tx.manager
    .createQueryBuilder(apiKeyTable, "k")
    .where("k.tenantId = :tenantId and k.id = any(:ids)", { tenantId, ids })
    .getMany();
}

/** The tenant's projects with these ids, in no order. */
export function projectsById(tx: Transaction, tenantId: string, ids: readonly string[]): Promise<Project[]> {
  return tx.manager
    .createQueryBuilder(projectTable, "p")
    .where("p.tenantId = :tenantId and p.id = any(:ids)", { tenantId, ids })
    .getMany();
}

/** The one tenant of an embedded service, and the project that its key opens. */
export const localTenant = {
  tenantId: "00000000-0000-7000-8000-00000000a55a",
  projectId: "00000000-0000-7000-8000-00000000a55b",
} as const;

/**
 * Makes the tenant, project and key `local` where they are missing, and the key file with mode 600. The file is the truth:
 * a key that stands in it is taken into the database, so that an emptied database keeps the key that people use.
 * Connects as `assay_owner`, after the migrations and before requests are served.
 */
export async function ensureLocalTenant(owner: Login, keyFile: string): Promise<void> {
  const written = await readKey(keyFile);
  const key = written ?? newKey();
  const client = new pg.Client(clientSettings(owner));
  await client.connect();
  try {
    await client.query("begin");
    await writeLocalRows(client, key);
    await client.query("commit");
  } finally {
    await client.end();
  }
  if (written === null) await writeKey(keyFile, key);
}

/** One user with a laptop: as much as the largest experiment, and no share to keep. */
const LOCAL_QUEUED_MAX = 10_000;

async function writeLocalRows(client: pg.Client, key: string): Promise<void> {
  const { tenantId, projectId } = localTenant;
  const parts = parseKey(key);
  if (parts === null) throw new AssayError("INTERNAL", "wanted a key of our own making, but it does not parse");
  await client.query("select set_config('app.tenant', $1, true)", [tenantId]);
  await client.query("insert into tenant (tenant_id, name) values ($1, 'local') on conflict do nothing", [tenantId]);
  await client.query(
    "insert into project (tenant_id, id, slug, name) values ($1, $2, 'local', 'local') on conflict do nothing",
    [tenantId, projectId],
  );
  await client.query("insert into quota (tenant_id, queued_max) values ($1, $2) on conflict do nothing", [
    tenantId,
    LOCAL_QUEUED_MAX,
  ]);
  await client.query(
    `insert into api_key (tenant_id, id, project_id, public_id, secret_sha256, name, scopes)
     values ($1, $2, $3, $4, $5, 'local', $6) on conflict (public_id) do nothing`,
    [tenantId, newId(), projectId, parts.publicId, secretDigest(parts), [...scopes]],
  );
}

async function readKey(keyFile: string): Promise<string | null> {
  let text: string;
  try {
    text = (await readFile(keyFile, "utf8")).trim();
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return null;
    throw cause;
  }
  if (parseKey(text) !== null) return text;
  throw new AssayError(
    "CONFIG_INVALID",
    `wanted an API key in ${keyFile}, but its text is none; remove the file to have a new key made`,
  );
}

/** Never half a key, and never one that others on the machine can read. */
async function writeKey(keyFile: string, key: string): Promise<void> {
  const draft = `${keyFile}.${randomUUID()}`;
  const file = await open(draft, "wx", 0o600);
  try {
    await file.writeFile(`${key}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, keyFile);
  const folder = await open(dirname(keyFile), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
