import type { Log } from "../log.js";
import { beginChore } from "../store/chores.js";
import type { WorkDatabase } from "../store/database.js";
import { type AgingTable, forgetAged, forgetHistory } from "../store/retention.js";

/** How long things are kept. */
export interface RetentionDays {
  /** Events and the audit of experiments, counted from their end; what is known of shares, and of messages that nobody could read. */
  readonly historyDays: number;
  /** Messages that were published, and notes of messages seen: at least as long as the topics keep theirs. */
  readonly messageDays: number;
}

/** What is kept unless it is said otherwise. */
export const defaultRetention: RetentionDays = { historyDays: 30, messageDays: 7 };

/** What forgetting works with. */
export interface RetentionParts {
  readonly database: WorkDatabase;
  readonly log: Log;
  /** True when it is to end after the batch in hand. */
  readonly isEnding: () => boolean;
}

const HOUR_MS = 3_600_000;

/** Forgets what is old, batch by batch, so that no lock and no transaction lasts; hourly, by one dispatcher of all. */
export async function forgetOld(parts: RetentionParts, days: RetentionDays): Promise<void> {
  const { database, log } = parts;
  if (!(await database.transaction((tx) => beginChore(tx, "forget what is old", HOUR_MS)))) return;
  const history = await ofHistory(parts, days.historyDays);
  const rows = {
    outbox: await ofTable(parts, "outbox", days.messageDays),
    inbox: await ofTable(parts, "inbox", days.messageDays),
    shares: await ofTable(parts, "share_entry", days.historyDays),
    poison: await ofTable(parts, "poison_message", days.historyDays),
    ...history,
  };
  if (Object.values(rows).some((count) => count > 0)) log.info("old rows were forgotten", rows);
}

async function ofHistory(
  { database, isEnding }: RetentionParts,
  days: number,
): Promise<{ events: number; audit: number }> {
  const sum = { events: 0, audit: 0 };
  while (!isEnding()) {
    const { experiments, events, audit } = await database.transaction((tx) => forgetHistory(tx, days));
    if (experiments === 0) break;
    sum.events += events;
    sum.audit += audit;
  }
  return sum;
}

async function ofTable({ database, isEnding }: RetentionParts, table: AgingTable, days: number): Promise<number> {
  let sum = 0;
  for (let from: number | null = 0; from !== null && !isEnding(); ) {
    const at: number = from;
    const { deleted, next } = await database.transaction((tx) => forgetAged(tx, table, { days, from: at }));
    sum += deleted;
    from = next;
  }
  return sum;
}
