import { realpathSync } from "node:fs";
import pg from "pg";
import { type Passwords, type RoleName, roleNames } from "./secrets.js";

/** Settings of one login. */
export interface Connection {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
}

const host = "127.0.0.1";

/** A running server, seen through its administrator. */
export class Cluster {
  constructor(
    private readonly port: number,
    private readonly passwords: Passwords,
  ) {}

  /** Whether the server at the port takes our administrator's password and keeps its data in this folder. */
  static async serves(port: number, adminPassword: string, folder: string): Promise<boolean> {
    const client = new pg.Client({ host, port, database: "postgres", user: "assay_admin", password: adminPassword });
    client.on("error", () => undefined); // a connection that drops is told by the query below
    try {
      await client.connect();
      const { rows } = await client.query<{ folder: string }>("select current_setting('data_directory') as folder");
      return rows[0]?.folder === realpathSync(folder);
    } catch {
      return false;
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** Settings for a login of this role. */
  connection(role: RoleName, database: string): Connection {
    return { host, port: this.port, database, user: role, password: this.passwords[role] };
  }

  /** Makes the service's roles where they are missing and sets their passwords and rights. */
  async makeRoles(): Promise<void> {
    await this.asAdmin("postgres", async (client) => {
      // Two services that start at once on one data folder must not both find a role missing.
      await client.query("select pg_advisory_lock(hashtext('assay roles'))");
      const known = await client.query<{ rolname: string }>("select rolname from pg_roles where rolname = any($1)", [
        roleNames,
      ]);
      const names = new Set(known.rows.map((row) => row.rolname));
      for (const role of roleNames.filter((name) => name !== "assay_admin")) {
        const verb = names.has(role) ? "alter" : "create";
        const rights = "login nosuperuser nocreatedb nocreaterole nobypassrls noreplication";
        await client.query(`${verb} role ${role} ${rights} password ${client.escapeLiteral(this.passwords[role])}`);
      }
      // Migrations hand the key look-up over to assay_work; for that, and no more, the owner may become it.
      await client.query("grant assay_work to assay_owner with inherit false, set true");
    });
  }

  /** Makes a database owned by `assay_owner` that only our roles may enter, unless it is there. */
  async makeDatabase(name: string): Promise<void> {
    await this.asAdmin("postgres", async (client) => {
      await client.query("select pg_advisory_lock(hashtext('assay database'))");
      const found = await client.query("select 1 from pg_database where datname = $1", [name]);
      if (found.rowCount !== 0) return;
      const database = client.escapeIdentifier(name);
      await client.query(`create database ${database} owner assay_owner`);
      await client.query(`revoke all on database ${database} from public`);
      await client.query(`grant connect on database ${database} to assay_app, assay_work`);
    });
  }

  /** Drops a database, with its connections. */
  async dropDatabase(name: string): Promise<void> {
    await this.asAdmin("postgres", async (client) => {
      await client.query(`drop database if exists ${client.escapeIdentifier(name)} with (force)`);
    });
  }

  private async asAdmin(database: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
    const client = new pg.Client(this.connection("assay_admin", database));
    client.on("error", () => undefined); // told by the query that it breaks
    await client.connect();
    try {
      await work(client);
    } finally {
      await client.end();
    }
  }
}
