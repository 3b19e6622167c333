import type { Rule } from "./rule.js";

/** What must hold of runs, their attempts and their results. */
export const runRules: readonly Rule[] = [
  {
    invariant: "I2",
    says: "every run has ended",
    atRest: true,
    sql: "select tenant_id, id, state, state_reason, epoch, not_before, lease_until from run where terminal_at is null",
  },
  {
    invariant: "I3",
    says: "a run has a result if, and only if, it succeeded",
    sql: `
      select r.id, r.state, x.epoch from run r left join result x on x.tenant_id = r.tenant_id and x.run_id = r.id
      where (r.state = 'SUCCEEDED') <> (x.run_id is not null)
      union all
      select x.run_id, null, count(*)::int from result x group by x.run_id having count(*) > 1
      union all
      select x.run_id, 'no such run', x.epoch from result x where not exists (select 1 from run r where r.id = x.run_id)`,
  },
  {
    invariant: "I4",
    says: "a result comes from the run's own epoch, whose attempt succeeded or was answered from an equal run",
    sql: `
      select r.id, r.epoch, x.epoch as result_epoch, a.outcome, r.reused_from
      from run r join result x on x.tenant_id = r.tenant_id and x.run_id = r.id
      left join attempt a on a.tenant_id = x.tenant_id and a.run_id = x.run_id and a.epoch = x.epoch
      where x.epoch <> r.epoch
         or a.outcome is distinct from case when r.reused_from is null then 'SUCCEEDED' else 'REUSED' end`,
  },
  {
    invariant: "I4",
    says: "a reused result is the whole result of a run of equal digest in the same project",
    sql: `
      select r.id, r.reused_from, s.state, s.partial from run r
      join experiment e on e.tenant_id = r.tenant_id and e.id = r.experiment_id
      left join run s on s.tenant_id = r.tenant_id and s.id = r.reused_from
      left join experiment t on t.tenant_id = s.tenant_id and t.id = s.experiment_id
      left join result x on x.tenant_id = r.tenant_id and x.run_id = r.id
      left join result y on y.tenant_id = s.tenant_id and y.run_id = s.id
      where r.reused_from is not null and r.state = 'SUCCEEDED'
        and (s.state is distinct from 'SUCCEEDED' or s.partial or s.digest <> r.digest or t.project_id <> e.project_id
             or x.content_sha256 is distinct from y.content_sha256 or x.metrics is distinct from y.metrics)`,
  },
  {
    invariant: "I7",
    says: "epochs run from 1 without a gap, and the run has the last one",
    sql: `
      select r.id, r.epoch, count(a.epoch)::int as attempts, max(a.epoch) as last from run r
      left join attempt a on a.tenant_id = r.tenant_id and a.run_id = r.id
      group by r.tenant_id, r.id, r.epoch
      having count(a.epoch) <> r.epoch or coalesce(max(a.epoch), 0) <> r.epoch or coalesce(min(a.epoch), 1) <> 1`,
  },
  {
    invariant: "I7",
    says: "an attempt is open if, and only if, its run is live at that epoch",
    sql: `
      select a.run_id, a.epoch, a.outcome, r.epoch as run_epoch, r.state
      from attempt a join run r on r.tenant_id = a.tenant_id and r.id = a.run_id
      where (a.outcome is null) <> (r.epoch = a.epoch and r.state in ('LEASED', 'RUNNING', 'CANCELLING'))
         or (a.outcome is null) <> (a.ended_at is null)`,
  },
  {
    // The audit's order is the order of the row's locks, which no clock can disturb.
    invariant: "I7",
    says: "an attempt begins only after the one before it has ended",
    sql: `
      select run_id, n, epoch, before from (
        select run_id, n, epoch, to_state, lag(to_state) over (partition by run_id order by n) as before from run_event) e
      where to_state = 'LEASED' and before in ('LEASED', 'RUNNING', 'CANCELLING')`,
  },
  {
    invariant: "I8",
    says: "states change only along run_transition, each from where the one before ended, and begin WAITING or QUEUED",
    sql: `
      select s.run_id, s.n, s.from_state, s.to_state, s.before from (
        select e.*, lag(to_state) over (partition by run_id order by n) as before,
               row_number() over (partition by run_id order by n) as place from run_event e) s
      left join run_transition t on t.from_state = s.from_state and t.to_state = s.to_state
      where case when s.from_state is null then s.place > 1 or s.to_state not in ('WAITING', 'QUEUED')
                 else t.from_state is null or (s.place > 1 and s.from_state is distinct from s.before) end`,
  },
  {
    invariant: "I8",
    says: "the epoch never falls, and rises by one with each lease and with nothing else",
    sql: `
      select run_id, n, to_state, epoch, before from (
        select e.*, lag(epoch) over (partition by run_id order by n) as before from run_event e) s
      where case when from_state is null then epoch <> 0
                 else epoch <> before + case to_state when 'LEASED' then 1 else 0 end end`,
  },
  {
    invariant: "I8",
    says: "the audit ends where the run is",
    sql: `
      select r.id, r.state, r.epoch, l.to_state, l.epoch as audited from run r
      left join lateral (select to_state, epoch from run_event e where e.tenant_id = r.tenant_id and e.run_id = r.id
                         order by n desc limit 1) l on true
      where l.to_state is distinct from r.state or l.epoch is distinct from r.epoch`,
  },
  {
    invariant: "I12",
    says: "a late writer had a lower epoch, or the run was not in work",
    sql: `
      select run_id, epoch_seen, epoch_current, state_seen, what from late_write
      where not (epoch_seen < epoch_current or state_seen not in ('LEASED', 'RUNNING'))`,
  },
  {
    invariant: "I12",
    says: "a late writer changed nothing: what it wrote for is as it ended before, without result, files or usage of its own",
    sql: `
      select l.run_id, l.epoch_seen, l.what, a.outcome from late_write l
      join attempt a on a.tenant_id = l.tenant_id and a.run_id = l.run_id and a.epoch = l.epoch_seen
      where l.epoch_seen < l.epoch_current and (
        a.outcome is null
        or (a.outcome <> 'SUCCEEDED' and exists (select 1 from result x where x.run_id = l.run_id and x.epoch = l.epoch_seen))
        or (a.error_code = 'LEASE_EXPIRED' and (
              exists (select 1 from usage u where u.run_id = l.run_id and u.epoch = l.epoch_seen)
              or exists (select 1 from run_artifact f where f.run_id = l.run_id and f.epoch = l.epoch_seen))))`,
  },
  {
    invariant: "I13",
    says: "tries are at most max_attempts, and those used up are the attempts since the last replay that count as tries",
    sql: `
      select r.id, r.state, r.attempt, r.max_attempts, count(a.epoch)::int as tries from run r
      left join attempt a on a.tenant_id = r.tenant_id and a.run_id = r.id
        and (a.outcome is null or a.outcome not in ('LOST', 'REFUSED', 'RELEASED', 'REUSED'))
        and a.epoch > (select coalesce(max(e.epoch), 0) from run_event e
                       where e.tenant_id = r.tenant_id and e.run_id = r.id and e.from_state in ('FAILED', 'DEAD'))
      group by r.tenant_id, r.id, r.state, r.attempt, r.max_attempts
      having r.attempt > r.max_attempts or (r.state <> 'CANCELLED' and r.attempt <> count(a.epoch))`,
  },
  {
    invariant: "I13",
    says: "disruptions count the attempts since the last replay that were lost",
    sql: `
      select r.id, r.state, r.disruptions, count(a.epoch)::int as lost from run r
      left join attempt a on a.tenant_id = r.tenant_id and a.run_id = r.id and a.outcome = 'LOST'
        and a.epoch > (select coalesce(max(e.epoch), 0) from run_event e
                       where e.tenant_id = r.tenant_id and e.run_id = r.id and e.from_state in ('FAILED', 'DEAD'))
      where r.state <> 'CANCELLED'
      group by r.tenant_id, r.id, r.state, r.disruptions having r.disruptions <> count(a.epoch)`,
  },
  {
    invariant: "I13",
    says: "a run has one dead letter for each time that it became DEAD, and no other",
    sql: `
      select coalesce(e.run_id, d.run_id) as run_id, e.epoch as dead_at, d.epoch as letter from
        (select tenant_id, run_id, epoch from run_event where to_state = 'DEAD') e
        full join (select tenant_id, run_id, epoch from dead_letter) d
          on d.tenant_id = e.tenant_id and d.run_id = e.run_id and d.epoch = e.epoch
      where e.run_id is null or d.run_id is null`,
  },
  {
    invariant: "I14",
    says: "a cancelled run has no result and never said that it succeeded",
    sql: `
      select r.id, 'result' as what from run r where r.state = 'CANCELLED'
        and exists (select 1 from result x where x.run_id = r.id)
      union all
      select r.id, 'event' from run r where r.state = 'CANCELLED'
        and exists (select 1 from event v where v.run_id = r.id and v.kind = 'STATE' and v.body ->> 'state' = 'SUCCEEDED')
      union all
      select r.id, 'attempt' from run r where r.state = 'CANCELLED'
        and exists (select 1 from attempt a where a.run_id = r.id and a.outcome in ('SUCCEEDED', 'REUSED'))`,
  },
  {
    invariant: "ALSO",
    says: "only a run that was asked to score what it had succeeds while it is being cancelled, and only then",
    sql: `
      select r.id, r.cancel_mode, r.partial from run r
      join run_event e on e.tenant_id = r.tenant_id and e.run_id = r.id and e.from_state = 'CANCELLING' and e.to_state = 'SUCCEEDED'
      where r.cancel_mode is distinct from 'SCORE_PARTIAL'`,
  },
  {
    invariant: "ALSO",
    says: "files are those of attempts that succeeded",
    sql: `
      select f.run_id, f.epoch, f.name, a.outcome from run_artifact f
      left join attempt a on a.tenant_id = f.tenant_id and a.run_id = f.run_id and a.epoch = f.epoch
      where coalesce(a.outcome, '') not in ('SUCCEEDED', 'REUSED')`,
  },
  {
    invariant: "ALSO",
    says: "terminal_at is set if, and only if, the state is terminal",
    sql: `select id, state, terminal_at from run
          where (terminal_at is not null) <> (state in ('SUCCEEDED', 'FAILED', 'CANCELLED', 'DEAD'))`,
  },
  {
    invariant: "ALSO",
    says: "live runs, and no others, have a lease",
    sql: `select id, state, lease_owner, lease_until from run
          where (lease_until is not null) <> (state in ('LEASED', 'RUNNING', 'CANCELLING'))
             or (lease_owner is not null and state not in ('LEASED', 'RUNNING', 'CANCELLING'))`,
  },
];
