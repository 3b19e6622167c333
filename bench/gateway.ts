import type { DatabaseAccess } from "../src/embedded/postgres.js";
import { localTenant } from "../src/store/keys.js";
import { openGateway } from "../test/support/gateway.js";
import { writeQuota } from "../test/support/quota.js";

/** Our gateway as a process of its own. Its arguments are the database as JSON and a folder for the key. */
const access: DatabaseAccess = JSON.parse(process.argv[2] ?? "{}");
const { api, key } = await openGateway({ access, folder: process.argv[3] ?? "." });
// Nobody works on what is submitted here.
await writeQuota(access, localTenant.tenantId, { queued_max: 100_000_000 });
process.stdout.write(`${api.url}/graphql ${key}\n`);
