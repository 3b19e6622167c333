-- Delivery: fair shares, quotas and their ledger, checkpoints, pause and retry, dead letters, reuse of equal work.
--
-- As in 0001: tenant_id leads every key of a table that belongs to a tenant, rows are forced to one tenant for assay_app,
-- and assay_work sees those of all.

-- ---------------------------------------------------------------- experiments and runs
alter table experiment
  add column reuse text not null default 'EXACT_MATCH' check (reuse in ('EXACT_MATCH', 'NEVER')),
  add column paused_at timestamptz,
  -- Whose key asked for its end; the first one, where a second asked for a quicker end.
  add column cancelled_by uuid,
  add foreign key (tenant_id, cancelled_by) references api_key,
  -- When its events and audit rows were deleted for their age.
  add column history_pruned_at timestamptz,
  -- W3C trace context of the request that made it; messages about it carry it on.
  add column traceparent text check (traceparent ~ '^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$');

alter table run
  -- Age and priority in one number, the smallest first: seconds of acceptance, 600 less for each priority. So a run that has
  -- waited ten minutes longer stands level with one of the next priority, and nothing waits for ever.
  add column queue_rank double precision not null default extract(epoch from now()),
  -- Set while a run in work is to stop at its next checkpoint and go back to the queue.
  add column release_reason text check (release_reason in ('PAUSE', 'PREEMPT')),
  -- 1 for the micro-batch of the spec, 2 for half of it, 4 for a quarter: raised when memory ran out.
  add column micro_batch_divisor int not null default 1 check (micro_batch_divisor in (1, 2, 4)),
  -- The equal run of the same project whose result this one was answered from.
  add column reused_from uuid,
  -- The later run that does this one's work, after a retry or an extension; then this one counts no more.
  add column superseded_by uuid,
  -- When its files were seen to be gone from the artifact store; then it answers no other run.
  add column files_gone_at timestamptz,
  add foreign key (tenant_id, reused_from) references run,
  add foreign key (tenant_id, superseded_by) references run;

create index experiment_history on experiment (ended_at)
  where ended_at is not null and (history_pruned_at is null or history_pruned_at < ended_at);

alter table run no force row level security;
update run set queue_rank = extract(epoch from accepted_at) - 600 * priority;
alter table run force row level security;

drop index run_claimable;
create index run_claimable on run (tenant_id, queue_rank, experiment_id, position) where state in ('QUEUED', 'RETRY_WAIT');
-- How many runs of a tenant wait, which its quota bounds: those that have neither ended nor a lease. It does not go by the states, so
-- that no claim can take this index, which has not its order: where the planner's last look found nothing that waits, it would as
-- soon take this one, and sort a long queue for each claim.
create index run_waiting on run (tenant_id) where terminal_at is null and lease_until is null;
-- The share of a tenant says when it was served last.
drop index attempt_by_start;
-- Runs that equal ones may be answered from: those that were worked on, whole, and whose files are there.
create index run_answered on run (digest, tenant_id)
  where state = 'SUCCEEDED' and not partial and reused_from is null and superseded_by is null and files_gone_at is null;
-- Runs that wait, by their work: what an ended run may answer.
create index run_wanted on run (digest, tenant_id) where state in ('QUEUED', 'RETRY_WAIT');

-- Whether the first run's result is what the second one would come to. Both have the same digest, which names their spec and what
-- they read; yet an input may be missing, or come from a run that ended partial, or that was tried again after its reader had read it.
create function run_may_answer(tenant uuid, source uuid, wanted uuid) returns boolean language plpgsql stable as $$
begin
  return exists (
    select 1 from run s
    join experiment worked on worked.tenant_id = s.tenant_id and worked.id = s.experiment_id
    join run r on r.tenant_id = s.tenant_id and r.id = wanted
    join experiment asked on asked.tenant_id = r.tenant_id and asked.id = r.experiment_id
    where s.tenant_id = tenant and s.id = source and asked.reuse = 'EXACT_MATCH'
      and asked.project_id = worked.project_id and asked.capability = worked.capability
      and s.digest = r.digest and s.spec_sha256 = r.spec_sha256
      and s.state = 'SUCCEEDED' and not s.partial and s.reused_from is null and s.superseded_by is null and s.files_gone_at is null
      and not exists (
        select 1 from (values (s.inputs, (select a.started_at from attempt a
                                          where a.tenant_id = s.tenant_id and a.run_id = s.id and a.epoch = s.epoch)),
                              (r.inputs, 'infinity'::timestamptz)) as reader(inputs, began)
        cross join lateral jsonb_to_recordset(reader.inputs) as i("from" jsonb)
        left join run maker on maker.tenant_id = tenant and maker.id = (i."from" ->> 'runId')::uuid
        where i."from" ->> 'kind' = 'RUN'
          and not coalesce(maker.state = 'SUCCEEDED' and not maker.partial and maker.terminal_at <= reader.began, false)
      )
  );
