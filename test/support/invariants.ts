import assert from "node:assert/strict";
import type { TestDatabases } from "./databases.js";

/** What must hold of every database at rest, whatever happened to it. Each statement gives the rows that break its rule. */
const rules: Readonly<Record<string, string>> = {
  "a run has a result if, and only if, it succeeded": `
    select r.id from run r left join result x on x.tenant_id = r.tenant_id and x.run_id = r.id
    where (r.state = 'SUCCEEDED') <> (x.run_id is not null)`,
  "a result comes from the run's own epoch, whose attempt succeeded": `
    select r.id from run r join result x on x.tenant_id = r.tenant_id and x.run_id = r.id
    left join attempt a on a.tenant_id = x.tenant_id and a.run_id = x.run_id and a.epoch = x.epoch
    where x.epoch <> r.epoch or a.outcome is distinct from 'SUCCEEDED'`,
  "files are those of attempts that succeeded": `
    select f.run_id from run_artifact f
    join attempt a on a.tenant_id = f.tenant_id and a.run_id = f.run_id and a.epoch = f.epoch where a.outcome <> 'SUCCEEDED'`,
  "epochs have no gap, and the run has the last one": `
    select r.id from run r left join attempt a on a.tenant_id = r.tenant_id and a.run_id = r.id
    group by r.tenant_id, r.id, r.epoch having count(a.epoch) <> r.epoch or coalesce(max(a.epoch), 0) <> r.epoch`,
  "an attempt is open if, and only if, its run is live at that epoch": `
    select a.run_id from attempt a join run r on r.tenant_id = a.tenant_id and r.id = a.run_id
    where (a.outcome is null) <> (r.epoch = a.epoch and r.state in ('LEASED', 'RUNNING', 'CANCELLING'))`,
  "tries used up are the attempts that were neither lost nor refused nor released": `
    select r.id from run r join attempt a on a.tenant_id = r.tenant_id and a.run_id = r.id
    where r.state <> 'CANCELLED'
    group by r.tenant_id, r.id, r.attempt, r.disruptions
    having r.attempt <> count(*) filter (where a.outcome is null or a.outcome not in ('LOST', 'REFUSED', 'RELEASED'))
        or r.disruptions <> count(*) filter (where a.outcome = 'LOST')`,
  "every change of state is an allowed one, and the audit ends where the run is": `
    select r.id from run r
    where not exists (select 1 from run_event e where e.run_id = r.id and e.to_state = r.state
                      and e.n = (select max(n) from run_event l where l.run_id = r.id))
       or exists (select 1 from (select from_state, lag(to_state) over (order by n) as before from run_event e where e.run_id = r.id) s
                  where s.from_state is distinct from s.before)`,
  "a late writer had a lower epoch, or the run was not in work": `
    select run_id from late_write where not (epoch_seen < epoch_current or state_seen not in ('LEASED', 'RUNNING'))`,
  "open_runs counts the runs of the stage that have not ended": `
    select e.id from experiment e left join run r
      on r.tenant_id = e.tenant_id and r.experiment_id = e.id and r.stage = e.stage and r.terminal_at is null
    group by e.tenant_id, e.id, e.open_runs having count(r.id) <> e.open_runs`,
  "an experiment has ended if, and only if, all its runs have": `
    select e.id from experiment e join run r on r.tenant_id = e.tenant_id and r.experiment_id = e.id
    group by e.tenant_id, e.id, e.ended_at having (e.ended_at is not null) <> bool_and(r.terminal_at is not null)`,
  "terminal_at is set if, and only if, the state is terminal": `
    select id from run where (terminal_at is not null) <> (state in ('SUCCEEDED', 'FAILED', 'CANCELLED', 'DEAD'))`,
  "only live runs have a lease": `
    select id from run where (lease_until is not null) <> (state in ('LEASED', 'RUNNING', 'CANCELLING'))`,
  "event sequences have no gap and end before the next one": `
    select e.id from experiment e left join event v on v.tenant_id = e.tenant_id and v.experiment_id = e.id
    group by e.tenant_id, e.id, e.next_seq having count(v.seq) <> e.next_seq - 1 or coalesce(max(v.seq), 0) <> e.next_seq - 1`,
  "the last event of a run says its state": `
    select r.id from run r join lateral (
      select body ->> 'state' as state from event v where v.tenant_id = r.tenant_id and v.run_id = r.id and v.kind = 'STATE'
      order by seq desc limit 1) last on true
    where last.state <> r.state and not (r.state = 'LEASED' and last.state in ('QUEUED', 'RETRY_WAIT'))
      and not (r.state = 'QUEUED' and last.state = 'RETRY_WAIT')`,
};

/** Checks every rule; the message names the rules that are broken and the rows that break them. */
export async function assertInvariants({ query }: Pick<TestDatabases, "query">): Promise<void> {
  const broken: Record<string, unknown> = {};
  for (const [rule, text] of Object.entries(rules)) {
    const rows = await query(text);
    if (rows.length > 0) broken[rule] = rows;
  }
  assert.deepEqual(broken, {});
}
