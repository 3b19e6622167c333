import { QUEUED_MAX } from "../domain/share.js";
import { AssayError } from "../errors.js";
import { statement, type Transaction } from "./transaction.js";

/** SQL of the start of the current day by UTC. */
export const midnight = "date_trunc('day', now(), 'UTC')";

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

/** SQL of how many runs of the tenant wait: they are WAITING, QUEUED, RETRY_WAIT or PAUSED. */
export function waitingRuns(tenant: string): string {
  return `(select count(*) from run r where r.tenant_id = ${tenant} and r.terminal_at is null and r.lease_until is null)`;
}

/** A bound on runs that come in, and how much of it is used. */
interface Bound {
  readonly limit: number;
  readonly used: number;
  /** What the bound is on, for people. */
  readonly what: string;
  /** When asking again makes sense. */
  readonly retryAfterSeconds: number;
}

/** The bounds of a tenant on runs that come in. */
export type Room = readonly Bound[];

// Counting goes on under this lock, so that two who count at once do not both take the same room. It is taken by its own
// statement, so that the next one sees what its last holder committed. A tenant's row cannot serve: the gateway may not lock it.
const lock = statement("quota-lock", "select pg_advisory_xact_lock(hashtextextended($1, 20))");

const read = statement(
  "quota-room",
  `select coalesce(q.queued_max, ${QUEUED_MAX}) as "queuedMax", q.submits_per_minute as "perMinute",
          ${waitingRuns("t.id")}::int as waiting, recent.runs, recent.seconds
   from (select $1::uuid as id) t
   left join quota q on q.tenant_id = t.id
   cross join lateral (
     select coalesce(sum(e.total_runs), 0)::int as runs,
            coalesce(ceil(60 - extract(epoch from now() - min(e.created_at))), 60)::int as seconds
     from project p join experiment e on e.tenant_id = p.tenant_id and e.project_id = p.id and e.created_at > now() - interval '1 minute'
     where p.tenant_id = t.id and q.submits_per_minute is not null
   ) recent`,
);

interface RoomRow {
  readonly queuedMax: number;
  readonly perMinute: number | null;
  readonly waiting: number;
  readonly runs: number;
  readonly seconds: number;
}

const QUEUE_RETRY_SECONDS = 5;

/** Counts what the tenant has, and lets nobody else count until the commit. */
export async function lockRoom(tx: Transaction, tenantId: string): Promise<Room> {
  await tx.run(lock, [tenantId]);
  const [row] = await tx.rows<RoomRow>(read, [tenantId]);
  if (row === undefined) throw new AssayError("INTERNAL", "wanted a tenant's quota, but no row came");
  const { queuedMax, perMinute, waiting, runs, seconds } = row;
  const queue: Bound = {
    limit: queuedMax,
    used: waiting,
    what: "runs that wait",
    retryAfterSeconds: QUEUE_RETRY_SECONDS,
  };
  if (perMinute === null) return [queue];
  const what = "runs submitted in the last minute";
  return [queue, { limit: perMinute, used: runs, what, retryAfterSeconds: Math.max(1, seconds) }];
}

/** How many more runs may come in. */
export function leftIn(room: Room): number {
  return Math.min(...room.map(({ limit, used }) => limit - used));
}

/** Why so many runs may not come in, `taken` others having come in since the room was counted; null when they may. */
export function roomFault(room: Room, requested: number, taken = 0): AssayError | null {
  for (const { limit, used, what, retryAfterSeconds } of room) {
    if (requested > limit) {
      const message = `wanted at most ${limit} ${what}, but the request alone has ${requested}`;
      return new AssayError("QUOTA_EXCEEDED", message, { detail: { limit, requested } });
    }
    const now = used + taken;
    if (now + requested > limit) {
      const message = `wanted at most ${limit} ${what}, but there are ${now}, and the request would add ${requested}`;
      return new AssayError("QUEUE_FULL", message, { detail: { limit, used: now, requested, retryAfterSeconds } });
    }
  }
  return null;
}

/** Throws QUEUE_FULL or QUOTA_EXCEEDED unless the tenant may have so many more runs waiting. */
export async function demandRoom(tx: Transaction, tenantId: string, requested: number): Promise<void> {
  if (requested === 0) return;
  const fault = roomFault(await lockRoom(tx, tenantId), requested);
  if (fault !== null) throw fault;
}

const KNOWN_MS = 1_000;
const KNOWN_PART = 16;
const TENANTS_MAX = 1_000;

/**
 * Remembers for a second how much room tenants had, so that few submissions have to count. Only a small part of the room is given
 * away on memory: however many gateways do so, they do not overrun the quota together, and near its end everybody counts.
 */
export class KnownRoom {
  private readonly known = new Map<string, { left: number; readonly untilMs: number }>();

  /** Takes room for so many runs; false when it must be counted. */
  take(tenantId: string, runs: number): boolean {
    const known = this.known.get(tenantId);
    if (known === undefined || known.untilMs < performance.now() || runs > known.left) return false;
    known.left -= runs;
    return true;
  }

  /** Notes what was counted, less what was taken since. */
  counted(tenantId: string, left: number): void {
    const [oldest] = this.known.keys();
    if (oldest !== undefined && this.known.size >= TENANTS_MAX) this.known.delete(oldest);
    this.known.set(tenantId, { left: Math.floor(left / KNOWN_PART), untilMs: performance.now() + KNOWN_MS });
  }
}
