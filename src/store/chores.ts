import { statement, type Transaction } from "./transaction.js";

const begin = statement(
  "chore-begin",
  `insert into chore (name) values ($1)
   on conflict (name) do update set begun_at = now() where chore.begun_at <= now() - make_interval(secs => $2::float8 / 1000)`,
);

/** Whether it is the caller's turn to do a chore: nobody has begun it for so long. Then nobody else's turn comes for as long. */
export async function beginChore(tx: Transaction, name: string, everyMs: number): Promise<boolean> {
  return (await tx.run(begin, [name, everyMs])) === 1;
}

const known = statement("chore-known-files", "select distinct sha256 from artifact where sha256 = any($1::text[])");

/** Which of these files some tenant knows. */
export async function knownFiles(tx: Transaction, sha256s: readonly string[]): Promise<Set<string>> {
  const rows = await tx.rows<{ sha256: string }>(known, [sha256s]);
  return new Set(rows.map((row) => row.sha256));
}
