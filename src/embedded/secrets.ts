import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AssayError } from "../errors.js";

/** Names of the database roles that the service logs in as, and of the one that makes them. */
export const roleNames = ["assay_admin", "assay_owner", "assay_app", "assay_work"] as const;

/** One of the database roles. */
export type RoleName = (typeof roleNames)[number];

/** Password by role. */
export type Passwords = Readonly<Record<RoleName, string>>;

/** The passwords of a data folder's database: made at the first call, read from `secrets/postgres.json` (mode 600) afterwards. */
export function databasePasswords(dataDir: string): Passwords {
  const folder = join(dataDir, "secrets");
  const file = join(folder, "postgres.json");
  const kept = read(file);
  if (kept !== undefined) return kept;
  const password = (): string => randomBytes(24).toString("hex");
  const made: Passwords = {
    assay_admin: password(),
    assay_owner: password(),
    assay_app: password(),
    assay_work: password(),
  };
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // Written whole under another name first: half a file would lock the service out of its own database.
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(made, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, file);
  return made;
}

function read(file: string): Passwords | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new AssayError("SETUP_FAILED", `${file}: wanted the database passwords, but the file cannot be read`, {
      cause: error,
    });
  }
  const parsed: unknown = JSON.parse(text);
  if (isPasswords(parsed)) return parsed;
  throw new AssayError(
    "SETUP_FAILED",
    `${file}: wanted one password for each of ${roleNames.join(", ")}, but got something else`,
  );
}

function isPasswords(value: unknown): value is Passwords {
  if (typeof value !== "object" || value === null) return false;
  const entries = new Map<string, unknown>(Object.entries(value));
  return roleNames.every((name) => /^[0-9a-f]{48}$/.test(String(entries.get(name))));
}
