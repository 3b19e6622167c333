import pg from "pg";
import { DataSource, type EntityManager } from "typeorm";
import { AssayError } from "../errors.js";
import { type Log, reasonOf } from "../log.js";
import { isConnectionFailure, isRetriable, isSilence } from "./failures.js";
import { Listener } from "./listener.js";
import { type Login, sourceSettings } from "./login.js";
import { checkSafety } from "./safety.js";
import { tables } from "./tables.js";
import { type Statement, Transaction } from "./transaction.js";

export type { Login } from "./login.js";
export { statement, Transaction } from "./transaction.js";

/** How a database handle is opened. */
export interface DatabaseOptions {
  readonly login: Login;
  readonly log: Log;
  /**
   * Without any answer for so long a connection is taken for dead, though nobody said so; the server ends a statement a little
   * sooner, so that one which is only slow is told apart. Default 20000 ms.
   */
  readonly answerMs?: number;
  /** Connections held at most. Default 8. */
  readonly poolSize?: number;
  /** Called after a commit that wrote outbox rows, so that a relay in this process need not wait for its next look. */
  readonly onOutbox?: () => void;
  /** True to notify relays in other processes too, on the channel `OUTBOX_CHANNEL`. Default false. */
  readonly notifyOutbox?: boolean;
}

/** Where relays listen for written outbox rows. */
export const OUTBOX_CHANNEL = "assay_outbox";

/** What a transaction does; it may run again from its start after a deadlock, so it must do nothing but use the database. */
export type Work<T> = (tx: Transaction) => Promise<T>;

/** The gateway's database: sees one tenant at a time, whatever a query forgets. */
export class AppDatabase {
  private constructor(private readonly pool: Pool) {}

  /** Connects as `assay_app` and checks that this role can see no more than it should. */
  static async open(options: DatabaseOptions): Promise<AppDatabase> {
    const database = new AppDatabase(await Pool.open(options));
    try {
      await database.withoutTenant(checkSafety);
      return database;
    } catch (error) {
      await database.close();
      throw error;
    }
  }

  /** One transaction in which only this tenant's rows exist. */
  withTenant<T>(tenantId: string, work: Work<T>): Promise<T> {
    return this.pool.transaction(work, tenantId);
  }

  /**
   * One statement that is a transaction of its own, and so takes one way to the server and back. It must name its tenant
   * itself, by `app.tenant`, before it touches a row: without that, no tenant's rows exist for it.
   */
  async single<Row extends pg.QueryResultRow>(wanted: Statement, values: readonly unknown[]): Promise<Row[]> {
    return this.pool.single<Row>(wanted, values);
  }

  /** Says that a single statement wrote outbox rows. */
  wroteOutbox(): void {
    this.pool.tellRelays();
  }

  /** One transaction in which no tenant's rows exist: for the look-up of a key, which comes before a tenant is known. */
  withoutTenant<T>(work: Work<T>): Promise<T> {
    return this.pool.transaction(work);
  }

  /** Closes every connection. */
  close(): Promise<void> {
    return this.pool.close();
  }
}

/** The database of relay, dispatcher and sweeps: sees the delivery tables of all tenants. */
export class WorkDatabase {
  private constructor(
    private readonly pool: Pool,
    private readonly login: Login,
    private readonly log: Log,
  ) {}

  /** Connects as `assay_work`. */
  static async open(options: DatabaseOptions): Promise<WorkDatabase> {
    return new WorkDatabase(await Pool.open(options), options.login, options.log);
  }

  /** One transaction. */
  transaction<T>(work: Work<T>): Promise<T> {
    return this.pool.transaction(work);
  }

  /**
   * Calls back at every notification of the channel, until `close` of the answer. The connection is made anew when it breaks;
   * notifications may be lost meanwhile, so whoever listens must look by itself now and then.
   */
  listen(channel: string, heard: () => void): Promise<{ close: () => Promise<void> }> {
    return asStoreFailure(() => Listener.open(this.login, { channel, heard, log: this.log }));
  }

  /** Closes every connection. */
  close(): Promise<void> {
    return this.pool.close();
  }
}

const DEADLOCK_TRIES = 4;
const ANSWER_MS = 20_000;

/** The connections of one role. It stays in this file: nobody can reach rows but through a transaction above. */
class Pool {
  private toNotify = false;
  private notifying: Promise<void> | undefined;
  private readonly atWork = new Set<Promise<unknown>>();
  private closed = false;

  private constructor(
    private readonly source: DataSource,
    private readonly options: DatabaseOptions,
  ) {}

  static async open(options: DatabaseOptions): Promise<Pool> {
    const { login, log, answerMs = ANSWER_MS } = options;
    const source = new DataSource({
      ...sourceSettings(login),
      poolSize: options.poolSize ?? 8,
      entities: [...tables],
      poolErrorHandler: (error) => log.warn("idle database connection broke", { reason: reasonOf(error) }),
      extra: {
        types: { getTypeParser },
        connectionTimeoutMillis: 10_000,
        idle_in_transaction_session_timeout: 60_000,
        statement_timeout: answerMs * 0.9,
        query_timeout: answerMs,
        keepAlive: true,
        // Statements are sent without waiting for the answers to those before them.
        pipeline: true,
      },
    });
    await asStoreFailure(() => source.initialize()).catch((error: unknown) => {
      throw refusedLogin(login, error);
    });
    return new Pool(source, options);
  }

