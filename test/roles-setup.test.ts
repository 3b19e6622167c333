import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import pg from "pg";
import { AssayClient } from "../clients/typescript/index.js";
import { projectFolder } from "../src/embedded/project.js";
import { Authority } from "./support/certificates.js";
import { statementsOf, TlsServer } from "./support/plain-postgres.js";
import { Processes, statusOf, type TestProcess } from "./support/processes.js";

const folder = mkdtempSync(join(tmpdir(), "assay-roles-setup-"));
const logs = join(folder, "logs");
mkdirSync(logs);
const processes = new Processes(logs);
const authority = new Authority("Test authority");
const ca = join(folder, "ca.pem");
writeFileSync(ca, authority.cert);
const passwords = { owner: "canary-owner", app: "canary-app", work: "canary-work" } as const;
const keyFile = join(folder, "key");
let server: TlsServer;

after(async () => {
  await processes.close();
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

let made = 0;
const role = (name: string, env: Readonly<Record<string, string>>, args: readonly string[] = []): TestProcess => {
  made += 1;
  return processes.make({
    name: `${name}-${made}`,
    args: () => [join(projectFolder(), "dist", "src", "assay.js"), name, ...args],
    env: () => ({
      ASSAY_DATABASE_HOST: "localhost",
      ASSAY_DATABASE_PORT: String(server.port),
      ASSAY_DATABASE_TLS: "true",
      ASSAY_DATABASE_TLS_CA: ca,
      ASSAY_KAFKA_BROKERS: "127.0.0.1:1",
      ASSAY_PODS: "127.0.0.1:1",
      ASSAY_DATA_DIR: join(folder, "data"),
      ASSAY_HEALTH_PORT: "0",
      ASSAY_PORT: "0",
      ...env,
    }),
  });
};
const password = (name: keyof typeof passwords): Record<string, string> => ({
  [`ASSAY_DATABASE_${name.toUpperCase()}_PASSWORD`]: passwords[name],
});

/** Runs a role that is to end by itself and gives its exit code and what it said. */
async function outcome(process: TestProcess): Promise<{ code: number | null; said: string }> {
  const { code } = await process.launch().whenEnded();
  return { code, said: process.said() };
}

describe("a PostgreSQL of one's own that is reached over TLS", () => {
  before(async () => {
    server = await TlsServer.start(join(folder, "postgres"), authority.issue({ names: ["localhost"] }));
    const admin = new pg.Client({ ...server.admin, ssl: { ca: authority.cert.toString(), host: "localhost" } });
    await admin.connect();
    try {
      for (const statement of statementsOf(join(projectFolder(), "deploy", "postgres", "roles.sql"))) {
        await admin.query(statement);
      }
      for (const [name, text] of Object.entries(passwords))
        await admin.query(`alter role assay_${name} password '${text}'`);
    } finally {
      await admin.end();
    }
  });

  it("is refused by every role before assay migrate has run, in words that say so", async () => {
    for (const [name, env] of [
      ["gateway", password("app")],
      ["relay", password("work")],
      ["dispatcher", password("work")],
    ] as const) {
      const { code, said } = await outcome(role(name, env));
      assert.equal(code, 69, said);
      assert.match(
        said,
        /wanted a database at migration \d{4}-[\w-]+, but 0001-foundation has not run there: \\"assay migrate\\" brings it up/,
      );
    }
  });

  it("is brought up by assay migrate, which makes a first key and may run again", async () => {
    for (const ran of [/"migrated":"0001-foundation 0002-/, /"migrated":""/]) {
      const { code, said } = await outcome(role("migrate", password("owner"), ["--key-file", keyFile]));
      assert.equal(code, 0, said);
      assert.match(said, ran);
    }
    assert.equal(statSync(keyFile).mode & 0o777, 0o600);
  });

  it("serves every role once it is up, each with its own login, from a variable or a file", async () => {
    const file = join(folder, "app-password");
    writeFileSync(file, `${passwords.app}\n`);
    const gateway = role("gateway", { ASSAY_DATABASE_APP_PASSWORD_FILE: file });
    await (await gateway.start()).ready();
    const client = new AssayClient({ url: gateway.where.url ?? "", key: readFileSync(keyFile, "utf8").trim() });
    assert.equal((await client.project()).name, "local");
    for (const name of ["relay", "dispatcher"]) {
      const process = await role(name, password("work")).start();
      assert.equal(await statusOf(`${process.where.url}/healthz`), 200);
      // There are no brokers: it works, and says that it is not ready.
      const answer = await fetch(`${process.where.url}/readyz`);
      assert.equal(answer.status, 503);
      assert.deepEqual(await answer.json(), {
        status: "not ready",
        checks: { database: true, bus: false, looks: true },
      });
      assert.deepEqual(await process.terminate(), { code: 0, signal: null });
    }
    assert.deepEqual(await gateway.terminate(), { code: 0, signal: null });
  });

  const refusals: readonly (readonly [string, Record<string, string>, RegExp])[] = [
    [
      "with another password",
      { ASSAY_DATABASE_APP_PASSWORD: "wrong" },
      /as assay_app, but got: .*password authentication failed/,
    ],
    [
      "of another authority",
      { ASSAY_DATABASE_TLS_CA: join(folder, "stranger.pem") },
      /as assay_app, but got: .*certificate/,
    ],
    [
      "by a name that its certificate is not for",
      { ASSAY_DATABASE_HOST: "127.0.0.1" },
      /as assay_app, but got: .*does not match certificate/,
    ],
    [
      "without TLS",
      { ASSAY_DATABASE_TLS: "false", ASSAY_DATABASE_TLS_CA: "" },
      /as assay_app, but got: .*no encryption/,
    ],
    ["by a name of no database", { ASSAY_DATABASE_NAME: "nowhere" }, /database nowhere at .* as assay_app, but got/],
  ];
  for (const [how, env, reason] of refusals) {
    it(`is not entered ${how}`, async () => {
      writeFileSync(join(folder, "stranger.pem"), new Authority("Another authority").cert);
      const { code, said } = await outcome(role("gateway", { ...password("app"), ...env }));
      assert.equal(code, 69, said);
      assert.match(said, reason);
      assert.doesNotMatch(said, /canary/);
    });
  }

  it("is refused when it is of another version", async () => {
    const owner = new pg.Client({
      ...server.login("assay_owner", passwords.owner),
      ssl: { ca: authority.cert.toString(), host: "localhost" },
    });
    await owner.connect();
    try {
      await owner.query("insert into migration_checksum values ('9999-later', 'x')");
      const later = await outcome(role("relay", password("work")));
      assert.match(later.said, /9999-later has run there too: it belongs to a newer version of Assay/);
      await owner.query("delete from migration_checksum where name = '9999-later'");
      await owner.query("update migration_checksum set sha256 = 'x' where name = '0001-foundation'");
      const other = await outcome(role("relay", password("work")));
      assert.match(other.said, /0001-foundation ran there with another text/);
    } finally {
      await owner.end();
    }
  });
});

describe("a role", () => {
  it("refuses the password of another login: what it does not hold, it cannot lose", async () => {
    const cases = [
      ["gateway", ["app"], ["work", "owner"]],
      ["relay", ["work"], ["app", "owner"]],
      ["dispatcher", ["work"], ["app", "owner"]],
      ["migrate", ["owner"], ["app", "work"]],
    ] as const;
    for (const [name, own, others] of cases) {
      for (const other of others) {
        const { code, said } = await outcome(role(name, { ...password(own[0]), ...password(other) }));
        assert.equal(code, 78, said);
        assert.match(said, new RegExp(`ASSAY_DATABASE_${other.toUpperCase()}_PASSWORD: wanted it unset`));
        assert.doesNotMatch(said, /canary/);
      }
    }
  });

  it("wants Kafka, for it has siblings in other processes", async () => {
    for (const [name, login] of [
      ["gateway", "app"],
      ["relay", "work"],
      ["dispatcher", "work"],
    ] as const) {
      const { code, said } = await outcome(role(name, { ...password(login), ASSAY_KAFKA_BROKERS: "" }));
      assert.equal(code, 78, said);
      assert.match(said, /ASSAY_KAFKA_BROKERS: wanted host:port of Kafka/);
    }
  });

  it("is one of those that there are", async () => {
    const { code, said } = await outcome(role("relay", password("work"), ["now"]));
    assert.equal(code, 65, said);
    assert.match(said, /wanted no argument for relay, but got now/);
  });
});
