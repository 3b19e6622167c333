-- Foundation: tenants, experiments, runs and their delivery.
--
-- Roles (made before migrations run): assay_owner owns everything and runs this file; assay_app serves requests and sees
-- one tenant, the one named by the setting app.tenant; assay_work (relay, dispatcher, sweeps) sees the delivery tables of all tenants.
-- tenant_id is part of every primary, unique and foreign key, so that no constraint can tell or take anything across tenants.
-- Further indexes of tables that foreign keys point to do not begin with tenant_id: for a small table the planner would as soon take them
-- for the check of a key, keep that plan, and then walk over all of a tenant's rows for each row of a large insert.
-- created_at has milliseconds, as JavaScript dates do: pages are cut by it, and a finer instant would not survive the way out and back.

-- ---------------------------------------------------------------- tenancy
create table tenant (
  tenant_id uuid primary key,
  name text not null,
  created_at timestamptz(3) not null default now()
);

create table project (
  tenant_id uuid not null references tenant,
  id uuid not null,
  slug text not null,
  name text not null,
  created_at timestamptz(3) not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, slug)
);

create table api_key (
  tenant_id uuid not null,
  id uuid not null,
  project_id uuid not null,
  public_id text not null unique,          -- random, names no tenant; the look-up comes before any tenant is known
  secret_sha256 bytea not null,
  name text not null,
  scopes text[] not null,
  created_at timestamptz(3) not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, project_id) references project
);

-- ---------------------------------------------------------------- data and models
create table artifact (
  tenant_id uuid not null references tenant,
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  size_bytes bigint not null check (size_bytes >= 0),
  created_at timestamptz(3) not null default now(),
  primary key (tenant_id, sha256)
);

create table model (
  tenant_id uuid not null,
  id uuid not null,
  project_id uuid not null,
  name text not null,
  revision text not null,
  digest text not null check (digest ~ '^[0-9a-f]{64}$'),
  source jsonb not null,
  created_at timestamptz(3) not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, project_id, digest),
  foreign key (tenant_id, project_id) references project
);

create table dataset (
  tenant_id uuid not null,
  id uuid not null,
  project_id uuid not null,
  name text not null,
  kind text not null check (kind in ('PREFERENCE')),
  created_at timestamptz(3) not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, project_id, name),
  foreign key (tenant_id, project_id) references project
);

create table dataset_version (
  tenant_id uuid not null,
  id uuid not null,
  dataset_id uuid not null,
  digest text not null,
  rows int not null,
  size_bytes bigint not null,
  created_at timestamptz(3) not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, dataset_id, digest),
  foreign key (tenant_id, dataset_id) references dataset,
  foreign key (tenant_id, digest) references artifact
);

-- An upload that was begun; completed_at is set once its version stands.
create table dataset_upload (
  tenant_id uuid not null,
  id uuid not null,
  project_id uuid not null,
  name text not null,
  kind text not null check (kind in ('PREFERENCE')),
  size_bytes bigint not null,
  digest text not null check (digest ~ '^[0-9a-f]{64}$'),
  created_at timestamptz(3) not null default now(),
  completed_at timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, project_id) references project
);

-- ---------------------------------------------------------------- experiments and runs
create table experiment (
  tenant_id uuid not null,
  id uuid not null,
  project_id uuid not null,
  capability text not null check (capability in ('ROBUSTNESS')),
  name text not null,
  spec jsonb not null,
  spec_sha256 text not null,
  stage int not null default 0,
  stage_count int not null,
  open_runs int not null,                   -- runs of the current stage that have not ended
  total_runs int not null,
  next_seq bigint not null default 1,       -- the next event's sequence; the row's lock makes sequence order commit order
  created_by uuid not null,
  created_at timestamptz(3) not null default now(),
  cancel_mode text check (cancel_mode in ('GRACEFUL', 'SCORE_PARTIAL', 'IMMEDIATE')),
  cancel_reason text,
  cancel_requested_at timestamptz,
  ended_at timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, project_id) references project,
  foreign key (tenant_id, created_by) references api_key
);
create index experiment_by_project on experiment (project_id, created_at desc, id desc);