end $$;

alter table attempt
  -- Not the transaction's start: what the attempt reads was committed before it began.
  alter column started_at set default clock_timestamp(),
  drop constraint attempt_outcome_check,
  add constraint attempt_outcome_check
    check (outcome in ('SUCCEEDED', 'FAILED', 'CANCELLED', 'LOST', 'REFUSED', 'RELEASED', 'REUSED')),
  -- Training steps done when it ended, as its pod said.
  add column last_step bigint,
  -- The step of the checkpoint that it went on from; null when it began at the beginning.
  add column resumed_from_step bigint;

-- What a run may go on from. Only the newest is looked for; one whose file does not verify is marked and passed over.
create table checkpoint (
  tenant_id uuid not null,
  run_id uuid not null,
  epoch int not null,
  step bigint not null check (step >= 0),
  sha256 text not null,
  broken_at timestamptz,
  at timestamptz not null default now(),
  primary key (tenant_id, run_id, epoch, step),
  foreign key (tenant_id, run_id, epoch) references attempt,
  foreign key (tenant_id, sha256) references artifact
);
create index checkpoint_by_file on checkpoint (sha256);
-- Two tenants may have the same bytes, which are stored once: a file goes when the last of them lets go of it.
create index artifact_by_digest on artifact (sha256);
create index run_artifact_by_file on run_artifact (tenant_id, sha256);

-- ---------------------------------------------------------------- quotas, shares and the ledger
-- What a tenant may have; a tenant without a row has the defaults. Written by operators.
create table quota (
  tenant_id uuid primary key references tenant,
  weight double precision not null default 1 check (weight > 0),
  queued_max int not null default 1000 check (queued_max >= 0),     -- runs WAITING, QUEUED, RETRY_WAIT or PAUSED
  running_max int check (running_max >= 0),                         -- runs LEASED, RUNNING or CANCELLING; null for no bound
  submits_per_minute int check (submits_per_minute >= 0),           -- runs accepted; null for no bound
  compute_seconds_per_day double precision check (compute_seconds_per_day >= 0) -- reserved and used since midnight UTC; null for no bound
);

-- Fair queueing by start tags: a claim takes the eligible run whose tenant has the smallest greatest(clock, v), moves the clock
-- there and adds the run's estimated cost, divided by the weight, to v at once.
create table share (
  tenant_id uuid primary key references tenant,
  v double precision not null default 0,
  served bigint not null default 0          -- n of its last claim
);

-- The virtual clock. Whoever claims locks its one row first, so claims are one after another.
create table share_clock (
  one boolean primary key default true check (one),
  v double precision not null default 0,
  n bigint not null default 0,              -- claims and corrections so far
  contenders int not null default 0         -- tenants that had a run to claim when one was claimed last
);
insert into share_clock default values;

-- Audit of every change of a share, in the order of the clock's lock.
create table share_entry (
  tenant_id uuid not null,
  n bigint not null,
  kind text not null check (kind in ('CLAIM', 'CORRECTION')),
  run_id uuid not null,
  epoch int not null,
  amount double precision not null,         -- added to v: seconds divided by the weight
  start_tag double precision not null,      -- greatest(clock, v) before
  at timestamptz not null default clock_timestamp(),
  primary key (tenant_id, n)
);

-- An attempt that ended and is not yet counted into its tenant's share, its day and its kind's typical cost.
create table cost_note (
  tenant_id uuid not null,
  run_id uuid not null,
  epoch int not null,
  reserved double precision not null,
  used double precision not null,
  at timestamptz not null default now(),
  primary key (tenant_id, run_id, epoch)
);

-- Seconds that a tenant settled on a day by UTC, those of cost notes excepted.
create table compute_day (
  tenant_id uuid not null,
  day date not null,
  seconds double precision not null,
  primary key (tenant_id, day)
);

-- Seconds that runs of a kind usually take.
create table typical_cost (
  tenant_id uuid not null,
  project_id uuid not null,
  capability text not null,
  step text not null,
  runs bigint not null,
  seconds double precision not null,
  primary key (tenant_id, project_id, capability, step)
);

-- What was set aside, used and given back. An attempt reserves when it is claimed; when it ends it settles what it used and
-- releases the rest, so that reserved - released = settled; the release is negative where it took longer than was thought.
create table ledger (
  tenant_id uuid not null,
  run_id uuid not null,
  epoch int not null,
  unit text not null check (unit in ('COMPUTE_SECONDS')),
  kind text not null check (kind in ('RESERVE', 'SETTLE', 'RELEASE')),
  amount double precision not null,
  at timestamptz not null default now(),
  primary key (tenant_id, run_id, epoch, unit, kind),
  foreign key (tenant_id, run_id, epoch) references attempt
);

