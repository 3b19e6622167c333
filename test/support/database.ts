import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { type DatabaseAccess, EmbeddedPostgres } from "../../src/embedded/postgres.js";
import { databasePasswords } from "../../src/embedded/secrets.js";

/** Settings of the logins of a test's database, the administrator's among them. */
export interface TestAccess extends DatabaseAccess {
  /** Sees and may do everything: how tests look at all tenants at once, and how they plant what must not be. */
  readonly admin: DatabaseAccess["owner"];
}

/** Names the data folder of a server that `run-with-postgres` keeps for the whole test run. */
export const sharedServerVariable = "ASSAY_TEST_POSTGRES";

/** Starts a PostgreSQL server in a new folder under the system's temporary one; `end` stops and removes it. */
export async function temporaryServer(): Promise<{
  server: EmbeddedPostgres;
  dataDir: string;
  end: () => Promise<void>;
}> {
  const dataDir = mkdtempSync(join(tmpdir(), "assay-test-"));
  const server = await EmbeddedPostgres.start({ dataDir, durable: false });
  const end = async (): Promise<void> => {
    await server.stop();
    rmSync(dataDir, { recursive: true, force: true });
  };
  return { server, dataDir, end };
}

/**
 * An empty database for the calling test file, dropped after its last test. The server is the test run's, or one of its
 * own where the file is run by itself. Call it at the top of the file: in a hook, the end of the hook would be the end of it.
 */
export async function freshDatabase(): Promise<TestAccess> {
  const { access, drop } = await openDatabase();
  after(drop);
  return access;
}

/** As `freshDatabase`, for programs that are no tests: whoever opens it drops it. */
export async function openDatabase(): Promise<{ access: TestAccess; drop: () => Promise<void> }> {
  const shared = process.env[sharedServerVariable];
  const name = `test_${randomBytes(6).toString("hex")}`;
  if (shared === undefined) {
    const { server, dataDir, end } = await temporaryServer();
    await server.createDatabase(name);
    return { access: withAdmin(server.access(name), dataDir), drop: end };
  }
  const server = await EmbeddedPostgres.start({ dataDir: shared, durable: false });
  await server.createDatabase(name);
  return { access: withAdmin(server.access(name), shared), drop: () => server.dropDatabase(name) };
}

function withAdmin(access: DatabaseAccess, dataDir: string): TestAccess {
  return {
    ...access,
    admin: { ...access.owner, user: "assay_admin", password: databasePasswords(dataDir).assay_admin },
  };
}
