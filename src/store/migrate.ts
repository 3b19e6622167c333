import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DataSource, type Logger, type MigrationInterface, type QueryRunner } from "typeorm";
import { sha256 } from "../domain/digest.js";
import { AssayError } from "../errors.js";
import { type Login, sourceSettings } from "./login.js";

/** A numbered SQL file. Once it ran anywhere it never changes; its checksum is kept in the database. */
export interface SqlFile {
  readonly name: string;
  readonly number: number;
  readonly sql: string;
  readonly sha256: string;
}

const FILE_NAME = /^(\d{4})-[a-z0-9-]+\.sql$/;

/**
 * Brings the database up to the newest of the folder's `NNNN-name.sql` files and gives the names of those that ran.
 * Each runs in a transaction of its own. Safe to call from many processes at once.
 * Throws CONFIG_INVALID when a file that ran here before has changed or is gone, or when a file is misnamed.
 */
export async function migrate(owner: Login, folder: string): Promise<string[]> {
  const files = readMigrations(folder);
  const source = new DataSource({
    ...sourceSettings(owner),
    migrationsTableName: "migration",
    logger: silent,
    migrations: files.map(migrationClass),
  });
  await source.initialize();
  const lock = source.createQueryRunner();
  try {
    await lock.query("select pg_advisory_lock(hashtext('assay migrations'))");
    await lock.query("create table if not exists migration_checksum (name text primary key, sha256 text not null)");
    const kept: { name: string; sha256: string }[] = await lock.query("select name, sha256 from migration_checksum");
    refuseChanged(files, new Map(kept.map((row) => [row.name, row.sha256])));
    const ran = await source.runMigrations({ transaction: "each" });
    return ran.map((migration) => migration.name.slice(0, -TIMESTAMP_DIGITS - 1));
  } finally {
    await lock.release();
    await source.destroy();
  }
}

/** The folder's migrations in the order of their numbers. */
export function readMigrations(folder: string): SqlFile[] {
  const files = readdirSync(folder)
    .sort()
    .map((file, index) => {
      const number = Number(FILE_NAME.exec(file)?.[1]);
      if (number !== index + 1) {
        const wanted = `${String(index + 1).padStart(4, "0")}-name.sql`;
        throw new AssayError("CONFIG_INVALID", `${folder}: wanted ${wanted} as file ${index + 1}, but got ${file}`);
      }
      const sql = readFileSync(join(folder, file), "utf8");
      return { name: file.replace(/\.sql$/, ""), number, sql, sha256: sha256(sql) };
    });
  if (files.length === 0) throw new AssayError("CONFIG_INVALID", `${folder}: wanted migrations, but it holds no files`);
  return files;
}

function refuseChanged(files: readonly SqlFile[], kept: ReadonlyMap<string, string>): void {
  const present = new Map(files.map((file) => [file.name, file.sha256]));
  for (const [name, digest] of kept) {
    const now = present.get(name);
    if (now === digest) continue;
    throw new AssayError(
      "CONFIG_INVALID",
      `migration ${name} ran here as ${digest}, but ${now === undefined ? "its file is gone" : `its file is now ${now}`}`,
    );
  }
}

/** What fails is thrown; TypeORM would print it as well. */
const silent: Logger = {
  logQuery: () => undefined,
  logQueryError: () => undefined,
  logQuerySlow: () => undefined,
  logSchemaBuild: () => undefined,
  logMigration: () => undefined,
  log: () => undefined,
};

/** TypeORM orders migrations by the last 13 digits of their names, which it takes for a time; ours is the file's number. */
const TIMESTAMP_DIGITS = 13;

function migrationClass(file: SqlFile): new () => MigrationInterface {
  return class implements MigrationInterface {
    readonly name = `${file.name}-${String(file.number).padStart(TIMESTAMP_DIGITS, "0")}`;

    async up(runner: QueryRunner): Promise<void> {
      await runner.query(file.sql).catch((cause: unknown) => {
        // Not the whole error: it repeats the file's text.
        const said = cause instanceof Error ? cause.message : String(cause);
        throw new AssayError("SETUP_FAILED", `migration ${file.name} failed: ${said}`);
      });
      await runner.query("insert into migration_checksum (name, sha256) values ($1, $2)", [file.name, file.sha256]);
    }

    down(): Promise<void> {
      return Promise.reject(new AssayError("SETUP_FAILED", `migration ${file.name} cannot be taken back`));
    }
  };
}
