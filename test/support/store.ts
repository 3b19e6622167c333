import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { newId } from "../../src/domain/digest.js";
import type { Caller } from "../../src/domain/tenant.js";
import type { DatabaseAccess } from "../../src/embedded/postgres.js";
import type { Log } from "../../src/log.js";

/** The repository's migrations; tests run from dist/test. */
export const migrationsFolder = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..", "migrations");

/** A log that says nothing. */
export const quietLog: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** Makes a tenant with one project and one key, as the owner does at set-up, and gives the key's caller. */
export async function seedTenant(access: DatabaseAccess, tenantId: string): Promise<Caller> {
  const projectId = newId();
  const keyId = newId();
  const owner = new pg.Client(access.owner);
  await owner.connect();
  try {
    await owner.query("begin");
    await owner.query("select set_config('app.tenant', $1, true)", [tenantId]);
    await owner.query("insert into tenant (tenant_id, name) values ($1, 'Test')", [tenantId]);
    await owner.query("insert into project (tenant_id, id, slug, name) values ($1, $2, 'test', 'Test')", [
      tenantId,
      projectId,
    ]);
    await owner.query(
      `insert into api_key (tenant_id, id, project_id, public_id, secret_sha256, name, scopes)
       values ($1, $2, $3, $4, sha256('secret'), 'test', '{READ,SUBMIT}')`,
      [tenantId, keyId, projectId, `pub-${tenantId}`],
    );
    await owner.query("commit");
  } finally {
    await owner.end();
  }
  return { tenantId, projectId, keyId, scopes: ["READ", "SUBMIT"] };
}
