// The ledger of compute seconds. A claim reserves what the run is thought to take; the statement that ends the attempt settles
// what it took and releases the rest, so that reserved - released = settled, and leaves a note for the tenant's share.

/** How an ending statement settles its attempt. */
interface Settling {
  /** SQL of the wall seconds that its pod said; null where nobody knows, then the time since the claim counts. */
  readonly wall: string;
  /** SQL of the attempt's outcome. */
  readonly outcome: string;
}

/**
 * Common table expressions for a statement that ends an attempt. They go by the rows of its `ended` (tenant_id, id, epoch), and so
 * write nothing when the attempt has lost its lease. An attempt that no pod worked on used nothing.
 */
export function settling({ wall, outcome }: Settling): string {
  return `reserved as (
     select l.tenant_id, l.run_id, l.epoch, l.unit, l.amount,
            coalesce(${wall}, case when ${outcome} in ('REFUSED', 'REUSED') then 0
                                   else greatest(extract(epoch from now() - a.started_at), 0) end)::float8 as used
     from ended
     join ledger l on l.tenant_id = ended.tenant_id and l.run_id = ended.id and l.epoch = ended.epoch and l.kind = 'RESERVE'
     join attempt a on a.tenant_id = ended.tenant_id and a.run_id = ended.id and a.epoch = ended.epoch
   ), settled as (
     insert into ledger (tenant_id, run_id, epoch, unit, kind, amount)
     select r.tenant_id, r.run_id, r.epoch, r.unit, line.kind, line.amount
     from reserved r cross join lateral (values ('SETTLE', r.used), ('RELEASE', r.amount - r.used)) as line(kind, amount)
   ), noted as (
     insert into cost_note (tenant_id, run_id, epoch, reserved, used)
     select tenant_id, run_id, epoch, amount, used from reserved
   )`;
}