create table run_transition (
  from_state text not null,
  to_state text not null,
  primary key (from_state, to_state)
);
insert into run_transition (from_state, to_state) values
  ('WAITING', 'QUEUED'), ('WAITING', 'CANCELLED'),
  ('QUEUED', 'LEASED'), ('QUEUED', 'PAUSED'), ('QUEUED', 'CANCELLED'),
  ('RETRY_WAIT', 'LEASED'), ('RETRY_WAIT', 'PAUSED'), ('RETRY_WAIT', 'CANCELLED'), ('RETRY_WAIT', 'DEAD'),
  ('PAUSED', 'QUEUED'), ('PAUSED', 'CANCELLED'),
  ('LEASED', 'RUNNING'), ('LEASED', 'SUCCEEDED'), ('LEASED', 'FAILED'), ('LEASED', 'RETRY_WAIT'), ('LEASED', 'DEAD'),
  ('LEASED', 'CANCELLING'), ('LEASED', 'QUEUED'),
  ('RUNNING', 'SUCCEEDED'), ('RUNNING', 'FAILED'), ('RUNNING', 'RETRY_WAIT'), ('RUNNING', 'DEAD'), ('RUNNING', 'CANCELLING'),
  ('RUNNING', 'QUEUED'), ('RUNNING', 'PAUSED'),
  ('CANCELLING', 'CANCELLED'), ('CANCELLING', 'SUCCEEDED'),
  ('FAILED', 'QUEUED'), ('DEAD', 'QUEUED');

create table run (
  tenant_id uuid not null,
  id uuid not null,
  experiment_id uuid not null,
  position int not null,                    -- order within the experiment, from 0
  stage int not null,
  step text not null,
  cell jsonb,                               -- null for steps that are no cell of the grid
  seed int,
  digest text not null,                     -- equal digests mean equal work
  spec text not null,                       -- canonical JSON, byte for byte what the pod gets
  spec_sha256 text not null,
  inputs jsonb not null default '[]',
  state text not null check (state in ('WAITING', 'QUEUED', 'LEASED', 'RUNNING', 'RETRY_WAIT', 'PAUSED', 'CANCELLING',
                                       'SUCCEEDED', 'FAILED', 'CANCELLED', 'DEAD')),
  state_reason text,
  partial boolean not null default false,
  priority int not null default 0,
  epoch int not null default 0,
  attempt int not null default 0,
  max_attempts int not null default 3,
  disruptions int not null default 0,
  lease_owner uuid,
  lease_until timestamptz,
  not_before timestamptz not null default now(),
  cancel_mode text,
  error_class text,
  error_code text,
  error_message text,
  error_stage text,
  progress jsonb,                           -- {stage, completed, total, at} as the pod last said
  accepted_at timestamptz not null default now(),
  terminal_at timestamptz,
  primary key (tenant_id, id),
  unique (experiment_id, position, tenant_id),
  foreign key (tenant_id, experiment_id) references experiment
);
-- The tenant leads, so that the claim finds each tenant's next run without walking over another's queue.
create index run_claimable on run (tenant_id, priority desc, accepted_at, experiment_id, position) where state in ('QUEUED', 'RETRY_WAIT');
create index run_leased on run (lease_until) where state in ('LEASED', 'RUNNING', 'CANCELLING');
create index run_by_experiment_stage on run (experiment_id, stage, state);

create table attempt (
  tenant_id uuid not null,
  run_id uuid not null,
  epoch int not null,
  dispatcher_id uuid not null,
  pod_id text,
  pod_address text,
  last_sequence bigint not null default 0,  -- of the pod's events that are stored; whoever adopts the lease watches on from here
  started_at timestamptz not null default now(),
  ended_at timestamptz,
  outcome text check (outcome in ('SUCCEEDED', 'FAILED', 'CANCELLED', 'LOST', 'REFUSED')),
  error_class text,
  error_code text,
  error_message text,
  primary key (tenant_id, run_id, epoch),
  foreign key (tenant_id, run_id) references run
);

-- When a tenant was served last: the claim takes turns by it. As text, so that no check of a foreign key can take this index.
create index attempt_by_start on attempt ((tenant_id::text), started_at desc);

