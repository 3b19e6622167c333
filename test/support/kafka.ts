import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, it } from "node:test";
import { KafkaBus } from "../../src/bus/kafka.js";
import type { KafkaSettings } from "../../src/bus/kafka-client.js";
import { createTopics } from "../../src/bus/kafka-topics.js";
import { projectFolder } from "../../src/embedded/project.js";
import { AssayError } from "../../src/errors.js";
import type { Register } from "./bus-contract.js";
import { quietLog } from "./store.js";

/** A real broker for one test file, or the reason why this machine has none. */
export type TestBroker = RunningBroker | { readonly missing: string };

/** A broker that can be made to fail. */
export interface RunningBroker {
  readonly brokers: string;
  /** Kills it, starts it again with what it has kept, stops its process in its tracks, or lets it go on. */
  readonly make: (what: "down" | "up" | "hang" | "resume") => Promise<void>;
}

const NO_BROKER_EXIT = 69; // scripts/kafka.mjs says why on its standard error

/** Starts a broker that ends after the file's last test. Call it at the top of the file. */
export async function testBroker(): Promise<TestBroker> {
  const broker = await startBroker();
  if ("end" in broker) after(() => broker.end());
  return broker;
}

/** A broker that whoever started it must end; its log goes with it. */
export interface OwnBroker extends RunningBroker {
  readonly end: () => Promise<void>;
}

/** Starts a broker. */
export async function startBroker(): Promise<OwnBroker | { readonly missing: string }> {
  const script = join(projectFolder(), "scripts", "kafka.mjs");
  const child = spawn(process.execPath, [script], { stdio: ["pipe", "pipe", "pipe"] });
  const ended = once(child, "exit");
  let said = "";
  child.stderr.on("data", (chunk) => {
    said += String(chunk);
  });
  const lines = createInterface(child.stdout);
  const answer = async (): Promise<string | undefined> => {
    const line = await Promise.race([once(lines, "line"), ended.then(() => undefined)]);
    return line === undefined ? undefined : String(line[0]);
  };
  const line = await answer();
  if (line === undefined) {
    if (child.exitCode !== NO_BROKER_EXIT) throw new AssayError("INTERNAL", `the broker's script broke: ${said}`);
    return { missing: said.trim() };
  }
  const end = async (): Promise<void> => {
    child.stdin.end();
    await ended;
  };
  const make: RunningBroker["make"] = async (what) => {
    const done = answer();
    child.stdin.write(`${what}\n`);
    if ((await done) !== JSON.stringify({ done: what })) throw new AssayError("INTERNAL", `${what}: ${said}`);
  };
  return { brokers: JSON.parse(line).brokers, make, end };
}

/** Registers tests that need the broker. Without one they are counted as skipped, in one line; in CI that fails. */
export function brokerLane(broker: TestBroker): Register {
  if ("brokers" in broker) return (name, work) => void it(name, work);
  if (process.env["CI"] === "true") throw new AssayError("SETUP_FAILED", broker.missing);
  let skipped = 0;
  after(() => process.stderr.write(`Kafka: ${skipped} tests skipped. ${broker.missing}\n`));
  return (name) => {
    skipped += 1;
    it(name, { skip: broker.missing });
  };
}

let spaces = 0;

/** Settings with a name space of their own on the broker. */
export function freshSpace(broker: TestBroker): KafkaSettings {
  spaces += 1;
  const brokers = "brokers" in broker ? [broker.brokers] : [];
  return { brokers, tls: false, prefix: `space-${spaces}.` };
}

/** A bus that is not started, with topics of its own. */
export async function freshBus(broker: TestBroker): Promise<KafkaBus> {
  const settings = freshSpace(broker);
  await createTopics(settings, { partitions: 3, replication: 1 }, quietLog);
  return new KafkaBus({ ...settings, log: quietLog });
}
