import "reflect-metadata";
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { ArtifactFolder } from "../src/artifacts/folder.js";
import { MemoryBus } from "../src/bus/memory.js";
import { Dispatcher } from "../src/dispatch/dispatcher.js";
import { newId } from "../src/domain/digest.js";
import type { DatabaseAccess } from "../src/embedded/postgres.js";
import { Relay } from "../src/relay/relay.js";
import { AppDatabase, WorkDatabase } from "../src/store/database.js";
import { migrate } from "../src/store/migrate.js";
import { Submitter } from "../src/store/submit.js";
import { writeQuota } from "../test/support/quota.js";
import { migrationsFolder, quietLog, seedTenant, submission, testPlan } from "../test/support/store.js";
import { play } from "./contestant.js";

// Arguments: the database as JSON, the pod's slots, a folder, runs of one experiment.
const [accessJson = "{}", slots = "1", folder = ".", runs = "1"] = process.argv.slice(2);
const access: DatabaseAccess = JSON.parse(accessJson);

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
const pod = fork(join(import.meta.dirname, "stub-pod.js"), [slots, folder]);
const [address]: string[] = await once(pod, "message");
const dispatcher = new Dispatcher({
  database: work,
  bus,
  pods: { addresses: () => (address === undefined ? [] : [address]) },
  artifacts: new ArtifactFolder(folder),
  log: quietLog,
});
await dispatcher.start();

const submitter = new Submitter(app);
let count = 0;
await play({
  submit: () => {
    count += 1;
    // Each run is work of its own, as each job of the others is.
    const spec = { count };
    const plan = testPlan(Array.from({ length: Number(runs) }, () => ({ stage: 0, spec })));
    return submitter.submit(submission(caller, plan));
  },
  left: "select exists (select 1 from run where state in ('QUEUED', 'LEASED', 'RUNNING', 'RETRY_WAIT')) as left",
  login: access.work,
});
