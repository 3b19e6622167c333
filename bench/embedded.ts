import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { ArtifactFolder } from "../src/artifacts/folder.js";
import { MemoryBus } from "../src/bus/memory.js";
import { Dispatcher } from "../src/dispatch/dispatcher.js";
import { newId } from "../src/domain/digest.js";
import type { Caller } from "../src/domain/tenant.js";
import type { DatabaseAccess } from "../src/embedded/postgres.js";
import { Relay } from "../src/relay/relay.js";
import { AppDatabase, WorkDatabase } from "../src/store/database.js";
import { migrate } from "../src/store/migrate.js";
import { Submitter } from "../src/store/submit.js";
import { writeQuota } from "../test/support/quota.js";
import { migrationsFolder, quietLog, seedTenant } from "../test/support/store.js";

/** Everything behind the API in this process, as in the embedded mode, with the stub pod in a process of its own. */
export interface Embedded {
  readonly submitter: Submitter;
  readonly caller: Caller;
  readonly pod: ChildProcess;
}

/** Where it works. */
export interface EmbeddedPlace {
  readonly access: DatabaseAccess;
  readonly folder: string;
  readonly slots: string;
  /** Whether the pod tells of the runs that it takes. */
  readonly tell: boolean;
}

/** Starts it; it ends with this process. */
export async function startEmbedded({ access, folder, slots, tell }: EmbeddedPlace): Promise<Embedded> {
  await migrate(access.owner, migrationsFolder);
  const caller = await seedTenant(access, newId());
  await writeQuota(access, caller.tenantId, { queued_max: 1_000_000 });
  const onOutbox = (): void => relay.wake();
  const app = await AppDatabase.open({ login: access.app, log: quietLog, onOutbox });
  const work = await WorkDatabase.open({ login: access.work, log: quietLog, onOutbox });
  const bus = new MemoryBus({ log: quietLog });
  await bus.start();
  const relay: Relay = new Relay({ database: work, bus, log: quietLog });
  relay.start();
  const pod = fork(join(import.meta.dirname, "stub-pod.js"), [slots, folder, tell ? "tell" : "silent"]);
  const [address]: string[] = await once(pod, "message");
  const dispatcher = new Dispatcher({
    database: work,
    bus,
    pods: { addresses: () => (address === undefined ? [] : [address]) },
    artifacts: new ArtifactFolder(folder),
    log: quietLog,
  });
  await dispatcher.start();
  return { submitter: new Submitter(app), caller, pod };
}
