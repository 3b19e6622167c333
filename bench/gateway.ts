import type { DatabaseAccess } from "../src/embedded/postgres.js";
import { openGateway } from "../test/support/gateway.js";

/** Our gateway as a process of its own. Its arguments are the database as JSON and a folder for the key. */
const access: DatabaseAccess = JSON.parse(process.argv[2] ?? "{}");
const { api, key } = await openGateway({ access, folder: process.argv[3] ?? "." });
process.stdout.write(`${api.url}/graphql ${key}\n`);
