import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import pg from "pg";
import { type DatabaseAccess, EmbeddedPostgres } from "../src/embedded/postgres.js";
import type { Connection } from "../src/embedded/postgres-cluster.js";

async function query<Row extends pg.QueryResultRow>(login: Connection, sql: string): Promise<Row[]> {
  const client = new pg.Client({ ...login });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

function postmasterPid(dataDir: string): number {
  return Number(readFileSync(join(dataDir, "postgres", "postmaster.pid"), "utf8").split("\n")[0]);
}

describe("the embedded PostgreSQL", () => {
  const dataDir = mkdtempSync(join(tmpdir(), "assay-postgres-"));
  let server: EmbeddedPostgres;
  let access: DatabaseAccess;

  before(async () => {
    server = await EmbeddedPostgres.start({ dataDir });
    access = server.access();
  });
  after(async () => {
    await server.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  it("gives three roles, none of which may do more than its part", async () => {
    for (const login of [access.owner, access.app, access.work]) {
      const [role] = await query<Record<string, boolean>>(
        login,
        "select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication from pg_roles where rolname = current_user",
      );
      assert.deepEqual(role, {
        rolsuper: false,
        rolbypassrls: false,
        rolcreaterole: false,
        rolcreatedb: false,
        rolreplication: false,
      });
    }
    await query(access.owner, "create table belongings (id int)");
    await assert.rejects(query(access.app, "create table intruder (id int)"), { code: "42501" });
    await assert.rejects(query(access.app, "select * from belongings"), { code: "42501" });
    await query(access.owner, "drop table belongings");
  });

  it("keeps what was committed through a power cut: fsync, full pages and synchronous commits are on", async () => {
    const rows = await query<{ setting: string }>(
      access.app,
      "select setting from pg_settings where name in ('fsync', 'full_page_writes', 'synchronous_commit')",
    );
    assert.deepEqual(
      rows.map(({ setting }) => setting),
      ["on", "on", "on"],
    );
  });

  it("listens on the loopback address alone and refuses a wrong password", async () => {
    const [listen] = await query<{ setting: string }>(
      access.app,
      "select setting from pg_settings where name = 'listen_addresses'",
    );
    assert.equal(listen?.setting, "127.0.0.1");
    await assert.rejects(query({ ...access.app, password: "guess" }, "select 1"), { code: "28P01" });
  });

  it("keeps its passwords where only the owner of the data folder can read them", () => {
    assert.equal(statSync(join(dataDir, "secrets")).mode & 0o777, 0o700);
    assert.equal(statSync(join(dataDir, "secrets", "postgres.json")).mode & 0o777, 0o600);
    assert.equal(statSync(join(dataDir, "postgres")).mode & 0o077, 0);
    assert.ok(!existsSync(join(dataDir, "postgres.password")));
  });

  it("is adopted by a second start while it lives", async () => {
    const pid = postmasterPid(dataDir);
    const second = await EmbeddedPostgres.start({ dataDir });
    assert.equal(second.adopted, true);
    assert.equal(postmasterPid(dataDir), pid);
    assert.deepEqual(second.access(), access);
  });

  it("outlives a service that is killed, and the next one adopts it", async () => {
    await server.stop();
    const killed = spawn(process.execPath, [join(import.meta.dirname, "support", "start-postgres.js"), dataDir], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(killed.stdout, "data");
    const pid = postmasterPid(dataDir);
    killed.kill("SIGKILL");
    await once(killed, "exit");
    server = await EmbeddedPostgres.start({ dataDir });
    access = server.access();
    assert.equal(server.adopted, true);
    assert.equal(postmasterPid(dataDir), pid);
    assert.deepEqual(await query(access.app, "select 1 as one"), [{ one: 1 }]);
  });

  it("recovers what was committed after its processes were killed", async () => {
    await query(access.owner, "create table kept (id int)");
    await query(access.owner, "insert into kept values (7)");
    process.kill(postmasterPid(dataDir), "SIGKILL");
    server = await EmbeddedPostgres.start({ dataDir });
    access = server.access();
    assert.equal(server.adopted, false);
    assert.deepEqual(await query(access.owner, "select id from kept"), [{ id: 7 }]);
  });

  it("starts over a pid file whose pid is another program's by now", async () => {
    await server.stop();
    const stale = [process.pid, join(dataDir, "postgres"), 1, 1, "", "127.0.0.1", "", "ready"].join("\n");
    writeFileSync(join(dataDir, "postgres", "postmaster.pid"), `${stale}\n`);
    server = await EmbeddedPostgres.start({ dataDir });
    access = server.access();
    assert.equal(server.adopted, false);
    assert.notEqual(postmasterPid(dataDir), process.pid);
  });

  it("says which file it could not use when the passwords are damaged", async () => {
    const other = mkdtempSync(join(tmpdir(), "assay-postgres-"));
    const broken = await EmbeddedPostgres.start({ dataDir: other, durable: false });
    await broken.stop();
    const file = join(other, "secrets", "postgres.json");
    writeFileSync(file, '{"assay_admin":""}');
    await assert.rejects(EmbeddedPostgres.start({ dataDir: other }), {
      code: "SETUP_FAILED",
      message: new RegExp(file),
    });
    rmSync(other, { recursive: true, force: true });
  });
});
