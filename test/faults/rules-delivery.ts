import { topics } from "../../src/domain/messages.js";
import type { Rule } from "./rule.js";

/** What must hold of messages, usage, the ledger, experiments and their events. */
export const deliveryRules: readonly Rule[] = [
  {
    invariant: "I5",
    says: "an attempt has at most one line of usage of a kind",
    sql: "select run_id, epoch, kind, count(*)::int from usage group by run_id, epoch, kind having count(*) > 1",
  },
  {
    invariant: "I5",
    says: "an attempt that succeeded has each kind of seconds; one that no pod worked on has none; no amount is negative",
    sql: `
      select a.run_id, a.epoch, a.outcome, count(u.kind) filter (where u.kind like '%_SECONDS')::int as lines, min(u.amount) as least from attempt a
      left join usage u on u.tenant_id = a.tenant_id and u.run_id = a.run_id and u.epoch = a.epoch
      group by a.run_id, a.epoch, a.outcome
      having (a.outcome = 'SUCCEEDED' and count(u.kind) filter (where u.kind like '%_SECONDS') <> 3) or (a.outcome in ('REFUSED', 'REUSED') and count(u.kind) > 0)
          or min(u.amount) < 0`,
  },
  {
    invariant: "I5",
    says: "what an attempt reserved is settled or released once it has ended, to the last second, and not before",
    sql: `
      select a.run_id, a.epoch, a.outcome, l.unit, l.reserved, l.settled, l.released, l.lines from attempt a
      left join (select tenant_id, run_id, epoch, unit,
                   sum(amount) filter (where kind = 'RESERVE') as reserved, sum(amount) filter (where kind = 'SETTLE') as settled,
                   sum(amount) filter (where kind = 'RELEASE') as released, count(*)::int as lines
            from ledger group by tenant_id, run_id, epoch, unit) l
        on l.tenant_id = a.tenant_id and l.run_id = a.run_id and l.epoch = a.epoch
      where case when l.lines is null then a.outcome is distinct from 'REUSED'
                 when a.outcome is null then l.lines <> 1 or l.reserved is null
                 else l.lines <> 3 or l.reserved is null or l.settled is null or l.released is null
                      or abs(l.reserved - l.released - l.settled) > 1e-6 * greatest(1, l.reserved) end`,
  },
  {
    invariant: "I5",
    says: "reserved - released = settled for every experiment that has ended",
    sql: `
      select e.id, l.unit, l.rest from experiment e
      join (select r.tenant_id, r.experiment_id, l.unit, sum(case l.kind when 'RESERVE' then l.amount else -l.amount end) as rest
            from ledger l join run r on r.tenant_id = l.tenant_id and r.id = l.run_id group by r.tenant_id, r.experiment_id, l.unit) l
        on l.tenant_id = e.tenant_id and l.experiment_id = e.id
      where e.ended_at is not null and abs(l.rest) > 1e-6 * greatest(1, e.total_runs)`,
  },
  {
    invariant: "I5",
    says: "the seconds of a tenant's days, with those still to be counted, are what it settled",
    sql: `
      select tenant_id, d.seconds, l.seconds as settled
      from (select tenant_id, sum(seconds) as seconds
            from (select tenant_id, seconds from compute_day union all select tenant_id, used from cost_note) s group by tenant_id) d
      full join (select tenant_id, sum(amount) as seconds from ledger where kind = 'SETTLE' group by tenant_id) l using (tenant_id)
      where abs(coalesce(d.seconds, 0) - coalesce(l.seconds, 0)) > 1e-6 * greatest(1, l.seconds)`,
  },
  {
    invariant: "I9",
    says: "every message is published",
    atRest: true,
    sql: "select event_id, topic, type, created_at from outbox where published_at is null",
  },
  {
    invariant: "I9",
    says: "every bell for dispatchers was heard by one, or its runs have ended",
    atRest: true,
    sql: `
      select o.event_id, o.payload ->> 'experimentId' as experiment_id from outbox o
      where o.topic = '${topics.runsQueued}'
        and not exists (select 1 from inbox i where i.tenant_id = o.tenant_id and i.event_id = o.event_id)
        and exists (select 1 from run r where r.tenant_id = o.tenant_id
                    and r.experiment_id = (o.payload ->> 'experimentId')::uuid and r.terminal_at is null)`,
  },
  {
    invariant: "I10",
    says: "a message is noted once for each consumer",
    sql: "select consumer, event_id, count(*)::int from inbox group by consumer, event_id having count(*) > 1",
  },
  {
    invariant: "I10",
    says: "a change of state is told once",
    sql: `
      select run_id, state, count(*)::int as told, changes from (
        select v.run_id, v.body ->> 'state' as state,
               (select count(*)::int from run_event e where e.tenant_id = v.tenant_id and e.run_id = v.run_id
                and e.to_state = v.body ->> 'state') as changes
        from event v where v.kind = 'STATE' and v.run_id is not null) s
      where state <> 'CANCELLING' group by run_id, state, changes having count(*) > changes`,
  },
  {
    invariant: "I11",
    says: "files, results and checkpoints name registered artifacts only",
    sql: `
      select f.run_id, f.epoch, f.name, f.sha256 from run_artifact f
      where not exists (select 1 from artifact a where a.tenant_id = f.tenant_id and a.sha256 = f.sha256)
      union all
      select c.run_id, c.epoch, 'checkpoint ' || c.step, c.sha256 from checkpoint c
      where not exists (select 1 from artifact a where a.tenant_id = c.tenant_id and a.sha256 = c.sha256)`,
  },
  {
    invariant: "ALSO",
    says: "open_runs counts the runs of the stage that have not ended",
    sql: `
      select e.id, e.stage, e.open_runs, count(r.id)::int as counted from experiment e
      left join run r on r.tenant_id = e.tenant_id and r.experiment_id = e.id and r.stage = e.stage and r.terminal_at is null
      group by e.tenant_id, e.id, e.stage, e.open_runs having count(r.id) <> e.open_runs`,
  },
  {
    invariant: "ALSO",
    says: "an experiment has ended if, and only if, all its runs have",
    sql: `
      select e.id, e.ended_at from experiment e join run r on r.tenant_id = e.tenant_id and r.experiment_id = e.id
      group by e.tenant_id, e.id, e.ended_at having (e.ended_at is not null) <> bool_and(r.terminal_at is not null)`,
  },
  {
    invariant: "ALSO",
    says: "an experiment counts the runs that were not superseded",
    sql: `
      select e.id, e.total_runs, count(r.id)::int as counted from experiment e left join run r
        on r.tenant_id = e.tenant_id and r.experiment_id = e.id and r.superseded_by is null
      group by e.tenant_id, e.id, e.total_runs having count(r.id) <> e.total_runs`,
  },
  {
    invariant: "ALSO",
    says: "a superseded run is over or being stopped, and its successor is a run of the same step and experiment",
    sql: `
      select r.id, r.state, r.step, s.step as by from run r join run s on s.tenant_id = r.tenant_id and s.id = r.superseded_by
      where r.state not in ('SUCCEEDED', 'FAILED', 'CANCELLED', 'DEAD', 'CANCELLING') or s.experiment_id <> r.experiment_id
         or r.step <> s.step`,
  },
  {
    invariant: "ALSO",
    says: "what is in the queue or at work stands in the open stage, and what waits for its stage behind it",
    sql: `
      select r.id, r.state, r.stage, e.stage as open from run r join experiment e on e.tenant_id = r.tenant_id and e.id = r.experiment_id
      where r.terminal_at is null and case r.state when 'WAITING' then r.stage <= e.stage else r.stage <> e.stage end`,
  },
  {
    invariant: "ALSO",
    says: "a run is DEAD if, and only if, its last attempt left a dead letter that was not replayed",
    sql: `
      select r.id, r.state, r.epoch from run r
      left join dead_letter d on d.tenant_id = r.tenant_id and d.run_id = r.id and d.epoch = r.epoch
      where r.superseded_by is null and (r.state = 'DEAD') <> (d.id is not null and d.replayed_at is null)`,
  },
  {
    invariant: "ALSO",
    says: "event sequences have no gap and end before the next one",
    sql: `
      select e.id, e.next_seq, count(v.seq)::int as events, max(v.seq) as last from experiment e
      left join event v on v.tenant_id = e.tenant_id and v.experiment_id = e.id
      group by e.tenant_id, e.id, e.next_seq
      having count(v.seq) <> e.next_seq - 1 or coalesce(max(v.seq), 0) <> e.next_seq - 1`,
  },
  {
    invariant: "ALSO",
    says: "the last event of a run says its state",
    sql: `
      select r.id, r.state, last.state as told from run r join lateral (
        select body ->> 'state' as state from event v where v.tenant_id = r.tenant_id and v.run_id = r.id and v.kind = 'STATE'
        order by seq desc limit 1) last on true
      where last.state <> r.state and not (r.state = 'LEASED' and last.state in ('QUEUED', 'RETRY_WAIT'))
        and not (r.state = 'QUEUED' and last.state = 'RETRY_WAIT')`,
  },
];
