import { chownSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { runProgram, type ServerUser, serverUser } from "../../src/embedded/postgres-binaries.js";
import type { Connection } from "../../src/embedded/postgres-cluster.js";
import type { Certificate } from "./certificates.js";

const adminPassword = "canary-admin";

/** A PostgreSQL server as an operator would have one: made without our code, and entered over TLS alone. */
export class TlsServer {
  private constructor(
    private readonly folder: string,
    private readonly user: ServerUser,
    readonly port: number,
  ) {}

  /** Makes it in the folder and starts it on a free port. */
  static async start(folder: string, { cert, key }: Certificate): Promise<TlsServer> {
    const user = await serverUser(folder);
    const password = `${folder}.password`;
    mkdirSync(folder, { mode: 0o700 });
    writeFileSync(password, adminPassword);
    for (const path of [folder, password]) give(path, user);
    const locale = ["--encoding=UTF8", "--locale=C"];
    await runProgram(
      "initdb",
      ["-D", folder, "--username=admin", "--auth=scram-sha-256", `--pwfile=${password}`, ...locale],
      user,
    );
    const files = { "server.crt": cert, "server.key": key, "pg_hba.conf": "hostssl all all all scram-sha-256\n" };
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(folder, name), text, { mode: 0o600 });
      give(join(folder, name), user);
    }
    const port = await freePort();
    const flags = `-p ${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c ssl=on -c fsync=off`;
    const log = join(folder, "server.log");
    await runProgram("pg_ctl", ["start", "-D", folder, "-l", log, "-w", "-t", "60", "-o", flags], user);
    return new TlsServer(folder, user, port);
  }

  /** The login of its superuser. */
  get admin(): Connection {
    return { ...this.login("admin", adminPassword), database: "postgres" };
  }

  /** A login of the service's database. */
  login(user: string, password: string): Connection {
    return { host: "localhost", port: this.port, database: "assay", user, password };
  }

  async stop(): Promise<void> {
    await runProgram("pg_ctl", ["stop", "-D", this.folder, "-m", "immediate", "-w"], this.user);
  }
}

/** The statements of an SQL file, each to be sent by itself, as psql does. */
export function statementsOf(file: string): string[] {
  const text = readFileSync(file, "utf8").replaceAll(/--[^\n]*/g, "");
  // A semicolon ends a statement unless it stands between two $$.
  return (text.match(/(?:\$\$[\s\S]*?\$\$|[^;])+;/g) ?? []).map((statement) => statement.trim());
}

function give(path: string, { uid, gid }: ServerUser): void {
  if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
