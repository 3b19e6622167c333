import pg from "pg";
import { newId } from "../../src/domain/digest.js";
import { newKey, parseKey, secretDigest } from "../../src/domain/key.js";
import { scopes } from "../../src/domain/tenant.js";
import type { DatabaseAccess } from "../../src/embedded/postgres.js";
import { AssayError } from "../../src/errors.js";
import { seedTenant } from "../support/store.js";

/** Makes a tenant with a project and gives a key to it. */
export async function newTenantKey(access: DatabaseAccess, tenantId: string): Promise<string> {
  const { projectId } = await seedTenant(access, tenantId);
  const key = newKey();
  const parts = parseKey(key);
  if (parts === null) throw new AssayError("INTERNAL", "wanted a key of our own to be read, but it is not");
  const owner = new pg.Client(access.owner);
  await owner.connect();
  try {
    await owner.query("begin");
    await owner.query("select set_config('app.tenant', $1, true)", [tenantId]);
    await owner.query(
      `insert into api_key (tenant_id, id, project_id, public_id, secret_sha256, name, scopes) values ($1, $2, $3, $4, $5, 'load', $6)`,
      [tenantId, newId(), projectId, parts.publicId, secretDigest(parts), [...scopes]],
    );
    await owner.query("commit");
  } finally {
    await owner.end();
  }
  return key;
}
