// SQL about what a tenant may have, which the claim and the gateway's reads share.

/** SQL of the start of the current day by UTC. */
const midnight = "date_trunc('day', now(), 'UTC')";

/** SQL of the seconds that the tenant settled today: those that were counted into its day, and the notes that will be. */
export function usedToday(tenant: string): string {
  return `(select coalesce(sum(d.seconds), 0) from compute_day d where d.tenant_id = ${tenant} and d.day = (now() at time zone 'UTC')::date)
        + (select coalesce(sum(c.used), 0) from cost_note c where c.tenant_id = ${tenant} and c.at >= ${midnight})`;
}

/** SQL of the seconds that are reserved for the tenant's runs in work; `live` names these runs. */
export function reservedNow(tenant: string, live: string): string {
  return `(select coalesce(sum(l.amount), 0) from ${live} w
           join ledger l on l.tenant_id = w.tenant_id and l.run_id = w.id and l.epoch = w.epoch
           where w.tenant_id = ${tenant} and l.kind = 'RESERVE')`;
}
