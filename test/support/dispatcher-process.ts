import { ArtifactFolder } from "../../src/artifacts/folder.js";
import { MemoryBus } from "../../src/bus/memory.js";
import { Dispatcher } from "../../src/dispatch/dispatcher.js";
import { WorkDatabase } from "../../src/store/database.js";
import { quietLog } from "./store.js";

// A dispatcher in a process of its own, so that a test can kill it as machines do. Its settings are one JSON argument.

const { login, address, artifacts } = JSON.parse(process.argv[2] ?? "{}");
const bus = new MemoryBus({ log: quietLog });
await bus.start();
const dispatcher = new Dispatcher({
  database: await WorkDatabase.open({ login, log: quietLog, poolSize: 3 }),
  bus,
  pods: { addresses: () => [address] },
  artifacts: new ArtifactFolder(artifacts),
  log: quietLog,
  pollMs: 50,
  newsMs: 50,
  dispatcherBeatMs: 200,
  times: { beatMs: 200 },
});
await dispatcher.start();
