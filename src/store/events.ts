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
  `with numbered as (
     update experiment set next_seq = next_seq + $3 where tenant_id = $1 and id = $2 returning next_seq - $3 as first, traceparent
   ), written as (
     insert into event (tenant_id, experiment_id, seq, run_id, kind, body)
     select $1, $2, numbered.first + e.n - 1, e.run_id, e.kind, e.body
     from numbered, rows from (jsonb_to_recordset($4::jsonb) as (run_id uuid, kind text, body jsonb))
          with ordinality as e(run_id, kind, body, n)
   )
   insert into outbox (tenant_id, event_id, topic, key, type, payload, traceparent)
   select $1, $5, $6, $7, $8,
          jsonb_build_object('experimentId', $2::uuid, 'fromSequence', first, 'toSequence', first + $3 - 1), traceparent
   from numbered`,
);

/** Appends events in their order and rings one bell for them. Locks the experiment until the commit. */
export async function appendEvents(tx: Transaction, key: ExperimentKey, events: readonly NewEvent[]): Promise<void> {
  if (events.length === 0) return;
  await tx.run(append, [
    key.tenantId,
    key.experimentId,
    events.length,
    JSON.stringify(events.map(({ runId, kind, body }) => ({ run_id: runId, kind, body }))),
    newId(),
    topics.events,
    messageKey(key.tenantId, key.experimentId),
    EVENTS_WRITTEN,
  ]);
  tx.wroteOutbox = true;
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
