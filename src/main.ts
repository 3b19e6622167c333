import { AssayError } from "./errors.js";
import { Life } from "./roles/life.js";

/** A role lives until it is asked to end, or is done, and gives the exit code. */
type Role = (life: Life, args: readonly string[]) => Promise<number>;

/** Every role that a process can take. Each loads only what it is made of. */
const roles: Readonly<Record<string, () => Promise<Role>>> = {
  embedded: async () => (await import("./roles/embedded.js")).embeddedRole,
  gateway: async () => (await import("./roles/gateway.js")).gatewayRole,
  relay: async () => (await import("./roles/relay.js")).relayRole,
  dispatcher: async () => (await import("./roles/dispatcher.js")).dispatcherRole,
  pod: async () => (await import("./roles/pod.js")).podRole,
  migrate: async () => (await import("./roles/migrate.js")).migrateRole,
};

async function live(life: Life): Promise<number> {
  const [name = "embedded", ...args] = process.argv.slice(2);
  const load = Object.hasOwn(roles, name) ? roles[name] : undefined;
  if (load === undefined) {
    throw new AssayError("INVALID_INPUT", `wanted one of the roles ${Object.keys(roles).join(", ")}, but got ${name}`);
  }
  const role = await load();
  if (args.length > 0 && name !== "migrate") {
    throw new AssayError("INVALID_INPUT", `wanted no argument for ${name}, but got ${args.join(" ")}`);
  }
  return await role(life, args);
}

process.exit(await new Life().live(live));
