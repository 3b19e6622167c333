import { bareId, type LoggedCall } from "./client-log.js";
import { type Breach, breachOf, type Query } from "./rule.js";

interface Acknowledged {
  readonly operation: string;
  readonly key: string | undefined;
  readonly id: string;
}

/** I1 and I6: what clients were told is what the database holds. */
export async function clientBreaches(query: Query, calls: readonly LoggedCall[]): Promise<Breach[]> {
  const told = calls.flatMap(({ operation, key, outcome }): Acknowledged[] =>
    outcome?.kind === "ACKNOWLEDGED" ? [{ operation, key, id: bareId(outcome.id) }] : [],
  );
  const lost = await query<{ operation: string; key: string | null; id: string }>(
    `select t.operation, t.key, t.id from jsonb_to_recordset($1::jsonb) as t(operation text, key text, id text)
     where not exists (select 1 from experiment e where e.id::text = t.id) and not exists (select 1 from run r where r.id::text = t.id)`,
    [JSON.stringify(told)],
  );
  const keyed = told.filter(({ key }) => key !== undefined);
  const different = await query<{ operation: string; key: string; ids: string[]; stored: string | null }>(
    `select t.operation, t.key, array_agg(distinct t.id) as ids, min(i.answer_id::text) as stored
     from jsonb_to_recordset($1::jsonb) as t(operation text, key text, id text)
     left join idempotency i on i.operation = t.operation and i.key = t.key
     group by t.operation, t.key
     having count(distinct t.id) > 1 or count(distinct i.answer_id) <> 1 or min(i.answer_id::text) <> min(t.id)`,
    [JSON.stringify(keyed)],
  );
  const dangling = await query(
    `select operation, key, answer_id from idempotency i
     where not exists (select 1 from experiment e where e.tenant_id = i.tenant_id and e.id = i.answer_id)
       and not exists (select 1 from run r where r.tenant_id = i.tenant_id and r.id = i.answer_id)
       and not exists (select 1 from wave w where w.tenant_id = i.tenant_id and w.id = i.answer_id)`,
  );
  return [
    ...breachOf({ invariant: "I1", says: "every id that a client was told of exists" }, lost),
    ...breachOf({ invariant: "I6", says: "one idempotency key has one answer, and every client got it" }, different),
    ...breachOf({ invariant: "I6", says: "what a key answers exists" }, dangling),
  ];
}
