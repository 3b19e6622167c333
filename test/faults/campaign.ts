import { randomUUID } from "node:crypto";
import { appendFileSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import type { KafkaSettings } from "../../src/bus/kafka-client.js";
import { createTopics } from "../../src/bus/kafka-topics.js";
import type { DatabaseAccess } from "../../src/embedded/postgres.js";
import { AssayError } from "../../src/errors.js";
import { reasonOf } from "../../src/log.js";
import { Cluster } from "../support/cluster.js";
import type { RunningBroker } from "../support/kafka.js";
import { Processes, type TestProcess } from "../support/processes.js";
import { type Random, seeded } from "../support/seed.js";
import { quietLog } from "../support/store.js";
import { type CheckSources, check, type Verdict } from "./checker.js";
import { ClientLog } from "./client-log.js";
import { missingFacts } from "./facts.js";
import { folderLook } from "./files.js";
import { LoadClient } from "./load.js";
import { Nemesis } from "./nemesis.js";
import { readBus } from "./on-the-bus.js";
import { brokerServer, FaultyPostgres } from "./servers.js";
import { sometimes } from "./sometimes.js";
import { TcpProxy } from "./tcp-proxy.js";
import { newTenantKey } from "./tenants.js";

/** How long, by which seed, and where. */
export interface CampaignOptions {
  readonly seed: number;
  /** How long things are broken; mending and checking come on top. */
  readonly faultSeconds: number;
  /** A new folder for the database, artifacts and everything that is said. */
  readonly folder: string;
  /** A broker of its own. */
  readonly broker: RunningBroker;
  /** Told how it goes, a line at a time. */
  readonly say: (line: string) => void;
}

const TTL_MS = 3_000;
const TENANTS = 2;
const CLIENTS_PER_TENANT = 2;
const DRAIN_MS = 300_000;
const LONGER_MS = 300_000;

/**
 * A whole service as processes, two of each role and three pods, with real PostgreSQL and a real Kafka, links that can be torn,
 * clients of two tenants, and a nemesis that breaks it all for a while. Afterwards everything is mended, every client asks until
 * it has its answers, everything begun comes to its end, and the checker has its say.
 */
export async function campaign(options: CampaignOptions): Promise<Verdict> {
  const stage = new Stage(options);
  try {
    return await stage.play();
  } finally {
    await stage.close();
  }
}

class Stage {
  private readonly random: Random;
  private readonly undo: (() => Promise<void> | void)[] = [];
  private readonly links = new Map<string, TcpProxy>();
  private readonly folders: Readonly<Record<"data" | "logs" | "clients", string>>;

  constructor(private readonly options: CampaignOptions) {
    this.random = seeded(options.seed);
    const inside = (name: string): string => {
      const folder = join(options.folder, name);
      mkdirSync(folder, { recursive: true });
      return folder;
    };
    this.folders = { data: inside("data"), logs: inside("logs"), clients: inside("clients") };
  }

  async play(): Promise<Verdict> {
    const { say, faultSeconds } = this.options;
    const postgres = await FaultyPostgres.start(join(this.options.folder, "server"));
    this.undo.push(() => postgres.close());
    const { broker } = this.options;
    const kafka = { brokers: [broker.brokers], tls: false, prefix: "faults." };
    await createTopics(kafka, { partitions: 3, replication: 1 }, quietLog);

    const access = await this.tornAccess(postgres.access);
    const processes = new Processes(this.folders.logs);
    this.undo.push(() => processes.close());
    const cluster = new Cluster({ processes, access, kafka, dataDir: this.folders.data });
    const migrated = cluster.migrate().launch();
    if ((await migrated.whenEnded()).code !== 0) throw new AssayError("SETUP_FAILED", migrated.said());
    const services = await this.startAll(cluster);
    say(`${services.length} processes are up`);

    const { clients, logs, keys } = await this.clients(postgres.access, cluster, services);
    const work = clients.map((client) => client.run());
    const nemesis = new Nemesis(
      {
        processes: services,
        links: this.links,
        stormy: this.workLink(), // a relay publishes, then notes that it did
        servers: [postgres.asServer(this.links), brokerServer(broker)],
        ttlMs: TTL_MS,
      },
      { random: seeded(this.random.below(2 ** 32)), tell: (fault, fields) => this.tell(fault, fields) },
    );
    const breaking = nemesis.run();
    await pause(faultSeconds * 1_000);
    const looked = (atRest: boolean): Promise<Verdict> =>
      this.checked({
        login: postgres.admin,
        kafka,
        clientLogs: logs,
        atRest,
        canaries: [...keys, ...passwordsOf(access)],
      });
    await this.untilAllSeen(async () => missingFacts((await looked(false)).facts, sometimes));
    nemesis.stop();
    await breaking;
    for (const link of this.links.values()) await link.set("OPEN");
    const dead = services.filter((one) => !one.isAlive).map((one) => one.program.name);
    if (dead.length > 0)
      throw new AssayError("INTERNAL", `ended by themselves, while nobody killed them: ${dead.join(", ")}`);
    say("everything is mended");
    for (const client of clients) client.stop();
    await Promise.all(work);
    await Promise.all(clients.map((client) => client.settle()));
    say(`${clients.reduce((sum, client) => sum + client.acknowledged, 0)} experiments were acknowledged`);
    await this.drained(postgres.admin, clients);
    return looked(true);
  }

  /** What was seldom enough not to have happened yet is waited for, or the run would have shown less than it says. */
  private async untilAllSeen(missing: () => Promise<readonly string[]>): Promise<void> {
    for (const deadline = performance.now() + LONGER_MS; ; await pause(5_000)) {
      const left = await missing().catch((error: unknown) => [`the facts themselves (${reasonOf(error)})`]);
      if (left.length === 0 || performance.now() > deadline) return;
      this.options.say(`goes on, for it has not seen ${left.join(", ")}`);
    }
  }

  private async checked(sources: Omit<CheckSources, "observations"> & { kafka: KafkaSettings }): Promise<Verdict> {
    const { kafka, ...rest } = sources;
    return check({
      ...rest,
      stubAnswers: true,
      logs: [this.folders.logs],
      observations: await readBus(kafka, rest.atRest),
      ...(rest.atRest ? { look: folderLook(join(this.folders.data, "artifacts")) } : {}),
    });
  }

  /** Ends and removes everything; the folder stays for whoever looks. */
  async close(): Promise<void> {
    for (let step = this.undo.pop(); step !== undefined; step = this.undo.pop()) await step();
  }

  /** The logins of the roles, each by a link of its own. */
  private async tornAccess(access: DatabaseAccess): Promise<DatabaseAccess> {
    const [app, work] = [
      await this.link("gateway-postgres", access.app),
      await this.link("work-postgres", access.work),
    ];
    return { ...access, app: { ...access.app, port: app.port }, work: { ...access.work, port: work.port } };
  }

  private workLink(): TcpProxy {
    const link = this.links.get("work-postgres");
    if (link === undefined) throw new RangeError("wanted a link between the roles that work and their database");
    return link;
  }

  private async link(name: string, target: { host: string; port: number }): Promise<TcpProxy> {
    const link = await TcpProxy.start(target);
    this.links.set(name, link);
    this.undo.push(() => link.close());
    return link;
  }

  private async startAll(cluster: Cluster): Promise<TestProcess[]> {
    const pods = [cluster.faultPod(), cluster.faultPod(), cluster.faultPod({ zombie: true })];
    const addresses: string[] = [];
    for (const pod of pods) {
      await pod.start();
      const port = Number(pod.where.address?.split(":").at(-1));
      addresses.push((await this.link(pod.program.name, { host: "127.0.0.1", port })).address);
    }
    const dispatching = { ASSAY_PODS: addresses.join(","), ASSAY_LEASE_TTL_MS: String(TTL_MS) };
    const others = [
      ...[cluster.relay(), cluster.relay()],
      ...[cluster.dispatcher(dispatching), cluster.dispatcher(dispatching)],
      ...[cluster.gateway(), cluster.gateway()],
    ];
    await Promise.all(others.map(async (one) => (await one.start()).ready()));
    return [...pods, ...others];
  }

  private async clients(
    access: DatabaseAccess,
    cluster: Cluster,
    services: readonly TestProcess[],
  ): Promise<{ clients: LoadClient[]; logs: string[]; keys: string[] }> {
    const keys = [readFileSync(cluster.keyFile, "utf8").trim()];
    while (keys.length < TENANTS) keys.push(await newTenantKey(access, randomUUID()));
    const gateways = services.filter(({ program }) => program.name.startsWith("gateway"));
    const urls = (): string[] => gateways.map(({ where }) => where.url ?? "");
    const logs: string[] = [];
    const clients = keys.flatMap((key, tenant) =>
      Array.from({ length: CLIENTS_PER_TENANT }, (_, n) => {
        const path = join(this.folders.clients, `${tenant}-${n}.jsonl`);
        logs.push(path);
        const log = new ClientLog(path);
        this.undo.push(() => log.close());
        return new LoadClient({
          urls,
          key,
          log,
          random: seeded(this.random.below(2 ** 32)),
          paceMs: 2_500,
          openMax: 12,
        });
      }),
    );
    return { clients, logs, keys };
  }

  private tell(fault: string, fields: Readonly<Record<string, string | number>>): void {
    const line = JSON.stringify({ at: new Date().toISOString(), fault, ...fields });
    appendFileSync(join(this.options.folder, "faults.jsonl"), `${line}\n`);
  }

  /** Waits until everything that was begun has ended and every message is out. */
  private async drained(admin: pg.ClientConfig, clients: readonly LoadClient[]): Promise<void> {
    const client = new pg.Client(admin);
    await client.connect();
    try {
      for (const deadline = performance.now() + DRAIN_MS; ; await pause(500)) {
        await Promise.all(clients.map((one) => one.resumeAll()));
        const { rows } = await client.query<{ open: number; unpublished: number }>(
          `select (select count(*)::int from run where terminal_at is null) as open,
                  (select count(*)::int from outbox where published_at is null) as unpublished`,
        );
        const [left = { open: 1, unpublished: 1 }] = rows;
        if (left.open + left.unpublished === 0) return;
        // What is still open is the checker's to tell.
        if (performance.now() > deadline) {
          this.options.say(`not drained: ${left.open} runs open, ${left.unpublished} messages unpublished`);
          return;
        }
      }
    } finally {
      await client.end();
    }
  }
}

function passwordsOf({ owner, app, work }: DatabaseAccess): string[] {
  return [owner.password, app.password, work.password];
}