-- Audit of every change of state, written by the triggers below and by nothing else.
create table run_event (
  tenant_id uuid not null,
  run_id uuid not null,
  n bigint generated always as identity,
  from_state text,
  to_state text not null,
  epoch int not null,
  at timestamptz not null default clock_timestamp(),
  primary key (tenant_id, run_id, n),
  foreign key (tenant_id, run_id) references run
);

create function run_audit() returns trigger language plpgsql as $$
begin
  if new.epoch < old.epoch then
    raise exception 'epoch of run % would fall from % to %', old.id, old.epoch, new.epoch using errcode = 'check_violation';
  end if;
  if new.state = old.state then
    return null;
  end if;
  if not exists (select 1 from run_transition where from_state = old.state and to_state = new.state) then
    raise exception 'run % cannot go from % to %', old.id, old.state, new.state using errcode = 'check_violation';
  end if;
  insert into run_event (tenant_id, run_id, from_state, to_state, epoch) values (new.tenant_id, new.id, old.state, new.state, new.epoch);
  return null;
end $$;
-- Renewals and progress, by far the most updates, do not reach the function.
create trigger run_audit after update on run for each row
  when (old.state <> new.state or old.epoch <> new.epoch) execute function run_audit();

-- By statement: a submission inserts thousands of rows at once.
create function run_audit_insert() returns trigger language plpgsql as $$
begin
  if exists (select 1 from added where state not in ('WAITING', 'QUEUED')) then
    raise exception 'a run begins WAITING or QUEUED' using errcode = 'check_violation';
  end if;
  insert into run_event (tenant_id, run_id, from_state, to_state, epoch) select tenant_id, id, null, state, epoch from added;
  return null;
end $$;
create trigger run_audit_insert after insert on run referencing new table as added
  for each statement execute function run_audit_insert();

create table result (
  tenant_id uuid not null,
  run_id uuid not null,
  epoch int not null,
  content_sha256 text not null,
  metrics jsonb not null,
  at timestamptz not null default now(),
  primary key (tenant_id, run_id),
  foreign key (tenant_id, run_id, epoch) references attempt
);

create table run_artifact (
  tenant_id uuid not null,
  run_id uuid not null,
  epoch int not null,
  name text not null,
  kind text not null,
  sha256 text not null,
  id uuid not null,
  primary key (tenant_id, run_id, epoch, name),
  unique (tenant_id, id),
  foreign key (tenant_id, run_id, epoch) references attempt,
  foreign key (tenant_id, sha256) references artifact
);

-- One line per attempt and kind, failed and cancelled attempts too.
create table usage (
  tenant_id uuid not null,
  run_id uuid not null,
  epoch int not null,
  kind text not null check (kind in ('WALL_SECONDS', 'CPU_SECONDS', 'GPU_SECONDS')),
  amount double precision not null,
  primary key (tenant_id, run_id, epoch, kind),
  foreign key (tenant_id, run_id, epoch) references attempt
);

-- What a writer with a lost lease tried to say: evidence, never data.
create table late_write (
  tenant_id uuid not null,
  id uuid not null,
  run_id uuid not null,
  epoch_seen int not null,
  epoch_current int not null,
  state_seen text not null,
  what text not null,
  at timestamptz not null default now(),
  primary key (tenant_id, id),
  foreign key (tenant_id, run_id) references run
);

-- ---------------------------------------------------------------- events and delivery
create table event (
  tenant_id uuid not null,
  experiment_id uuid not null,
  seq bigint not null,
  run_id uuid,
  kind text not null check (kind in ('STATE', 'LOG', 'METRIC', 'PROGRESS', 'WARNING', 'EXPERIMENT')),
  body jsonb not null,
  at timestamptz not null default clock_timestamp(),
  primary key (tenant_id, experiment_id, seq),
  foreign key (tenant_id, experiment_id) references experiment
);
create index event_by_run on event (run_id, seq);

create table idempotency (
  tenant_id uuid not null,
  project_id uuid not null,
  operation text not null,
  key text not null,
  request_sha256 text not null,
  answer_id uuid not null,
  created_at timestamptz(3) not null default now(),
  primary key (tenant_id, project_id, operation, key),
  foreign key (tenant_id, project_id) references project
);