  /** Runs the work in a transaction, again from its start when PostgreSQL chose it as the victim of a deadlock. */
  transaction<T>(work: Work<T>, tenantId?: string): Promise<T> {
    return this.patiently(async () => {
      const answer = await this.connected((client, manager) =>
        whole(client, this.options.log, async () => {
          // Not waited for: what is sent behind it arrives behind it.
          const opened = client.query(opening(client, tenantId));
          opened.catch(() => undefined); // told below
          const tx = new Transaction(client, manager);
          const given = await work(tx);
          await opened;
          await tx.committed;
          return { given, wroteOutbox: tx.wroteOutbox, isCommitted: tx.committed !== undefined };
        }),
      );
      if (answer.wroteOutbox) this.tellRelays();
      return answer.given;
    });
  }

  /** Runs one statement, which PostgreSQL commits by itself. */
  single<Row extends pg.QueryResultRow>(wanted: Statement, values: readonly unknown[]): Promise<Row[]> {
    return this.patiently(() =>
      this.connected(async (client) => (await client.query<Row>({ ...wanted, values: [...values] })).rows),
    );
  }

  private async patiently<T>(act: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await asStoreFailure(act);
      } catch (error) {
        if (!isRetriable(error) || tries === DEADLOCK_TRIES) throw error;
        this.options.log.warn("transaction runs again", { tries, reason: reasonOf(error) });
      }
    }
  }

  /** Begins nothing more, and closes the connections once what is at work on them has ended. */
  async close(): Promise<void> {
    this.closed = true;
    await this.notifying;
    // TypeORM would give connections that are in use to whoever waits for one: two transactions would become one.
    await Promise.allSettled(this.atWork);
    await this.source.destroy();
  }

  private connected<T>(act: (client: pg.ClientBase, manager: EntityManager) => Promise<T>): Promise<T> {
    if (this.closed) {
      throw new AssayError("STORE_UNAVAILABLE", "wanted the database, but its connections were closed");
    }
    const work = this.onConnection(act).finally(() => this.atWork.delete(work));
    this.atWork.add(work);
    return work;
  }

  private async onConnection<T>(act: (client: pg.ClientBase, manager: EntityManager) => Promise<T>): Promise<T> {
    const runner = this.source.createQueryRunner();
    try {
      const client: pg.Client = await runner.connect();
      return await act(client, runner.manager).catch(async (error: unknown) => {
        if (isSilence(error)) await hangUp(client);
        throw error;
      });
    } finally {
      await runner.release();
    }
  }

  /**
   * The notification is a statement of its own after the commit: within the transaction it would make all commits of the
   * server queue up. A lost one only costs until a relay's next look.
   */
  tellRelays(): void {
    this.options.onOutbox?.();
    if (this.options.notifyOutbox !== true) return;
    this.toNotify = true;
    this.notifying ??= this.notify().finally(() => {
      this.notifying = undefined;
    });
  }

  /** One notification serves all commits before it; those that come while it is on its way get the next one. */
  private async notify(): Promise<void> {
    while (this.toNotify) {
      this.toNotify = false;
      try {
        await this.source.query("select pg_notify($1, '')", [OUTBOX_CHANNEL]);
      } catch (error) {
        this.options.log.warn("relays were not notified", { reason: reasonOf(error) });
      }
    }
  }
}

/** The pool would hand a silent connection out again, and whoever got it would wait behind the answer that does not come. */
async function hangUp(client: pg.Client): Promise<void> {
  const ended = new Promise((resolve) => client.once("end", resolve));
  client.connection.stream.destroy();
  await ended; // then the pool has heard of it
}

/** Commits what the work did, or takes it back. */
async function whole<T extends { readonly isCommitted: boolean }>(
  client: pg.ClientBase,
  log: Log,
  work: () => Promise<T>,
): Promise<T> {
  try {
    const answer = await work();
    if (!answer.isCommitted) await client.query("commit");
    return answer;
  } catch (error) {
    if (isSilence(error)) throw error;
    // The first error says what happened; when this fails too, the connection is gone and with it the transaction.
    await client
      .query("rollback")
      .catch((second: unknown) => log.warn("rollback failed", { reason: reasonOf(second) }));
    throw error;
  }
}

/** Begins a transaction and names its tenant in one message: each way to the server and back counts. */
function opening(client: pg.ClientBase, tenantId: string | undefined): string {
  if (tenantId === undefined) return "begin";
  return `begin; select set_config('app.tenant', ${client.escapeLiteral(tenantId)}, true)`;
}

const INT8_OID = 20;

/** bigint columns here are sizes and sequences, all below 2^53, so they become numbers. */
function getTypeParser(oid: number, format?: "text" | "binary"): (value: string) => unknown {
  return oid === INT8_OID ? Number : pg.types.getTypeParser(oid, format === "binary" ? "text" : format);
}

/** A server that answers and lets nobody in: a wrong password, no such database, a certificate that is not to be trusted. */
function refusedLogin({ host, port, database, user }: Login, error: unknown): unknown {
  if (error instanceof AssayError) return error;
  const text = `wanted to log in to database ${database} at ${host}:${port} as ${user}, but got: ${reasonOf(error)}`;
  return new AssayError("SETUP_FAILED", text, { cause: error });
}

/** What the connection does to us becomes STORE_UNAVAILABLE; everything else passes as it is. */
async function asStoreFailure<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!isConnectionFailure(error)) throw error;
    throw new AssayError("STORE_UNAVAILABLE", "wanted the database, but it cannot be reached just now", {
      cause: error,
    });
  }
}
