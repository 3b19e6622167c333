import { join } from "node:path";
import type { ArtifactFolder } from "../../src/artifacts/folder.js";
import type { Bus } from "../../src/bus/bus.js";
import { MemoryBus } from "../../src/bus/memory.js";
import { Dispatcher, type DispatcherOptions } from "../../src/dispatch/dispatcher.js";
import type { Message } from "../../src/domain/messages.js";
import { jsonLog, type Log } from "../../src/log.js";
import { Relay } from "../../src/relay/relay.js";
import { AppDatabase, WorkDatabase } from "../../src/store/database.js";
import type { TestAccess } from "../support/database.js";
import { FaultyBus } from "../support/faulty-bus.js";
import type { Random } from "../support/seed.js";
import { StubPod, type StubPodOptions } from "../support/stub-pod.js";
import { ClientLog } from "./client-log.js";
import type { Observation } from "./observations.js";
import { SeededClient } from "./seeded-client.js";
import { work } from "./seeded-plan.js";
import { TcpProxy } from "./tcp-proxy.js";

/** Leases so short that a scene of seconds sees many of them end. */
const hasty = { ttlMs: 600, beatMs: 120, callMs: 300, hardDeadlineMs: 20_000 };
/** Leases that last on the busiest machine, for the time when nothing is to go wrong any more. */
const patient = { ttlMs: 10_000, beatMs: 500, callMs: 3_000, hardDeadlineMs: 20_000 };

/** Where a scene plays. */
export interface Stage {
  readonly access: TestAccess;
  readonly artifacts: ArtifactFolder;
  readonly clientLog: string;
  readonly say: (line: string) => void;
  readonly observations: Observation[];
}

interface PlacedPod {
  readonly pod: StubPod;
  readonly link: TcpProxy;
}

/** A message as the outbox keeps it. */
export interface OutboxRow extends Pick<Message, "topic" | "key" | "type" | "payload"> {
  readonly tenant_id: string;
  readonly event_id: string;
}

interface PlacedDispatcher {
  readonly dispatcher: Dispatcher;
  readonly database: WorkDatabase;
}

/** Relay, dispatchers, pods behind links, a bus and a client, all in this process, and what can be done to them. */
export class Scene {
  readonly pods: PlacedPod[] = [];
  readonly dispatchers: PlacedDispatcher[] = [];
  private readonly leaving: Promise<void>[] = [];

  private constructor(
    private readonly stage: Stage,
    private readonly log: Log,
    private readonly bus: Bus,
    readonly app: AppDatabase,
    private readonly relayDatabase: WorkDatabase,
    private readonly relay: Relay,
    private readonly calls: ClientLog,
    readonly client: SeededClient,
  ) {}

  /** Opens the parts without pods and dispatchers; without chance the bus has no faults. */
  static async open(stage: Stage, random: Random | null): Promise<Scene> {
    const log = jsonLog("scene", stage.say);
    let relay: Relay | undefined;
    const onOutbox = (): void => relay?.wake();
    const app = await AppDatabase.open({ login: stage.access.app, log, poolSize: 2, onOutbox });
    const database = await WorkDatabase.open({ login: stage.access.work, log, poolSize: 1 });
    const plain = new MemoryBus({ log, retryMs: 5 });
    const rates = { copies: 2, window: 20, lossRate: 0.05, refusalRate: 0.05, forgetRate: 0.05 };
    const bus = observed(random === null ? plain : new FaultyBus(plain, { random, ...rates }), stage.observations);
    await bus.start();
    relay = new Relay({ database, bus, log, pollMs: 100 });
    relay.start();
    const calls = new ClientLog(stage.clientLog);
    return new Scene(stage, log, bus, app, database, relay, calls, new SeededClient(app, calls));
  }

  /** Adds a pod behind a link of its own; a zombie works on when it is frozen. */
  async addPod(options: Pick<StubPodOptions, "zombie" | "slots" | "work">): Promise<PlacedPod> {
    const pod = await StubPod.start({ artifacts: this.stage.artifacts, work, ...options });
    const link = await TcpProxy.start({ host: "127.0.0.1", port: Number(pod.address.split(":")[1]) });
    const placed = { pod, link };
    this.pods.push(placed);
    return placed;
  }

