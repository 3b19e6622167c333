import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { AssayError } from "../errors.js";
import { runProgram, type ServerUser, serverUser } from "./postgres-binaries.js";
import { Cluster, type Connection } from "./postgres-cluster.js";
import { databasePasswords } from "./secrets.js";

/** What the embedded server is started with. */
export interface EmbeddedPostgresOptions {
  /** The service's data folder; the database lives in its sub-folder `postgres`. */
  readonly dataDir: string;
  /** False gives up durability for speed. Default true; false only in tests. */
  readonly durable?: boolean;
}

/** Connection settings, one for each role of a database. */
export interface DatabaseAccess {
  /** Owns the tables and runs migrations. */
  readonly owner: Connection;
  /** Serves requests; sees one tenant at a time. */
  readonly app: Connection;
  /** Relay, dispatcher and sweeps. */
  readonly work: Connection;
}

/** A PostgreSQL server of our own, on the loopback address. It outlives this process unless it is stopped. */
export class EmbeddedPostgres {
  /** True when the server was found running: this process did not start it. */
  readonly adopted: boolean;
  private readonly cluster: Cluster;
  private readonly folder: string;
  private readonly user: ServerUser;

  private constructor(folder: string, user: ServerUser, cluster: Cluster, adopted: boolean) {
    this.folder = folder;
    this.user = user;
    this.cluster = cluster;
    this.adopted = adopted;
  }

  /** Makes the database where there is none, adopts a server that lives, starts one otherwise; then makes roles and `assay`. */
  static async start(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
    const dataDir = resolve(options.dataDir);
    const folder = join(dataDir, "postgres");
    mkdirSync(dataDir, { recursive: true });
    const passwords = databasePasswords(dataDir);
    const user = await serverUser(folder);
    if (!existsSync(join(folder, "PG_VERSION"))) await initialise(folder, user, passwords.assay_admin);
    const found = await livingServer(folder, passwords.assay_admin);
    const port = found ?? (await startServer(folder, user, options.durable ?? true));
    const cluster = new Cluster(port, passwords);
    await cluster.makeRoles();
    await cluster.makeDatabase("assay");
    return new EmbeddedPostgres(folder, user, cluster, found !== undefined);
  }

  /** Connection settings for the service's own database, or another one of this server. */
  access(database = "assay"): DatabaseAccess {
    return {
      owner: this.cluster.connection("assay_owner", database),
      app: this.cluster.connection("assay_app", database),
      work: this.cluster.connection("assay_work", database),
    };
  }

  /** Makes an empty database owned by `assay_owner`, unless it is there. */
  createDatabase(name: string): Promise<void> {
    return this.cluster.makeDatabase(name);
  }

  /** Drops a database and ends whoever is connected to it. */
  dropDatabase(name: string): Promise<void> {
    return this.cluster.dropDatabase(name);
  }

  /** Ends the server; open connections are cut, what was committed is on disk. */
  async stop(): Promise<void> {
    await runProgram("pg_ctl", ["stop", "-D", this.folder, "-m", "fast", "-w", "-t", "60"], this.user);
  }
}

/** initdb works in a folder of its own that is renamed when whole, so that a killed first start leaves nothing half made. */
async function initialise(folder: string, user: ServerUser, adminPassword: string): Promise<void> {
  const draft = `${folder}.new`;
  const passwordFile = `${folder}.password`;
  await rm(draft, { recursive: true, force: true });
  mkdirSync(draft, { mode: 0o700 });
  writeFileSync(passwordFile, `${adminPassword}\n`, { mode: 0o600 });
  for (const path of [draft, passwordFile]) give(path, user);
  try {
    const args = ["-D", draft, "--username=assay_admin", "--auth=scram-sha-256", `--pwfile=${passwordFile}`];
    // The built-in locale sorts alike on every machine; the operating system's does not.
    await runProgram(
      "initdb",
      [...args, "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"],
      user,
    );
    await rename(draft, folder);
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

function give(path: string, user: ServerUser): void {
  if (user.uid !== undefined && user.gid !== undefined) chownSync(path, user.uid, user.gid);
}

/** Port of the server that runs on this folder, or undefined after clearing away what a dead one left. */
async function livingServer(folder: string, adminPassword: string): Promise<number | undefined> {
  const pidFile = join(folder, "postmaster.pid");
  const deadline = Date.now() + 60_000;
  while (existsSync(pidFile)) {
    const [pid = "", , , port = ""] = readFileSync(pidFile, "utf8").split("\n");
    if (!isAlive(Number(pid))) break;
    if (port !== "" && (await Cluster.serves(Number(port), adminPassword, folder))) return Number(port);
    // A pid that lives may have been given to another program since; only a postgres may still be starting.
    if (!(await isPostgres(Number(pid), folder))) break;
    if (Date.now() > deadline) {
      throw new AssayError("SETUP_FAILED", `PostgreSQL with pid ${pid} holds ${folder} but has not answered for 60 s`);
    }
    await pause(100);
  }
  rmSync(pidFile, { force: true });
  return undefined;
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 1) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** A postmaster works in its data folder; where the system does not tell (macOS), the pid gets the benefit of the doubt. */
async function isPostgres(pid: number, folder: string): Promise<boolean> {
  try {
    return statSync(`/proc/${pid}/cwd/PG_VERSION`).ino === statSync(join(folder, "PG_VERSION")).ino;
  } catch {
    return process.platform !== "linux" && isAlive(pid);
  }
}

const startTries = 5;

async function startServer(folder: string, user: ServerUser, durable: boolean): Promise<number> {
  const log = `${folder}.log`;
  if (!existsSync(log)) writeFileSync(log, "", { mode: 0o600 });
  give(log, user);
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    try {
      await runProgram(
        "pg_ctl",
        ["start", "-D", folder, "-l", log, "-w", "-t", "60", "-o", serverFlags(port, durable)],
        user,
      );
      return port;
    } catch (error) {
      // Another program may have taken the port between our look and the server's bind.
      if (attempt === startTries || !readFileSync(log, "utf8").includes("could not bind")) {
        const lines = readFileSync(log, "utf8").trimEnd().split("\n").slice(-5).join(" | ");
        throw new AssayError("SETUP_FAILED", `PostgreSQL did not start on ${folder}; its log ends with: ${lines}`, {
          cause: error,
        });
      }
    }
  }
}

function serverFlags(port: number, durable: boolean): string {
  const settings = {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    max_connections: 100,
    shared_buffers: "64MB",
    jit: "off",
    wal_level: "replica",
    fsync: durable ? "on" : "off",
    synchronous_commit: durable ? "on" : "off",
    full_page_writes: durable ? "on" : "off",
  };
  const flags = Object.entries(settings).map(([name, value]) => `-c ${name}='${value}'`);
  return [`-p ${port}`, ...flags].join(" ");
}

function freePort(): Promise<number> {
  return new Promise((resolvePort, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      probe.close(() => resolvePort(port));
    });
  });
}
