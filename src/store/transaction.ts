import type pg from "pg";
import type { EntityManager } from "typeorm";

/** A statement that PostgreSQL prepares once per connection. Names are unique in the process. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

/** Names a statement, so that each connection prepares it once. */
export function statement(name: string, text: string): Statement {
  return { name, text };
}

/** One open transaction. Every function of the store takes it first. */
export class Transaction {
  /** Whether the outbox got rows, for which the relay is woken after the commit. */
  wroteOutbox = false;

  /** The commit, where it was sent with the last statement. */
  committed: Promise<unknown> | undefined;

  constructor(
    private readonly client: pg.ClientBase,
    /** Reads through the mapping of `tables.ts`. */
    readonly manager: EntityManager,
  ) {}

  /** Runs a prepared statement and gives its rows as PostgreSQL names their columns. */
  async rows<Row extends pg.QueryResultRow>(wanted: Statement, values: readonly unknown[] = []): Promise<Row[]> {
    return (await this.client.query<Row>({ ...wanted, values: [...values] })).rows;
  }

  /**
   * As `rows`, for the transaction's last statement: the commit is sent with it, and so takes no way to the server of its own.
   * Where the statement fails, PostgreSQL makes a rollback of it.
   */
  lastRows<Row extends pg.QueryResultRow>(wanted: Statement, values: readonly unknown[] = []): Promise<Row[]> {
    const rows = this.rows<Row>(wanted, values);
    this.committed = this.client.query("commit");
    this.committed.catch(() => undefined); // told by whoever opened the transaction
    return rows;
  }

  /** Runs a prepared statement and gives how many rows it touched. */
  async run(wanted: Statement, values: readonly unknown[] = []): Promise<number> {
    return (await this.client.query({ ...wanted, values: [...values] })).rowCount ?? 0;
  }
}
