import pg from "pg";
import type { DatabaseAccess } from "../../src/embedded/postgres.js";

/** What a tenant may have, as an operator writes it; what is left out has its default. */
export interface TestQuota {
  readonly weight?: number;
  readonly queued_max?: number;
  readonly running_max?: number | null;
  readonly submits_per_minute?: number | null;
  readonly compute_seconds_per_day?: number | null;
}

/** Runs SQL as the owner of the tables, for one tenant: what no role of the service may do. */
export async function ownerQuery(
  { owner }: Pick<DatabaseAccess, "owner">,
  tenantId: string,
  [text, ...values]: readonly [string, ...unknown[]],
): Promise<void> {
  const client = new pg.Client(owner);
  await client.connect();
  try {
    await client.query("select set_config('app.tenant', $1, false)", [tenantId]);
    await client.query(text, values);
  } finally {
    await client.end();
  }
}

/** Writes a tenant's quota. */
export function writeQuota(access: Pick<DatabaseAccess, "owner">, tenantId: string, quota: TestQuota): Promise<void> {
  const { weight = 1, queued_max = 1_000, running_max = null } = quota;
  const { submits_per_minute = null, compute_seconds_per_day = null } = quota;
  const text = `insert into quota (tenant_id, weight, queued_max, running_max, submits_per_minute, compute_seconds_per_day)
     values ($1, $2, $3, $4, $5, $6) on conflict (tenant_id) do update
     set weight = $2, queued_max = $3, running_max = $4, submits_per_minute = $5, compute_seconds_per_day = $6`;
  const values = [tenantId, weight, queued_max, running_max, submits_per_minute, compute_seconds_per_day];
  return ownerQuery(access, tenantId, [text, ...values]);
}
