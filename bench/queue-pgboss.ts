import PgBoss from "pg-boss";
import type { Connection } from "../src/embedded/postgres-cluster.js";
import { play } from "./contestant.js";

// Arguments: a login as JSON, how many jobs may be at work at once.
const [loginJson = "{}", slots = "1"] = process.argv.slice(2);
const login: Connection = JSON.parse(loginJson);
const boss = new PgBoss({ ...login, max: Number(slots) + 4 });
boss.on("error", (error) => process.stderr.write(`pg-boss: ${error.message}\n`));
await boss.start();
await boss.createQueue("noop");

// Its own `work` looks for a job every half second at most; so the jobs are fetched and completed by its two calls
// for that, in as many loops as there are slots, each of which sleeps only when nothing is there.
let awake: (() => void)[] = [];
const worker = async (): Promise<void> => {
  for (;;) {
    const [job] = await boss.fetch("noop", { batchSize: 1 });
    if (job === undefined) await new Promise<void>((resolve) => awake.push(resolve));
    else await boss.complete("noop", job.id);
  }
};
for (let slot = 0; slot < Number(slots); slot += 1) {
  void worker().catch((error: unknown) => {
    process.stderr.write(`pg-boss: ${String(error)}\n`);
    process.exit(1);
  });
}

let count = 0;
await play({
  submit: async () => {
    count += 1;
    await boss.send("noop", { count });
    const sleepers = awake;
    awake = [];
    for (const wake of sleepers) wake();
  },
  left: "select exists (select 1 from pgboss.job where name = 'noop' and state < 'completed') as left",
  login,
});
