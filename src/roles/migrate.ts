import { parseArgs } from "node:util";
import { readMigrateConfig } from "../config/roles.js";
import { AssayError } from "../errors.js";
import { reasonOf } from "../log.js";
import { ensureLocalTenant } from "../store/keys.js";
import { migrate } from "../store/migrate.js";
import type { Life } from "./life.js";
import { migrationsFolder } from "./parts.js";

/** Brings the database up to this version and ends. */
export async function migrateRole(life: Life, args: readonly string[]): Promise<number> {
  const { keyFile } = readArguments(args);
  const { database } = readMigrateConfig(process.env);
  const migrated = await migrate(database, migrationsFolder());
  if (keyFile !== undefined) await ensureLocalTenant(database, keyFile);
  life.log("store").info("the database is up", { migrated: migrated.join(" ") });
  return 0;
}

/** `--key-file FILE` makes the tenant and project `local`, and a key to them in the file, unless they are there. */
function readArguments(args: readonly string[]): { readonly keyFile?: string } {
  try {
    const { values } = parseArgs({ args: [...args], options: { "key-file": { type: "string" } } });
    return values["key-file"] === undefined ? {} : { keyFile: values["key-file"] };
  } catch (error) {
    throw new AssayError("INVALID_INPUT", `wanted no argument but --key-file FILE, but got: ${reasonOf(error)}`);
  }
}
