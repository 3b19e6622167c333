import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { canonicalJson, type Json, newId, sha256 } from "../../src/domain/digest.js";
import type { PlannedExperiment } from "../../src/domain/experiment.js";
import { defaultOptions } from "../../src/domain/options.js";
import type { PlannedRun, RunInput } from "../../src/domain/run.js";
import type { Caller } from "../../src/domain/tenant.js";
import type { DatabaseAccess } from "../../src/embedded/postgres.js";
import type { Log } from "../../src/log.js";
import type { Submission } from "../../src/store/submit.js";

/** The repository's migrations; tests run from dist/test. */
export const migrationsFolder = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..", "migrations");

/** A log that says nothing. */
export const quietLog: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** Makes a tenant with one project and one key, as the owner does at set-up, and gives the key's caller. */
export function seedTenant(access: DatabaseAccess, tenantId: string): Promise<Caller> {
  return seed(access, { tenantId, publicId: `pub-${tenantId}` }, async (owner) => {
    await owner.query("insert into tenant (tenant_id, name) values ($1, 'Test')", [tenantId]);
  });
}

/** Makes a further project of a tenant, with a key of its own. */
export function seedProject(access: DatabaseAccess, tenantId: string): Promise<Caller> {
  return seed(access, { tenantId, publicId: `pub-${newId()}` }, () => Promise.resolve());
}

async function seed(
  access: DatabaseAccess,
  { tenantId, publicId }: { readonly tenantId: string; readonly publicId: string },
  begin: (owner: pg.Client) => Promise<void>,
): Promise<Caller> {
  const projectId = newId();
  const keyId = newId();
  const owner = new pg.Client(access.owner);
  await owner.connect();
  try {
    await owner.query("begin");
    await owner.query("select set_config('app.tenant', $1, true)", [tenantId]);
    await begin(owner);
    await owner.query("insert into project (tenant_id, id, slug, name) values ($1, $2, $3, 'Test')", [
      tenantId,
      projectId,
      `test-${projectId}`,
    ]);
    await owner.query(
      `insert into api_key (tenant_id, id, project_id, public_id, secret_sha256, name, scopes)
       values ($1, $2, $3, $4, sha256('secret'), 'test', '{READ,SUBMIT}')`,
      [tenantId, keyId, projectId, publicId],
    );
    await owner.query("commit");
  } finally {
    await owner.end();
  }
  return { tenantId, projectId, keyId, scopes: ["READ", "SUBMIT"] };
}

/** One run of a plan for tests; its inputs name artifacts of earlier runs by their place in the plan. */
export interface TestRun {
  readonly stage: number;
  readonly spec?: { readonly [key: string]: Json };
  readonly inputs?: readonly { readonly from: number; readonly artifact: string; readonly required: boolean }[];
}

/** A plan of the runs, with ids and digests as a capability's planner would give them. */
export function testPlan(runs: readonly TestRun[], name = "test"): PlannedExperiment {
  const ids = runs.map(() => newId());
  const planned = runs.map((run, position): PlannedRun => {
    const spec = canonicalJson({ position, ...run.spec });
    const inputs = (run.inputs ?? []).map(({ from, artifact, required }, i): RunInput => {
      return { name: `input${i}`, from: { kind: "RUN", runId: ids[from] ?? "", artifact }, required };
    });
    const digest = sha256(spec);
    const id = ids[position] ?? "";
    return {
      id,
      position,
      stage: run.stage,
      step: "test",
      cell: null,
      seed: null,
      digest,
      spec,
      specSha256: digest,
      inputs,
    };
  });
  const stageCount = Math.max(...runs.map((run) => run.stage)) + 1;
  return { capability: "ROBUSTNESS", name, spec: { name }, specSha256: sha256(name), stageCount, runs: planned };
}

/** A submission of the plan under a key of its own. */
export function submission(caller: Caller, planned: PlannedExperiment, key: string = newId()): Submission {
  return {
    caller,
    operation: "submitRobustnessExperiment",
    idempotencyKey: key,
    requestSha256: sha256(planned.name),
    planned,
    // Plans of tests are alike, and each is to be worked on.
    options: { ...defaultOptions, reuse: "NEVER" },
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  };
}
