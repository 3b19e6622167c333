import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { copyFileSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import pg from "pg";
import { transitions } from "../src/domain/run.js";
import { AppDatabase, statement, WorkDatabase } from "../src/store/database.js";
import { migrate } from "../src/store/migrate.js";
import { projectTable } from "../src/store/tables.js";
import { freshDatabase } from "./support/database.js";
import { migrationsFolder, quietLog, seedTenant } from "./support/store.js";

const tenants = [randomUUID(), randomUUID()] as const;
const projects = statement("test-projects", "select tenant_id from project");
const access = await freshDatabase();
await migrate(access.owner, migrationsFolder);
for (const tenant of tenants) await seedTenant(access, tenant);
const app = await AppDatabase.open({ login: access.app, log: quietLog });
after(() => app.close());

describe("the database keeps tenants apart", () => {
  it("shows a transaction the rows of its tenant and of no other", async () => {
    for (const tenant of tenants) {
      const rows = await app.withTenant(tenant, (tx) => tx.rows<{ tenant_id: string }>(projects));
      assert.deepEqual(rows, [{ tenant_id: tenant }]);
    }
  });

  it("shows nothing where no tenant was named, also after a transaction that named one", async () => {
    await app.withTenant(tenants[0], (tx) => tx.rows(projects));
    for (let i = 0; i < 10; i += 1) {
      assert.deepEqual(await app.withoutTenant((tx) => tx.rows(projects)), []);
    }
  });

  it("shows another tenant's row to no look-up by its id", async () => {
    const [row] = await app.withTenant(tenants[0], (tx) => tx.manager.find(projectTable));
    assert.equal(row?.tenantId, tenants[0]);
    const seen = await app.withTenant(tenants[1], (tx) => tx.manager.findOneBy(projectTable, { id: row?.id ?? "" }));
    assert.equal(seen, null);
  });
});

describe("what a role may not do, PostgreSQL refuses", () => {
  it("refuses to write a row of another tenant", async () => {
    const insert = statement(
      "test-foreign-artifact",
      "insert into artifact (tenant_id, sha256, size_bytes) values ($1, repeat('a', 64), $2)",
    );
    await assert.rejects(
      app.withTenant(tenants[0], (tx) => tx.run(insert, [tenants[1], 1])),
      { code: "42501" },
    );
  });

  it("changes nothing of what was asked for, nor any key", async () => {
    const work = await WorkDatabase.open({ login: access.work, log: quietLog });
    const columns = [
      "experiment set spec = '{}'",
      "experiment set created_by = id",
      "run set spec = ''",
      "run set digest = ''",
    ];
    for (const [i, change] of columns.entries()) {
      const update = statement(`test-change-${i}`, `update ${change}`);
      await assert.rejects(
        work.transaction((tx) => tx.run(update)),
        { code: "42501" },
        change,
      );
      await assert.rejects(
        app.withTenant(tenants[0], (tx) => tx.run(update)),
        { code: "42501" },
        change,
      );
    }
    const revive = statement("test-revive-key", "update api_key set revoked_at = null");
    await assert.rejects(
      app.withTenant(tenants[0], (tx) => tx.run(revive)),
      { code: "42501" },
    );
    const project = statement(
      "test-new-project",
      "insert into project (tenant_id, id, slug, name) values ($1, $1, 'y', 'y')",
    );
    await assert.rejects(
      app.withTenant(tenants[0], (tx) => tx.run(project, [tenants[0]])),
      { code: "42501" },
    );
    await work.close();
  });

  it("gives a single statement no tenant but the one that it names", async () => {
    assert.deepEqual(await app.single(projects, []), []);
    await app.withTenant(tenants[0], (tx) => tx.rows(projects));
    assert.deepEqual(await app.single(projects, []), []);
  });

  it("checks rows against a tenant that the same statement sets", async () => {
    const insert = statement(
      "test-cte-artifact",
      `with tenant as (select set_config('app.tenant', $1, true))
       insert into artifact (tenant_id, sha256, size_bytes) select $2, repeat('b', 64), $3 from tenant`,
    );
    const written = await app.withoutTenant((tx) => tx.run(insert, [tenants[0], tenants[0], 1]));
    assert.equal(written, 1);
    await assert.rejects(
      app.withoutTenant((tx) => tx.run(insert, [tenants[0], tenants[1], 1])),
      { code: "42501" },
    );
  });

  it("gives the work role no data sets, models or projects", async () => {
    const work = await WorkDatabase.open({ login: access.work, log: quietLog });
    for (const table of ["project", "model", "dataset", "dataset_version", "dataset_upload", "idempotency"]) {
      await assert.rejects(
        work.transaction((tx) => tx.rows(statement(`test-work-${table}`, `select 1 from ${table}`))),
        { code: "42501" },
        table,
      );
    }
    await work.close();
  });

  it("finds a key by its public id before a tenant is known, and nothing else of the table", async () => {
    const find = statement("test-find-key", "select tenant_id, scopes from find_api_key($1)");
    const publicId = `pub-${tenants[0]}`;
    const rows = await app.withoutTenant((tx) => tx.rows(find, [publicId]));
    assert.deepEqual(rows, [{ tenant_id: tenants[0], scopes: ["READ", "SUBMIT"] }]);
    assert.deepEqual(await app.withoutTenant((tx) => tx.rows(statement("test-keys", "select 1 from api_key"))), []);
  });
});

const faults: readonly (readonly [string, string, string, RegExp])[] = [
  ["a view with its owner's rights", "create view hole as select * from project", "drop view hole", /view hole/],
  [
    "an unlisted definer function",
    "create function peek() returns bigint language sql security definer as 'select count(*) from project'",
    "drop function peek()",
    /function peek\(\)/,
  ],
  [
    "a table whose row-level security is not forced",
    "create table loose (tenant_id uuid); alter table loose enable row level security",
    "drop table loose",
    /table loose/,
  ],
  [
    "a table without row-level security",
    "alter table project no force row level security; alter table project disable row level security",
    "alter table project force row level security; alter table project enable row level security",
    /table project/,
  ],
  [
    "a role that may create objects",
    "grant create on schema public to assay_app",
    "revoke create on schema public from assay_app",
    /may create/,
  ],
];

describe("start-up check", () => {
  for (const [what, plant, undo, said] of faults) {
    it(`refuses ${what}`, async () => {
      const owner = new pg.Client(access.owner);
      await owner.connect();
      try {
        await owner.query(plant);
        await assert.rejects(AppDatabase.open({ login: access.app, log: quietLog }), said);
      } finally {
        await owner.query(undo);
        await owner.end();
      }
      await (await AppDatabase.open({ login: access.app, log: quietLog })).close();
    });
  }

  it("refuses the owner of the tables", async () => {
    await assert.rejects(AppDatabase.open({ login: access.owner, log: quietLog }), /owns/);
  });
});

describe("the mapping of tables", () => {
  it("has a column for every mapped field, and the migrations' transitions are the domain's", async () => {
    const access = await freshDatabase();
    await migrate(access.owner, migrationsFolder);
    const app = await AppDatabase.open({ login: access.app, log: quietLog });
    const { tables } = await import("../src/store/tables.js");
    await app.withTenant(randomUUID(), async (tx) => {
      for (const table of tables) assert.deepEqual(await tx.manager.find(table), []);
    });
    const all = statement("test-transitions", "select from_state, to_state from run_transition order by 1, 2");
    const stored = await app.withoutTenant((tx) => tx.rows<{ from_state: string; to_state: string }>(all));
    const planned = Object.entries(transitions).flatMap(([from, list]) => list.map((to) => `${from} ${to}`));
    assert.deepEqual(stored.map((row) => `${row.from_state} ${row.to_state}`).sort(), planned.sort());
    await app.close();
  });
});

describe("migrations", () => {
  it("run once, also when several processes start together", async () => {
    const access = await freshDatabase();
    const ran = await Promise.all([1, 2, 3].map(() => migrate(access.owner, migrationsFolder)));
    const names = ran.flat();
    assert.equal(new Set(names).size, names.length);
    assert.equal(names[0], "0001-foundation");
    assert.deepEqual(await migrate(access.owner, migrationsFolder), []);
  });

  it("refuse a file that changed after it ran, one that is gone and one that is misnamed", async () => {
    const access = await freshDatabase();
    const folder = mkdtempSync(join(tmpdir(), "assay-migrations-"));
    const first = join(folder, "0001-one.sql");
    writeFileSync(first, "create table one (n int);");
    assert.deepEqual(await migrate(access.owner, folder), ["0001-one"]);
    writeFileSync(first, "create table one (n bigint);");
    await assert.rejects(migrate(access.owner, folder), {
      code: "CONFIG_INVALID",
      message: /0001-one ran here as .* is now/,
    });
    writeFileSync(first, "create table one (n int);");
    copyFileSync(first, join(folder, "0003-three.sql"));
    await assert.rejects(migrate(access.owner, folder), { code: "CONFIG_INVALID", message: /wanted 0002-name.sql/ });
    const empty = mkdtempSync(join(tmpdir(), "assay-migrations-"));
    writeFileSync(join(empty, "0001-other.sql"), "select 1;");
    await assert.rejects(migrate(access.owner, empty), { message: /its file is gone/ });
  });

  it("leave nothing of a file that fails", async () => {
    const access = await freshDatabase();
    const folder = mkdtempSync(join(tmpdir(), "assay-migrations-"));
    writeFileSync(join(folder, "0001-half.sql"), "create table half (n int); select 1 / 0;");
    await assert.rejects(migrate(access.owner, folder), /division by zero/);
    writeFileSync(join(folder, "0001-half.sql"), "create table half (n int);");
    assert.deepEqual(await migrate(access.owner, folder), ["0001-half"]);
  });
});

describe("a database that cannot be reached", () => {
  it("is STORE_UNAVAILABLE, at start and later", async () => {
    const access = await freshDatabase();
    await migrate(access.owner, migrationsFolder);
    const wrong = { ...access.app, port: 1 };
    await assert.rejects(AppDatabase.open({ login: wrong, log: quietLog }), { code: "STORE_UNAVAILABLE" });
    const app = await AppDatabase.open({ login: access.app, log: quietLog });
    const cut = statement("test-cut", "select pg_terminate_backend(pg_backend_pid())");
    await assert.rejects(
      app.withoutTenant((tx) => tx.rows(cut)),
      { code: "STORE_UNAVAILABLE" },
    );
    assert.deepEqual(await app.withoutTenant((tx) => tx.rows(statement("test-one", "select 1 as one"))), [{ one: 1 }]);
    await app.close();
  });
});
