import { join } from "node:path";
import type { KafkaSettings } from "../../src/bus/kafka-client.js";
import type { DatabaseAccess } from "../../src/embedded/postgres.js";
import { projectFolder } from "../../src/embedded/project.js";
import type { Listening, Processes, TestProcess } from "./processes.js";
import type { SteadyPace } from "./steady-work.js";

/** What the roles of one service share. */
export interface ClusterOptions {
  readonly processes: Processes;
  readonly access: DatabaseAccess;
  readonly kafka: KafkaSettings;
  /** Data folder: the artifacts, and the key that `migrate` makes. */
  readonly dataDir: string;
  /** Variables for every role, before those of the role itself. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Variables of one process. */
export type Variables = Readonly<Record<string, string>>;

/** How a stub pod works. */
export interface StubPodWish extends SteadyPace {
  readonly slots?: number;
  /** Files of its certificate, and of the authority that dispatchers' must come from. */
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string };
}

/** The service as processes: each role is the `assay` command itself, pods are stubs. A process keeps its port over its lives. */
export class Cluster {
  private readonly counts = new Map<string, number>();
  private readonly pods: TestProcess[] = [];

  constructor(private readonly options: ClusterOptions) {}

  /** File of the key that `migrate` makes. */
  get keyFile(): string {
    return join(this.options.dataDir, "key");
  }

  /** Folder of the artifact store. */
  get artifactsDir(): string {
    return join(this.options.dataDir, "artifacts");
  }

  /** Brings the database up and makes the key; it has ended when `whenEnded` resolves. */
  migrate(): TestProcess {
    return this.make("migrate", ["--key-file", this.keyFile], { ...this.login("owner") });
  }

  /** A gateway that is not yet started. */
  gateway(env: Variables = {}): TestProcess {
    const own = { ASSAY_PORT: "0", ASSAY_DRAIN_MS: "200", ASSAY_ALLOW_LOCAL_MODELS: "true" };
    return this.make("gateway", [], { ...this.login("app"), ...this.bus(), ...own, ...env });
  }

  /** A relay that is not yet started. */
  relay(env: Variables = {}): TestProcess {
    return this.make("relay", [], { ...this.login("work"), ...this.bus(), ...env });
  }

  /** A dispatcher that is not yet started; it knows the pods that were started before it. */
  dispatcher(env: Variables = {}): TestProcess {
    const quick = { ASSAY_LEASE_TTL_MS: "3000", ASSAY_BEAT_MS: "300", ASSAY_DISPATCHER_BEAT_MS: "300" };
    const pods = this.pods.map((pod) => pod.where.address).join(",");
    return this.make("dispatcher", [], { ...this.login("work"), ...this.bus(), ...quick, ASSAY_PODS: pods, ...env });
  }

  /** A stub pod that is not yet started. */
  stubPod(work: StubPodWish = {}): TestProcess {
    return this.podProcess(work);
  }

  /** A stub pod that is not yet started, whose work fails now and then; a zombie works on without a lease. */
  faultPod(how: { zombie?: boolean } = {}): TestProcess {
    return this.podProcess({ slots: 2, faulty: true, ...how });
  }

  private podProcess(settings: object): TestProcess {
    const script = join(import.meta.dirname, "stub-pod-process.js");
    let port: number | undefined;
    const pod = this.options.processes.make({
      name: this.nameFor("pod"),
      args: () => [script, JSON.stringify({ artifacts: this.artifactsDir, port, ...settings })],
      listens: ({ address = "" }) => {
        port = Number(address.split(":").at(-1));
      },
    });
    this.pods.push(pod);
    return pod;
  }

  private make(role: string, args: readonly string[], env: Variables): TestProcess {
    const ports: Record<string, string> = { ASSAY_HEALTH_PORT: "0" };
    const keep = ({ port = 0 }: Listening): void => {
      ports[role === "gateway" ? "ASSAY_PORT" : "ASSAY_HEALTH_PORT"] = String(port);
    };
    return this.options.processes.make({
      name: this.nameFor(role),
      args: () => [join(projectFolder(), "dist", "src", "assay.js"), role, ...args],
      env: () => ({ ASSAY_DATA_DIR: this.options.dataDir, ...this.options.env, ...env, ...ports }),
      listens: keep,
    });
  }

  private nameFor(role: string): string {
    const count = (this.counts.get(role) ?? 0) + 1;
    this.counts.set(role, count);
    return `${role}-${count}`;
  }

  private login(name: "owner" | "app" | "work"): Variables {
    const { host, port, database, password } = this.options.access[name];
    return {
      ASSAY_DATABASE_HOST: host,
      ASSAY_DATABASE_PORT: String(port),
      ASSAY_DATABASE_NAME: database,
      [`ASSAY_DATABASE_${name.toUpperCase()}_PASSWORD`]: password,
    };
  }

  private bus(): Variables {
    const { brokers, prefix } = this.options.kafka;
    return { ASSAY_KAFKA_BROKERS: brokers.join(","), ASSAY_KAFKA_PREFIX: prefix };
  }
}
