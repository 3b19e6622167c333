import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { statement, WorkDatabase } from "../src/store/database.js";
import { TcpProxy } from "./faults/tcp-proxy.js";
import { freshDatabase } from "./support/database.js";
import { quietLog } from "./support/store.js";

const access = await freshDatabase();
const one = statement("test-one", "select 1 as one");
const asleep = statement("test-sleep", "select pg_sleep(60)");

/** A database behind a link that can be torn; it waits for an answer for half a second. */
async function torn(): Promise<{ link: TcpProxy; database: WorkDatabase }> {
  const link = await TcpProxy.start(access.work);
  const login = { ...access.work, port: link.port };
  const database = await WorkDatabase.open({ login, log: quietLog, poolSize: 2, answerMs: 500 });
  after(async () => {
    await database.close();
    await link.close();
  });
  return { link, database };
}

describe("a database that stops to answer", () => {
  it("is found out though its connections stay open, and every connection is made anew", async () => {
    const { link, database } = await torn();
    const look = (): Promise<unknown> => database.transaction((tx) => tx.rows(one));
    await Promise.all([look(), look()]);
    link.halfOpen();
    const silent = await Promise.allSettled([look(), look()]);
    for (const outcome of silent) {
      assert.equal(outcome.status, "rejected");
      assert.equal(outcome.reason.code, "STORE_UNAVAILABLE");
    }
    assert.deepEqual(await Promise.all([look(), look()]), [[{ one: 1 }], [{ one: 1 }]]);
  });

  it("is told from one that is only slow: the server ends the statement and the connection stays", async () => {
    const { link, database } = await torn();
    await database.transaction((tx) => tx.rows(one));
    const before = link.connections;
    await assert.rejects(
      database.transaction((tx) => tx.rows(asleep)),
      { code: "STORE_UNAVAILABLE" },
    );
    assert.equal(link.connections, before);
    assert.deepEqual(await database.transaction((tx) => tx.rows(one)), [{ one: 1 }]);
  });
});
