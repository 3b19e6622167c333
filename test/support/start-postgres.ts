import { EmbeddedPostgres } from "../../src/embedded/postgres.js";

/** Starts the embedded server of the data folder given as argument, says so on stdout and lives on until it is killed. */
const server = await EmbeddedPostgres.start({ dataDir: process.argv[2] ?? "" });
process.stdout.write(`${server.access().app.port}\n`);
setInterval(() => undefined, 60_000);
