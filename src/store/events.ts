import { type Json, newId } from "../domain/digest.js";
import type { EventKind, ExperimentEvent } from "../domain/experiment.js";
import { topics } from "../domain/messages.js";
import type { RunState } from "../domain/run.js";
import { messageKey } from "./outbox.js";
import { eventTable } from "./tables.js";
import { statement, type Transaction } from "./transaction.js";

/** Names an experiment to functions that work for every tenant. */
export interface ExperimentKey {
  readonly tenantId: string;
  readonly experimentId: string;
}

/** An event before it has a sequence number. */
export interface NewEvent {
  readonly runId: string | null;
  readonly kind: EventKind;
  readonly body: { readonly [key: string]: Json };
}

/** The type of the bell that tells of written events. */
export const EVENTS_WRITTEN = "assay.events.v1.EventsWritten";

/** A run's change of state. */
export function stateEvent(runId: string, state: RunState, reason?: string | null): NewEvent {
  return { runId, kind: "STATE", body: reason ? { state, reason } : { state } };
}

// Counting up locks the experiment's row until the commit, so that no later number can be seen before an earlier one.
const append = statement(
  "events-append",
  `with told as (
     select * from unnest($1::uuid[], $2::uuid[], $3::int[], $4::uuid[], $5::text[]) as t(tenant_id, id, count, event_id, key)
   ), numbered as (
     update experiment e set next_seq = e.next_seq + told.count from told where e.tenant_id = told.tenant_id and e.id = told.id
     returning e.tenant_id, e.id, e.next_seq - told.count as first, told.count, told.event_id, told.key, e.traceparent
   ), written as (
     insert into event (tenant_id, experiment_id, seq, run_id, kind, body)
     select numbered.tenant_id, numbered.id, numbered.first + e.n, e.run_id, e.kind, e.body
     from jsonb_to_recordset($6::jsonb) as e(experiment_id uuid, n int, run_id uuid, kind text, body jsonb)
     join numbered on numbered.id = e.experiment_id
   )
   insert into outbox (tenant_id, event_id, topic, key, type, payload, traceparent)
   select tenant_id, event_id, $7, key, $8,
          jsonb_build_object('experimentId', id, 'fromSequence', first, 'toSequence', first + count - 1), traceparent
   from numbered`,
);

/** Events of one experiment, in their order. */
export interface ToldEvents {
  readonly key: ExperimentKey;
  readonly events: readonly NewEvent[];
}

/** Appends events in their order and rings one bell for them. Locks the experiment until the commit. */
export function appendEvents(tx: Transaction, key: ExperimentKey, events: readonly NewEvent[]): Promise<void> {
  return appendAllEvents(tx, [{ key, events }]);
}

/**
 * Appends events of several experiments, which must be locked already when there is more than one. `isLast` where nothing
 * follows in the transaction.
 */
export async function appendAllEvents(tx: Transaction, all: readonly ToldEvents[], isLast = false): Promise<void> {
  const some = all.filter(({ events }) => events.length > 0);
  if (some.length === 0) return;
  const rows = some.flatMap(({ key, events }) =>
    events.map(({ runId, kind, body }, n) => ({ experiment_id: key.experimentId, n, run_id: runId, kind, body })),
  );
  tx.wroteOutbox = true;
  const values = [
    some.map(({ key }) => key.tenantId),
    some.map(({ key }) => key.experimentId),
    some.map(({ events }) => events.length),
    some.map(() => newId()),
    some.map(({ key }) => messageKey(key.tenantId, key.experimentId)),
    JSON.stringify(rows),
    topics.events,
    EVENTS_WRITTEN,
  ];
  await (isLast ? tx.lastRows(append, values) : tx.rows(append, values));
}

/** Which events of an experiment are wanted. */
export interface EventRange {
  /** Only later ones; 0 for all. */
  readonly afterSequence: number;
  readonly limit: number;
  /** Only those of one run. */
  readonly runId?: string | undefined;
}

/** The events of an experiment after a sequence number, in order. */
export function eventsAfter(tx: Transaction, experimentId: string, range: EventRange): Promise<ExperimentEvent[]> {
  const query = tx.manager
    .createQueryBuilder(eventTable, "e")
    .where("e.experimentId = :experimentId", { experimentId })
    .andWhere("e.seq > :after", { after: range.afterSequence })
    .orderBy("e.seq")
    .take(range.limit);
  if (range.runId !== undefined) query.andWhere("e.runId = :runId", { runId: range.runId });
  return query.getMany();
}
