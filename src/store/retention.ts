import { type Statement, statement, type Transaction } from "./transaction.js";

/** Experiments of one batch. */
const EXPERIMENTS_MAX = 100;
/** Rows of one table that one batch deletes. */
const ROWS_MAX = 5_000;
/** Pages of a table that one batch looks through, 8 KiB each. */
const PAGES_MAX = 500;

// An experiment is marked once nothing of it was left for another batch; one that ends again later is taken up again.
const forget = statement(
  "retention-history",
  `with old as (
     select tenant_id, id from experiment
     where ended_at < now() - make_interval(days => $1) and (history_pruned_at is null or history_pruned_at < ended_at)
     order by ended_at limit $2 for update skip locked
   ), events as (
     delete from event e using (
       select v.tenant_id, v.experiment_id, v.seq from old
       join event v on v.tenant_id = old.tenant_id and v.experiment_id = old.id limit $3
     ) d where e.tenant_id = d.tenant_id and e.experiment_id = d.experiment_id and e.seq = d.seq returning 1
   ), audit as (
     delete from run_event e using (
       select a.tenant_id, a.run_id, a.n from old
       join run r on r.tenant_id = old.tenant_id and r.experiment_id = old.id
       join run_event a on a.tenant_id = r.tenant_id and a.run_id = r.id limit $3
     ) d where e.tenant_id = d.tenant_id and e.run_id = d.run_id and e.n = d.n returning 1
   ), counts as (
     select (select count(*) from old) as experiments, (select count(*) from events) as events, (select count(*) from audit) as audit
   ), marked as (
     update experiment x set history_pruned_at = now() from old, counts
     where x.tenant_id = old.tenant_id and x.id = old.id and counts.events < $3 and counts.audit < $3
   )
   select * from counts`,
);

/** What a batch deleted, of how many experiments. */
export interface ForgottenHistory {
  readonly experiments: number;
  readonly events: number;
  readonly audit: number;
}

/** Deletes events and audit rows of experiments that ended so many days ago: one batch; no experiment says that none is left. */
export async function forgetHistory(tx: Transaction, days: number): Promise<ForgottenHistory> {
  const [counts] = await tx.rows<ForgottenHistory>(forget, [days, EXPERIMENTS_MAX, ROWS_MAX]);
  return counts ?? { experiments: 0, events: 0, audit: 0 };
}

/** A table whose rows are forgotten by their age alone. */
export type AgingTable = "outbox" | "inbox" | "share_entry" | "poison_message";

// By place in the table: an index on the time would cost every insert, and a look for the oldest rows would read the whole
// table again for each batch.
const deletion = (table: AgingTable, time: string): Statement =>
  statement(
    `retention-${table}`,
    `delete from ${table} where ctid >= $1::tid and ctid < $2::tid and ${time} < now() - make_interval(days => $3)`,
  );

const deletions: Readonly<Record<AgingTable, Statement>> = {
  outbox: deletion("outbox", "published_at"),
  inbox: deletion("inbox", "at"),
  share_entry: deletion("share_entry", "at"),
  poison_message: deletion("poison_message", "at"),
};

const pageCount = statement(
  "retention-pages",
  "select pg_relation_size($1::regclass) / current_setting('block_size')::int as pages",
);

/** A batch over a table. */
export interface AgingBatch {
  readonly deleted: number;
  /** Where the next batch begins; null when this was the last one. */
  readonly next: number | null;
}

/** Deletes what is older than so many days from some pages of the table on. */
export async function forgetAged(
  tx: Transaction,
  table: AgingTable,
  { days, from }: { readonly days: number; readonly from: number },
): Promise<AgingBatch> {
  const [size] = await tx.rows<{ pages: number }>(pageCount, [table]);
  const to = from + PAGES_MAX;
  const deleted = await tx.run(deletions[table], [`(${from},0)`, `(${to},0)`, days]);
  return { deleted, next: to < (size?.pages ?? 0) ? to : null };
}
