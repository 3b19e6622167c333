import { QUEUED_MAX } from "../domain/share.js";
import type { Standing } from "../domain/standing.js";
import { midnight, reservedNow, usedToday, waitingRuns } from "./quotas.js";
import { thoughtCost } from "./shares.js";
import { statement, type Transaction } from "./transaction.js";

const liveRuns =
  "(select l.tenant_id, l.id, l.epoch from run l where l.tenant_id = $1 and l.state in ('LEASED', 'RUNNING', 'CANCELLING'))";

const read = statement(
  "standing-read",
  `select t.id as "tenantId", coalesce(q.weight, 1) as weight, coalesce(q.queued_max, ${QUEUED_MAX}) as "queuedMax",
          ${waitingRuns("t.id")}::int as waiting, q.running_max as "runningMax",
          (select count(*) from ${liveRuns} live)::int as running, q.submits_per_minute as "submitsPerMinute",
          q.compute_seconds_per_day as "secondsMax", ${usedToday("t.id")} as "secondsUsed",
          ${reservedNow("t.id", liveRuns)} as "secondsReserved", ${midnight} + interval '1 day' as "resetsAt",
          (select ${thoughtCost}
           from (select tenant_id, experiment_id, step from run r
                 where r.tenant_id = t.id and r.state in ('QUEUED', 'RETRY_WAIT') and r.not_before <= now()
                 order by r.queue_rank, r.experiment_id, r.position limit 1) r
           join experiment e on e.tenant_id = r.tenant_id and e.id = r.experiment_id) as "nextCost",
          coalesce(s.v, 0) as v, clock.v as clock, clock.contenders
   from (select $1::uuid as id) t
   cross join (select v, contenders from share_clock) clock
   left join quota q on q.tenant_id = t.id
   left join share s on s.tenant_id = t.id`,
);

/** What the tenant may have and has. */
export function standingOf(tx: Transaction, tenantId: string): Promise<Standing[]> {
  return tx.rows<Standing>(read, [tenantId]);
}

/** A run's place in its tenant's queue, from 1. */
export interface QueuePlace {
  readonly runId: string;
  readonly place: number;
}

const places = statement(
  "queue-places",
  `select id as "runId", place from (
     select r.id, (row_number() over (order by r.queue_rank, r.experiment_id, r.position))::int as place
     from run r where r.tenant_id = $1 and r.state in ('QUEUED', 'RETRY_WAIT') and r.not_before <= now()) queue
   where id = any($2::uuid[])`,
);

/** The places of those of these runs that could be claimed now. */
export function placesOf(tx: Transaction, tenantId: string, runIds: readonly string[]): Promise<QueuePlace[]> {
  return tx.rows<QueuePlace>(places, [tenantId, runIds]);
}
