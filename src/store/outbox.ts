import { newId } from "../domain/digest.js";
import { type Message, topics } from "../domain/messages.js";
import { statement, type Transaction } from "./transaction.js";

/** A message that the relay publishes once the transaction that wrote it is committed. */
export type NewMessage = Omit<Message, "eventId" | "key" | "traceparent">;

const write = statement(
  "outbox-write",
  `insert into outbox (tenant_id, event_id, topic, key, type, payload, traceparent)
   select m.tenant_id, m.event_id, m.topic, m.key, m.type, m.payload, e.traceparent
   from jsonb_to_recordset($1::jsonb) as m(tenant_id uuid, event_id uuid, topic text, key text, type text, payload jsonb)
   left join experiment e on e.tenant_id = m.tenant_id and e.id = (m.payload ->> 'experimentId')::uuid`,
);

/** Writes messages that are published if, and only if, this transaction commits. */
export async function writeMessages(tx: Transaction, messages: readonly NewMessage[]): Promise<void> {
  await tx.run(write, [JSON.stringify(messageRows(messages))]);
  tx.wroteOutbox = true;
}

/** Messages as rows of the outbox. */
export function messageRows(messages: readonly NewMessage[]): object[] {
  return messages.map(({ tenantId, topic, type, payload }) => ({
    tenant_id: tenantId,
    event_id: newId(),
    topic,
    key: messageKey(tenantId, payload.experimentId),
    type,
    payload,
  }));
}

/** Order holds among messages with the same key. */
export function messageKey(tenantId: string, experimentId: string): string {
  return `${tenantId}:${experimentId}`;
}

/** Type of the bell that tells of runs that may be claimed. */
export const RUNS_QUEUED = "assay.events.v1.RunsQueued";
/** Type of the bell that tells of live runs that are to be cancelled. */
export const RUNS_CANCELLING = "assay.events.v1.RunsCancelling";

/** Tells dispatchers to look at the runs of an experiment. */
export function dispatchBell(
  { tenantId, experimentId }: { readonly tenantId: string; readonly experimentId: string },
  type: typeof RUNS_QUEUED | typeof RUNS_CANCELLING,
): NewMessage {
  return { topic: topics.runsQueued, type, tenantId, payload: { experimentId } };
}

const takeUnpublished = statement(
  "outbox-take",
  `select tenant_id, event_id, topic, key, type, payload, traceparent from outbox
   where published_at is null order by event_id limit $1 for update skip locked`,
);

interface OutboxRow {
  readonly tenant_id: string;
  readonly event_id: string;
  readonly topic: Message["topic"];
  readonly key: string;
  readonly type: string;
  readonly payload: Message["payload"];
  readonly traceparent: string | null;
}

/**
 * Locks messages that were not published, oldest id first. Ids say nothing about the order of commits, so whatever has no
 * `published_at` is looked at every time; a cursor over ids would skip the rows of transactions that commit late.
 */
export async function takeMessages(tx: Transaction, limit: number): Promise<Message[]> {
  const rows = await tx.rows<OutboxRow>(takeUnpublished, [limit]);
  return rows.map(({ tenant_id: tenantId, event_id: eventId, ...message }) => ({ tenantId, eventId, ...message }));
}

const WAITING_COUNTED_MAX = 10_000;

const waiting = statement(
  "outbox-waiting",
  `select (select count(*) from (select 1 from outbox where published_at is null limit $1) few) as waiting,
          coalesce((select extract(epoch from clock_timestamp() - created_at)::float8 from outbox
                    where published_at is null order by event_id limit 1), 0) as "oldestSeconds"`,
);

/** How many messages wait to be published, counted up to 10,000, and for how long the oldest has. */
export async function waitingMessages(tx: Transaction): Promise<{ waiting: number; oldestSeconds: number }> {
  const [found] = await tx.rows<{ waiting: number; oldestSeconds: number }>(waiting, [WAITING_COUNTED_MAX]);
  return found ?? { waiting: 0, oldestSeconds: 0 };
}

// Not waited for on disk: a crash of the server only makes the messages come again.
const publish = statement(
  "outbox-published",
  `with relaxed as (
     select set_config('synchronous_commit', 'off', true)
   )
   update outbox o set published_at = clock_timestamp()
   from relaxed, unnest($1::uuid[], $2::uuid[]) as m(tenant_id, event_id)
   where o.tenant_id = m.tenant_id and o.event_id = m.event_id and o.published_at is null`,
);

/** Notes that the messages are on the bus. */
export async function markPublished(tx: Transaction, messages: readonly Message[]): Promise<void> {
  await tx.run(publish, [messages.map((message) => message.tenantId), messages.map((message) => message.eventId)]);
}

// How often a message came is kept, as evidence: a row that was there before has no `xmax` of zero.
const receive = statement(
  "inbox-receive",
  `insert into inbox (tenant_id, consumer, event_id, copies)
   select tenant_id, $3, event_id, count(*) from unnest($1::uuid[], $2::uuid[]) as m(tenant_id, event_id)
   group by tenant_id, event_id order by tenant_id, event_id
   on conflict (tenant_id, consumer, event_id) do update set copies = inbox.copies + excluded.copies
   returning event_id, xmax = 0 as fresh`,
);

/** Notes messages as seen by a consumer and gives those that it had not seen before; the others are duplicates. */
export async function receiveMessages(
  tx: Transaction,
  consumer: string,
  messages: readonly Message[],
): Promise<Message[]> {
  const rows = await tx.rows<{ event_id: string; fresh: boolean }>(receive, [
    messages.map((message) => message.tenantId),
    messages.map((message) => message.eventId),
    consumer,
  ]);
  const ids = new Set(rows.filter((row) => row.fresh).map((row) => row.event_id));
  // A message that came twice in this very batch is given once.
  return messages.filter((message) => ids.delete(message.eventId));
}

const announce = statement(
  "outbox-announce",
  `select distinct r.tenant_id, r.experiment_id from run r
   where r.state in ('QUEUED', 'RETRY_WAIT') and r.not_before < now() - make_interval(secs => $1::float8)
     and not exists (select 1 from outbox o where o.tenant_id = r.tenant_id and o.topic = $2 and o.published_at is null
                     and o.payload ->> 'experimentId' = r.experiment_id::text)
   limit 200`,
);

/** Rings again for experiments whose runs have been due for so long; gives how many. It is what makes a lost bell harmless. */
export async function announceOverdue(tx: Transaction, overdueSeconds: number): Promise<number> {
  const rows = await tx.rows<{ tenant_id: string; experiment_id: string }>(announce, [
    overdueSeconds,
    topics.runsQueued,
  ]);
  if (rows.length > 0) {
    await writeMessages(
      tx,
      rows.map((row) => dispatchBell({ tenantId: row.tenant_id, experimentId: row.experiment_id }, RUNS_QUEUED)),
    );
  }
  return rows.length;
}
