import { randomUUID } from "node:crypto";
import { after } from "node:test";
import pg from "pg";
import type { Caller } from "../../src/domain/tenant.js";
import { AppDatabase, WorkDatabase } from "../../src/store/database.js";
import { migrate } from "../../src/store/migrate.js";
import { freshDatabase, type TestAccess } from "./database.js";
import { migrationsFolder, quietLog, seedTenant } from "./store.js";

/** A migrated database with one tenant and both handles, for a test file. */
export interface TestDatabases {
  readonly access: TestAccess;
  readonly app: AppDatabase;
  readonly work: WorkDatabase;
  readonly caller: Caller;
  /** Makes another tenant. */
  readonly newTenant: () => Promise<Caller>;
  /** Runs any SQL as the work role and gives its rows: how tests look at what is stored. */
  readonly query: <Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]) => Promise<Row[]>;
}

/** Opens them; everything is closed after the file's last test. */
export async function testDatabases(onOutbox?: () => void): Promise<TestDatabases> {
  const access = await freshDatabase();
  await migrate(access.owner, migrationsFolder);
  const hooks = onOutbox === undefined ? {} : { onOutbox };
  const app = await AppDatabase.open({ login: access.app, log: quietLog, ...hooks });
  const work = await WorkDatabase.open({ login: access.work, log: quietLog, ...hooks });
  let isBroken = false;
  let client = await connect();
  async function connect(): Promise<pg.Client> {
    const made = new pg.Client(access.work);
    made.on("error", () => undefined); // told by the query that it breaks
    made.on("end", () => {
      isBroken = true;
    });
    await made.connect();
    isBroken = false;
    return made;
  }
  const newTenant = (): Promise<Caller> => seedTenant(access, randomUUID());
  after(async () => {
    await app.close();
    await work.close();
    await client.end();
  });
  // One connection, one statement at a time: a test may begin a transaction here and roll it back.
  let last: Promise<unknown> = Promise.resolve();
  const query: TestDatabases["query"] = <Row extends pg.QueryResultRow>(
    text: string,
    values: readonly unknown[] = [],
  ) => {
    const next = last.then(async () => {
      if (isBroken) client = await connect();
      return client.query<Row>(text, [...values]);
    });
    last = next.catch(() => undefined); // told to whoever asked
    return next.then((result) => result.rows);
  };
  return { access, app, work, caller: await newTenant(), newTenant, query };
}
