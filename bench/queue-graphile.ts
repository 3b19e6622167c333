import { Logger, run } from "graphile-worker";
import pg from "pg";
import type { Connection } from "../src/embedded/postgres-cluster.js";
import { play } from "./contestant.js";

// Arguments: a login as JSON, how many jobs may be at work at once.
const [loginJson = "{}", slots = "1"] = process.argv.slice(2);
const login: Connection = JSON.parse(loginJson);
const pgPool = new pg.Pool({ ...login, max: Number(slots) + 4 });
for (const event of ["error", "connect"] as const) pgPool.on(event, () => undefined);
const runner = await run({
  pgPool,
  concurrency: Number(slots),
  noHandleSignals: true,
  crontab: "",
  taskList: { noop: () => undefined },
  logger: new Logger(() => () => undefined),
});

let count = 0;
await play({
  submit: () => {
    count += 1;
    return runner.addJob("noop", { count });
  },
  left: "select exists (select 1 from graphile_worker._private_jobs) as left",
  login,
});