create table outbox (
  tenant_id uuid not null,
  event_id uuid not null,
  topic text not null,
  key text not null,
  type text not null,
  payload jsonb not null,
  created_at timestamptz(3) not null default now(),
  published_at timestamptz,
  primary key (tenant_id, event_id)
);
create index outbox_unpublished on outbox (event_id) where published_at is null;

create table inbox (
  tenant_id uuid not null,
  consumer text not null,
  event_id uuid not null,
  at timestamptz not null default now(),
  primary key (tenant_id, consumer, event_id)
);

-- A dispatcher that has missed three beats is dead; a sibling adopts its leases.
create table dispatcher (
  id uuid primary key,
  started_at timestamptz not null default now(),
  beat_at timestamptz not null default now()
);

-- ---------------------------------------------------------------- who sees what
do $$
declare
  t text;
begin
  foreach t in array array['tenant', 'project', 'api_key', 'artifact', 'model', 'dataset', 'dataset_version', 'dataset_upload',
                           'experiment', 'run', 'attempt', 'run_event', 'result', 'run_artifact', 'usage', 'late_write',
                           'event', 'idempotency', 'outbox', 'inbox'] loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format('create policy one_tenant on %I to assay_app, assay_owner
                    using (tenant_id = (select nullif(current_setting(''app.tenant'', true), '''')::uuid))
                    with check (tenant_id = (select nullif(current_setting(''app.tenant'', true), '''')::uuid))', t);
  end loop;
  -- Delivery works for every tenant; it never touches data sets, models or uploads.
  foreach t in array array['artifact', 'experiment', 'run', 'attempt', 'run_event', 'result', 'run_artifact', 'usage', 'late_write',
                           'event', 'outbox', 'inbox', 'api_key'] loop
    execute format('create policy all_tenants on %I to assay_work using (true) with check (true)', t);
  end loop;
end $$;

grant usage on schema public to assay_app, assay_work;
grant select on run_transition to assay_app, assay_work;
grant select on tenant to assay_app;
grant select on project, api_key, attempt, result, run_artifact, usage to assay_app;
grant select, insert on artifact, model, dataset, dataset_version, dataset_upload, experiment, run, run_event, event, idempotency, outbox
  to assay_app;
-- By column: what was asked for, its digests and who asked never change, whichever role is taken over.
grant update (completed_at) on dataset_upload to assay_app;
grant update (stage, open_runs, next_seq, cancel_mode, cancel_reason, cancel_requested_at, ended_at) on experiment to assay_app;
grant update (state, state_reason, not_before, cancel_mode, terminal_at) on run to assay_app;

grant select on experiment, run, attempt, result, run_artifact, usage, late_write, event, outbox, inbox, artifact, run_event, dispatcher to assay_work;
grant insert on artifact, attempt, run_event, result, run_artifact, usage, late_write, event, outbox, inbox, dispatcher to assay_work;
grant update (stage, open_runs, next_seq, ended_at) on experiment to assay_work;
grant update (state, state_reason, partial, epoch, attempt, disruptions, lease_owner, lease_until, not_before, error_class, error_code,
              error_message, error_stage, progress, terminal_at) on run to assay_work;
grant update (last_sequence, ended_at, outcome, error_class, error_code, error_message) on attempt to assay_work;
grant update (published_at) on outbox to assay_work;
grant update (beat_at) on dispatcher to assay_work;
grant delete on dispatcher, inbox, outbox to assay_work;
grant select on api_key to assay_work;

-- The one look-up that comes before a tenant is known. It runs as assay_work, for which api_key has a policy; a function of
-- assay_owner would find nothing, because row-level security is forced on the owner too.
create function find_api_key(wanted text)
  returns table (tenant_id uuid, id uuid, project_id uuid, secret_sha256 bytea, scopes text[], expires_at timestamptz, revoked_at timestamptz)
  language sql stable security definer set search_path = public, pg_temp
  as 'select tenant_id, id, project_id, secret_sha256, scopes, expires_at, revoked_at from api_key where public_id = wanted';
revoke all on function find_api_key(text) from public;
grant execute on function find_api_key(text) to assay_app;
grant create on schema public to assay_work;
alter function find_api_key(text) owner to assay_work;
revoke create on schema public from assay_work;
