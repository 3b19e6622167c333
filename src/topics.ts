import { parseArgs } from "node:util";
import { createTopics, type TopicShape } from "./bus/kafka-topics.js";
import { requireKafka } from "./config/kafka.js";
import { Settings } from "./config/settings.js";
import { AssayError, catalogue } from "./errors.js";
import { jsonLog, reasonOf } from "./log.js";

/** The program behind `assay topics`: the commands talk to a running service, but topics come before any. */
const usage = `Usage: assay topics [options]

Makes the topics that are missing on the brokers of ASSAY_KAFKA_BROKERS, and leaves those that are there as they are.

  --partitions N    partitions of each topic, from 1 to 1000 (default 6)
  --replication N   brokers that keep each message, from 1 to 9 (default 1; take 3 where there are three brokers)
  --help            this text
`;

function readShape(args: readonly string[]): TopicShape | "help" {
  try {
    const text = { type: "string" } as const;
    const options = { partitions: text, replication: text, help: { type: "boolean", short: "h" } } as const;
    const { partitions = "6", replication = "1", help } = parseArgs({ args: [...args], options }).values;
    if (help) return "help";
    return {
      partitions: integer("--partitions", partitions, 1000),
      replication: integer("--replication", replication, 9),
    };
  } catch (error) {
    if (error instanceof AssayError) throw error;
    throw new AssayError("INVALID_INPUT", `${reasonOf(error)} (--help lists the options)`);
  }
}

function integer(flag: string, text: string, max: number): number {
  if (/^[1-9]\d*$/.test(text) && Number(text) <= max) return Number(text);
  throw new AssayError("INVALID_INPUT", `${flag}: wanted an integer from 1 to ${max}, but got ${text}`);
}

async function main(args: readonly string[]): Promise<void> {
  const shape = readShape(args);
  if (shape === "help") {
    process.stdout.write(usage);
    return;
  }
  const settings = new Settings(process.env);
  const kafka = settings.checked(requireKafka(settings));
  const log = jsonLog("bus", (line) => void process.stderr.write(`${line}\n`));
  for (const { name, partitions, created } of await createTopics(kafka, shape, log)) {
    process.stdout.write(`${created ? "made" : "kept"} ${name}, ${partitions} partitions\n`);
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const fault = error instanceof AssayError ? error : new AssayError("INTERNAL", reasonOf(error), { cause: error });
  process.stderr.write(`${fault.code}: ${fault.message}\n`);
  process.exitCode = catalogue[fault.code].exit;
}
