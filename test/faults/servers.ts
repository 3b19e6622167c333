import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type DatabaseAccess, EmbeddedPostgres } from "../../src/embedded/postgres.js";
import { runProgram, serverUser } from "../../src/embedded/postgres-binaries.js";
import type { Connection } from "../../src/embedded/postgres-cluster.js";
import { databasePasswords } from "../../src/embedded/secrets.js";
import type { RunningBroker } from "../support/kafka.js";
import type { Server } from "./nemesis.js";
import type { TcpProxy } from "./tcp-proxy.js";

/** A durable PostgreSQL server that can be restarted as after a loss of power. It keeps its port. */
export class FaultyPostgres {
  private constructor(
    private readonly dataDir: string,
    private readonly server: EmbeddedPostgres,
  ) {}

  /** Starts one in a new folder. */
  static async start(dataDir: string): Promise<FaultyPostgres> {
    return new FaultyPostgres(dataDir, await EmbeddedPostgres.start({ dataDir }));
  }

  /** The logins of the roles. */
  get access(): DatabaseAccess {
    return this.server.access();
  }

  /** Sees every tenant's rows. */
  get admin(): Connection {
    return { ...this.access.owner, user: "assay_admin", password: databasePasswords(this.dataDir).assay_admin };
  }

  /** What the nemesis may do to it; where it hangs, its links do. */
  asServer(links: ReadonlyMap<string, TcpProxy>): Server {
    const own = [...links].filter(([name]) => name.endsWith("postgres")).map(([, link]) => link);
    return {
      name: "postgres",
      restart: () => this.restart(),
      hang: async (ms) => {
        for (const link of own) await link.set("STALLED");
        await pause(ms);
        for (const link of own) await link.set("OPEN");
      },
    };
  }

  /** Ends it in order. */
  close(): Promise<void> {
    return this.server.stop();
  }

  private async restart(): Promise<void> {
    const folder = join(this.dataDir, "postgres");
    const log = `${folder}.log`;
    await runProgram(
      "pg_ctl",
      ["restart", "-D", folder, "-l", log, "-m", "immediate", "-w", "-t", "60"],
      await serverUser(folder),
    );
  }
}

/** What the nemesis may do to a broker: kill it, after which it comes back with its log, or hold it still. */
export function brokerServer({ make }: RunningBroker): Server {
  return {
    name: "kafka",
    restart: async () => {
      await make("down");
      await make("up");
    },
    hang: async (ms) => {
      await make("hang");
      await pause(ms);
      await make("resume");
    },
  };
}
