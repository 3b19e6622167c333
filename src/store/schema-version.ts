import { AssayError } from "../errors.js";
import { readMigrations } from "./migrate.js";
import { statement, type Transaction } from "./transaction.js";

// Before the migration that grants it, nobody but the owner may read the table; a database without any does not have it.
const readable = statement(
  "schema-readable",
  "select coalesce(has_table_privilege(to_regclass('migration_checksum'), 'select'), false) as readable",
);
const applied = statement("schema-applied", "select name, sha256 from migration_checksum order by name");

/**
 * Throws SETUP_FAILED unless the database has run exactly the folder's migrations, so that no role works on tables that it
 * was not written for.
 */
export async function requireSchema(tx: Transaction, folder: string): Promise<void> {
  const files = readMigrations(folder);
  const wanted = files.at(-1)?.name ?? "";
  const refuse = (came: string): never => {
    throw new AssayError("SETUP_FAILED", `wanted a database at migration ${wanted}, but ${came}`);
  };
  const [row] = await tx.rows<{ readable: boolean }>(readable);
  const ran = row?.readable === true ? await tx.rows<{ name: string; sha256: string }>(applied) : [];
  const missing = files.find((file) => ran.every(({ name }) => name !== file.name));
  if (missing !== undefined) refuse(`${missing.name} has not run there: "assay migrate" brings it up`);
  const newer = ran.find(({ name }) => files.every((file) => file.name !== name));
  if (newer !== undefined) refuse(`${newer.name} has run there too: it belongs to a newer version of Assay`);
  const changed = files.find((file) => ran.some(({ name, sha256 }) => name === file.name && sha256 !== file.sha256));
  if (changed !== undefined)
    refuse(`${changed.name} ran there with another text: it belongs to another version of Assay`);
}
