import { type Replay, replayShares, type ShareHistory } from "./fairness.js";
import { type Breach, breachOf, type Query } from "./rule.js";

const changesSql = `
  select n::float8 as n, tenant_id as "tenantId", kind, amount, start_tag as "startTag",
         extract(epoch from at)::float8 * 1000 as at
  from share_entry order by n`;

// A run can surely be claimed once it is QUEUED: at once where it is new, but after a pause that was drawn and is not kept
// where it was there before: two seconds at most after a pod refused it, minutes after it failed. RETRY_WAIT ends at a time
// that is not kept either, one whose work an equal run may do waits for that one, and one that killed its process waits for a pod
// that has no other such run.
// Tests that play the dispatcher keep runs out of its way with a start that never comes.
const waitsSql = `
  select e.tenant_id as "tenantId",
         extract(epoch from e.at)::float8 * 1000 + case when e.from_state in ('LEASED', 'RUNNING') then 2000 when e.from_state = 'PAUSED' then 300000 else 0 end as "from",
         s.n::float8 as claim, extract(epoch from e.next_at)::float8 * 1000 as until
  from (select *, lead(at) over w as next_at, lead(to_state) over w as next_state, lead(epoch) over w as next_epoch
        from run_event window w as (partition by tenant_id, run_id order by n)) e
  join run r on r.tenant_id = e.tenant_id and r.id = e.run_id and r.not_before <> 'infinity'
  left join share_entry s on s.tenant_id = e.tenant_id and s.run_id = e.run_id and s.kind = 'CLAIM'
    and e.next_state = 'LEASED' and s.epoch = e.next_epoch
  where e.to_state = 'QUEUED' and not exists (
    select 1 from experiment x join run o on o.tenant_id = r.tenant_id and o.digest = r.digest and o.id <> r.id
    where x.tenant_id = r.tenant_id and x.id = r.experiment_id and x.reuse = 'EXACT_MATCH')
    and not exists (select 1 from attempt a where a.tenant_id = e.tenant_id and a.run_id = e.run_id and a.error_class = 'POISON')`;

const worksSql = `
  select s.tenant_id as "tenantId", s.n::float8 as claim,
         extract(epoch from (select min(e.at) from run_event e where e.tenant_id = s.tenant_id and e.run_id = s.run_id
           and e.epoch = s.epoch and e.from_state in ('LEASED', 'RUNNING', 'CANCELLING')
           and e.to_state not in ('RUNNING', 'CANCELLING')))::float8 * 1000 as until
  from share_entry s join quota q on q.tenant_id = s.tenant_id and q.running_max is not null where s.kind = 'CLAIM'`;

/** I17: replays the audit of shares, and compares its end with the shares that are stored. */
export async function fairnessBreaches(query: Query): Promise<{ breaches: Breach[]; contested: number }> {
  const replay = replayShares(await readHistory(query));
  const stored = await endOf(query, replay);
  return {
    breaches: [
      ...breachOf(
        { invariant: "I17", says: "every claim took the eligible tenant with the smallest start tag" },
        replay.breaches,
      ),
      ...breachOf({ invariant: "I17", says: "shares and their clock are what the audit comes to" }, stored),
    ],
    contested: replay.contested,
  };
}

async function readHistory(query: Query): Promise<ShareHistory> {
  const changes = await query<ShareHistory["changes"][number]>(changesSql);
  const quotas = await query<{ tenant_id: string; running_max: number | null; untold: boolean }>(
    "select tenant_id, running_max, compute_seconds_per_day is not null as untold from quota",
  );
  return {
    changes,
    waits: changes.length === 0 ? [] : await query(waitsSql),
    works: await query(worksSql),
    runningMax: new Map(quotas.flatMap(({ tenant_id, running_max: max }) => (max === null ? [] : [[tenant_id, max]]))),
    untold: new Set(quotas.filter(({ untold }) => untold).map(({ tenant_id }) => tenant_id)),
  };
}

async function endOf(query: Query, { v, clock }: Replay): Promise<object[]> {
  if (v.size === 0) return [];
  const shares = await query<{ tenant_id: string; v: number }>("select tenant_id, v from share");
  const [row] = await query<{ v: number; n: number; last: number }>(
    "select v, n::float8 as n, (select max(n) from share_entry)::float8 as last from share_clock",
  );
  const wrong = (one: number, other: number): boolean => Math.abs(one - other) > 1e-6 * Math.max(1, Math.abs(one));
  const clocks = row === undefined || (row.n === row.last && !wrong(row.v, clock)) ? [] : [{ ...row, wanted: clock }];
  const known = shares.filter(({ tenant_id }) => v.has(tenant_id));
  return [
    ...clocks,
    ...known
      .filter((share) => wrong(share.v, v.get(share.tenant_id) ?? 0))
      .map((share) => ({ ...share, wanted: v.get(share.tenant_id) })),
    ...[...v.keys()]
      .filter((tenant) => known.every(({ tenant_id }) => tenant_id !== tenant))
      .map((tenant) => ({ tenant, share: "none" })),
  ];
}
