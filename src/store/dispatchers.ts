import { statement, type Transaction } from "./transaction.js";

const beat = statement(
  "dispatcher-beat",
  `insert into dispatcher (id) values ($1) on conflict (id) do update set beat_at = clock_timestamp()`,
);

/** Says that the dispatcher lives. */
export async function beatDispatcher(tx: Transaction, id: string): Promise<void> {
  await tx.run(beat, [id]);
}

const remove = statement("dispatcher-remove", "delete from dispatcher where id = $1");

/** The dispatcher ends; whatever it still holds may be adopted at once. */
export async function removeDispatcher(tx: Transaction, id: string): Promise<void> {
  await tx.run(remove, [id]);
}

const removeOthers = statement(
  "dispatcher-remove-silent",
  "delete from dispatcher where id <> $1 and beat_at < now() - make_interval(secs => $2::float8 / 1000)",
);

/** Forgets other dispatchers that have not beaten for so long; 0 for all of them. */
export async function removeSilentDispatchers(tx: Transaction, id: string, silentMs: number): Promise<void> {
  await tx.run(removeOthers, [id, silentMs]);
}
