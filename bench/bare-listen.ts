import pg from "pg";
import type { Connection } from "../src/embedded/postgres-cluster.js";

/** The least that hands work over by way of PostgreSQL: it listens, and takes the oldest row at each notification. Argument: a login. */
const login: Connection = JSON.parse(process.argv[2] ?? "{}");
const client = new pg.Client({ ...login });
client.on("error", () => undefined); // the server stops first
await client.connect();
const take = {
  name: "take",
  text: `update bare_job set taken_at = now() where id = (
           select id from bare_job where taken_at is null order by at limit 1 for update skip locked) returning id`,
};
client.on("notification", () => {
  void client.query<{ id: string }>(take).then(({ rows }) => {
    for (const { id } of rows) process.send?.({ id, at: Number(process.hrtime.bigint()) });
  });
});
await client.query("listen bare_job");
process.on("disconnect", () => process.exit());
process.send?.("ready");