  /** Adds a dispatcher with connections of its own. */
  async addDispatcher(options: Partial<DispatcherOptions> = {}): Promise<PlacedDispatcher> {
    const { log, bus } = this;
    const { access, artifacts } = this.stage;
    const open = (): Promise<WorkDatabase> =>
      WorkDatabase.open({ login: access.work, log, poolSize: 2, onOutbox: () => this.relay.wake() });
    const database = await untilStarted(log, open);
    const pods = { addresses: () => this.pods.map(({ link }) => link.address) };
    const rhythm = { pollMs: 200, newsMs: 60, dispatcherBeatMs: 120, times: hasty };
    const dispatcher = new Dispatcher({ database, bus, pods, artifacts, log, ...rhythm, ...options });
    await untilStarted(log, () => dispatcher.start());
    const placed = { dispatcher, database };
    this.dispatchers.push(placed);
    return placed;
  }

  /** Puts rows of the outbox on the bus at once, past the relay. */
  publish(rows: readonly OutboxRow[]): Promise<void> {
    return this.bus.publish(
      rows.map(({ tenant_id, event_id, topic, key, type, payload }) => {
        return { tenantId: tenant_id, eventId: event_id, topic, key, type, payload, traceparent: null };
      }),
    );
  }

  /** Ends a pod as a killed process ends. */
  async killPod({ pod, link }: PlacedPod): Promise<void> {
    this.pods.splice(
      this.pods.findIndex((placed) => placed.pod === pod),
      1,
    );
    pod.kill();
    await link.close();
  }

  /** Ends a dispatcher in good order; or, abandoned, it can write nothing more, as when its process was killed. */
  async endDispatcher({ dispatcher, database }: PlacedDispatcher, abandoned: boolean): Promise<void> {
    this.dispatchers.splice(
      this.dispatchers.findIndex((placed) => placed.dispatcher === dispatcher),
      1,
    );
    if (abandoned) {
      await database.close();
      this.leaving.push(dispatcher.stop());
      return;
    }
    await dispatcher.stop();
    await database.close();
  }

  /** Ends the faults: every link is mended, and a new pod and a new, patient dispatcher see to what is left. */
  async calm(): Promise<void> {
    for (const { link } of this.pods) await link.set("OPEN");
    for (const placed of [...this.dispatchers]) await this.endDispatcher(placed, false);
    await this.addPod({ zombie: false, slots: 8 });
    await this.addDispatcher({ times: patient });
  }

  /** Ends everything. */
  async close(): Promise<void> {
    for (const placed of [...this.dispatchers]) await this.endDispatcher(placed, false);
    await Promise.all(this.leaving);
    for (const placed of [...this.pods]) await this.killPod(placed);
    await this.relay.stop();
    await this.bus.close();
    await this.app.close();
    await this.relayDatabase.close();
    this.calls.close();
  }
}

/** Starts something again for as long as what it needs is cut while it starts, as whoever runs a service does. */
async function untilStarted<T>(log: Log, start: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await start();
    } catch (error) {
      log.warn("a dispatcher starts again", { reason: String(error) });
    }
  }
}

/** The bus, with a note of every record that is handed to it. */
function observed(bus: Bus, seen: Observation[]): Bus {
  return {
    start: () => bus.start(),
    publish: (messages) => {
      seen.push(...messages.map(({ eventId }): Observation => ({ kind: "PUBLISHED", eventId })));
      return bus.publish(messages);
    },
    subscribe: (topic, group, handler) => bus.subscribe(topic, group, handler),
    lag: (topic, group) => bus.lag(topic, group),
    close: () => bus.close(),
  };
}

/** Files of a scene below one folder. */
export function filesAt(folder: string): {
  readonly artifacts: string;
  readonly clientLog: string;
  readonly log: string;
} {
  return {
    artifacts: join(folder, "artifacts"),
    clientLog: join(folder, "client.jsonl"),
    log: join(folder, "service.jsonl"),
  };
}
