import pg from "pg";
import type { Caller } from "../src/domain/tenant.js";
import type { Connection } from "../src/embedded/postgres-cluster.js";

// What the service would have stored by itself for runs that have long ended, written at once by the administrator, with triggers
// and checks of foreign keys off. All belong to the tenant that the bench then works for, which is the worst case: its indexes
// begin with the tenant.

const RUNS_OF_EXPERIMENT = 100;

const experiments = `
  insert into experiment (tenant_id, id, project_id, capability, name, spec, spec_sha256, stage, stage_count, open_runs, total_runs,
                          next_seq, created_by, created_at, ended_at)
  select $1, gen_random_uuid(), $2, 'ROBUSTNESS', 'old', '{}', repeat('0', 64), 0, 1, 0, ${RUNS_OF_EXPERIMENT}, 1, $3,
         now() - n * interval '1 minute', now() - n * interval '1 minute'
  from generate_series(1, $4::int / ${RUNS_OF_EXPERIMENT}) n`;

const runs = `
  insert into run (tenant_id, id, experiment_id, position, stage, step, digest, spec, spec_sha256, state, epoch, attempt, accepted_at,
                   terminal_at, queue_rank)
  select $1, gen_random_uuid(), e.id, p, 0, 'test', encode(sha256((e.id::text || p)::bytea), 'hex'), '{"position":0}', repeat('0', 64),
         'SUCCEEDED', 1, 1, e.created_at, e.created_at, extract(epoch from e.created_at)
  from experiment e cross join generate_series(0, ${RUNS_OF_EXPERIMENT} - 1) p where e.tenant_id = $1 and e.name = 'old'`;

/** Rows of an ended run, each a statement over the runs of the tenant. */
const rows = [
  `insert into attempt (tenant_id, run_id, epoch, dispatcher_id, pod_id, started_at, ended_at, outcome)
   select tenant_id, id, 1, tenant_id, 'pod', terminal_at, terminal_at, 'SUCCEEDED' from run where tenant_id = $1`,
  `insert into result (tenant_id, run_id, epoch, content_sha256, metrics)
   select tenant_id, id, 1, spec_sha256, '{}' from run where tenant_id = $1`,
  `insert into usage (tenant_id, run_id, epoch, kind, amount)
   select tenant_id, id, 1, k, 0.01 from run cross join unnest(array['WALL_SECONDS', 'CPU_SECONDS', 'GPU_SECONDS']) k where tenant_id = $1`,
  `insert into ledger (tenant_id, run_id, epoch, unit, kind, amount)
   select tenant_id, id, 1, 'COMPUTE_SECONDS', k.kind, k.amount
   from run cross join (values ('RESERVE', 0.01), ('SETTLE', 0.01), ('RELEASE', 0)) k(kind, amount) where tenant_id = $1`,
  `insert into run_event (tenant_id, run_id, from_state, to_state, epoch, at)
   select tenant_id, id, s.before, s.after, s.epoch, terminal_at
   from run cross join (values (null, 'QUEUED', 0), ('QUEUED', 'LEASED', 1), ('LEASED', 'SUCCEEDED', 1)) s(before, after, epoch)
   where tenant_id = $1`,
  `insert into event (tenant_id, experiment_id, seq, run_id, kind, body, at)
   select tenant_id, experiment_id, position + 1, id, 'STATE', '{"state": "SUCCEEDED"}', terminal_at from run where tenant_id = $1`,
  `insert into share_entry (tenant_id, n, kind, run_id, epoch, amount, start_tag)
   select tenant_id, row_number() over (), 'CLAIM', id, 1, 0.01, row_number() over () * 0.01 from run where tenant_id = $1`,
] as const;

const clock = "update share_clock set n = $1::int, v = $1::int * 0.01";

/** Stores so many ended runs for the tenant, and lets the planner see them. */
export async function fill(admin: Connection, { tenantId, projectId, keyId }: Caller, count: number): Promise<void> {
  const client = new pg.Client({ ...admin });
  await client.connect();
  try {
    await client.query("set session_replication_role = replica");
    await client.query(experiments, [tenantId, projectId, keyId, count]);
    await client.query(runs, [tenantId]);
    for (const text of rows) await client.query(text, [tenantId]);
    await client.query(clock, [count]);
    await client.query("vacuum (analyze)");
    await client.query("checkpoint");
  } finally {
    await client.end();
  }
}
