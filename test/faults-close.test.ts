import assert from "node:assert/strict";
import { it } from "node:test";
import { statement, WorkDatabase } from "../src/store/database.js";
import { freshDatabase } from "./support/database.js";
import { eventually } from "./support/eventually.js";
import { quietLog } from "./support/store.js";

const insert = statement("test-close-insert", "insert into dispatcher (id) values ($1)");
const ids = [1, 2, 3].map((n) => `00000000-0000-7000-8000-00000000000${n}`);

it("a database that is closed lets the transaction at work come to its end, and nobody else gets into it", async () => {
  const access = await freshDatabase();
  const owner = await WorkDatabase.open({ login: access.owner, log: quietLog });
  await owner.transaction((tx) => tx.rows(statement("test-close-table", "create table dispatcher (id uuid)")));
  const database = await WorkDatabase.open({ login: access.owner, log: quietLog, poolSize: 1 });
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const first = database.transaction(async (tx): Promise<void> => {
    await tx.run(insert, [ids[0]]);
    begun.resolve();
    await gate.promise;
    await tx.run(insert, [ids[1]]);
    throw new RangeError("planted: taken back");
  });
  await begun.promise;
  // It waits for the only connection.
  let isPastIt = false;
  const second = database
    .transaction((tx) => tx.run(insert, [ids[2]]))
    .catch(() => undefined)
    .finally(() => {
      isPastIt = true;
    });
  const closed = database.close();
  // Were it let in, it would have committed by now.
  await eventually("the second to get past the first", () => isPastIt, 1_000).catch(() => undefined);
  gate.resolve();
  const [outcome] = await Promise.allSettled([first]);
  await second;
  await closed;
  const rows = await owner.transaction((tx) =>
    tx.rows<{ id: string }>(statement("test-close-rows", "select id from dispatcher")),
  );
  await owner.close();
  assert.deepEqual(
    rows.filter(({ id }) => id !== ids[2]),
    [],
  );
  assert.match(String(outcome.status === "rejected" && outcome.reason), /planted/);
  await assert.rejects(
    database.transaction((tx) => tx.rows(insert, [ids[0]])),
    { code: "STORE_UNAVAILABLE" },
  );
});