-- ---------------------------------------------------------------- waves
-- Work that was added to an experiment after it was accepted. What was asked for at first stays in its spec as it was.
create table wave (
  tenant_id uuid not null,
  id uuid not null,                         -- a replay of dead letters has one in each of their experiments
  experiment_id uuid not null,
  kind text not null check (kind in ('RETRY', 'REPLAY', 'EXTENSION')),
  body jsonb not null,                      -- RETRY {runIds}; REPLAY {runIds, letterIds}; EXTENSION {addSeeds, addSpuriousness}
  requested_by uuid not null,
  at timestamptz(3) not null default now(),
  primary key (tenant_id, id, experiment_id),
  foreign key (tenant_id, experiment_id) references experiment,
  foreign key (tenant_id, requested_by) references api_key
);
create index wave_by_experiment on wave (experiment_id, at);

-- ---------------------------------------------------------------- dead letters
-- One for each time that a run became DEAD. It stays after a replay, as its history.
create table dead_letter (
  tenant_id uuid not null,
  id uuid not null,
  experiment_id uuid not null,
  run_id uuid not null,
  epoch int not null,
  reason text not null,                     -- the run's state_reason or error class
  error_class text,
  error_code text,
  last_error text,
  log_tail text,                            -- the last 64 KiB of what the run said
  at timestamptz(3) not null default now(),
  replayed_at timestamptz,
  purged_at timestamptz,                    -- then last_error and log_tail are gone
  primary key (tenant_id, id),
  unique (tenant_id, run_id, epoch),
  foreign key (tenant_id, run_id) references run,
  foreign key (tenant_id, experiment_id) references experiment
);
create index dead_letter_by_time on dead_letter (tenant_id, at desc, id desc);

-- A record on a topic that is no message of ours. It names no tenant, so only operators see it.
create table poison_message (
  id uuid primary key,
  topic text not null,
  partition int not null,
  message_offset bigint not null,
  consumer text not null,
  reason text not null,
  raw bytea,                                -- its value, at most the first 512 KiB of it
  bytes bigint not null,                    -- of the whole value
  at timestamptz(3) not null default now(),
  unique (topic, partition, message_offset, consumer)
);

-- ---------------------------------------------------------------- messages
alter table outbox add column traceparent text;
-- How often the message came; all but the first were dropped.
alter table inbox add column copies int not null default 1 check (copies >= 1);

-- ---------------------------------------------------------------- housekeeping
-- Work that any dispatcher may do, but one at a time and not too often: when it was begun last.
create table chore (
  name text primary key,
  begun_at timestamptz not null default now()
);
grant select, insert, update on chore to assay_work;

-- ---------------------------------------------------------------- who sees what
do $$
declare
  t text;
begin
  foreach t in array array['checkpoint', 'quota', 'share', 'share_entry', 'cost_note', 'compute_day', 'typical_cost', 'ledger', 'dead_letter', 'wave'] loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format('create policy one_tenant on %I to assay_app, assay_owner
                    using (tenant_id = (select nullif(current_setting(''app.tenant'', true), '''')::uuid))
                    with check (tenant_id = (select nullif(current_setting(''app.tenant'', true), '''')::uuid))', t);
    execute format('create policy all_tenants on %I to assay_work using (true) with check (true)', t);
  end loop;
end $$;

grant select on checkpoint, quota, share, cost_note, compute_day, typical_cost, ledger, dead_letter to assay_app;
grant select (v, contenders) on share_clock to assay_app;
grant select, insert on wave to assay_app;
grant select on wave to assay_work;
grant update (replayed_at, purged_at, last_error, log_tail) on dead_letter to assay_app;
grant update (paused_at, cancelled_by, total_runs, stage_count) on experiment to assay_app;
grant update (paused_at) on experiment to assay_work;
grant update (state, state_reason, priority, queue_rank, release_reason, attempt, disruptions, stage, superseded_by, terminal_at,
              error_class, error_code, error_message, error_stage, micro_batch_divisor) on run to assay_app;

grant select on checkpoint, quota, share, share_clock, share_entry, cost_note, compute_day, typical_cost, ledger, dead_letter, poison_message to assay_work;
grant insert on checkpoint, share, share_entry, cost_note, compute_day, typical_cost, ledger, dead_letter, poison_message to assay_work;
grant update (broken_at) on checkpoint to assay_work;
grant update (v, served) on share to assay_work;
grant update (v, n, contenders) on share_clock to assay_work;
grant update (runs, seconds) on typical_cost to assay_work;
grant update (seconds) on compute_day to assay_work;
grant update (release_reason, micro_batch_divisor, reused_from, files_gone_at) on run to assay_work;
grant update (last_step, resumed_from_step) on attempt to assay_work;
grant delete on checkpoint, artifact to assay_work;
grant update (copies) on inbox to assay_work;
grant update (history_pruned_at) on experiment to assay_work;
grant delete on cost_note, share_entry, event, run_event, poison_message to assay_work;

-- Every role looks at its start whether the database is the one that it was written for.
grant select on migration_checksum to assay_app, assay_work;
