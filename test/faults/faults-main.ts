import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { AssayError } from "../../src/errors.js";
import { reasonOf } from "../../src/log.js";
import { startBroker } from "../support/kafka.js";
import { campaign } from "./campaign.js";
import { sentenceOf } from "./checker.js";
import { factNames, missingFacts } from "./facts.js";
import { sometimes } from "./sometimes.js";

const usage = `Usage: npm run faults -- [--minutes M] [--seed N] [--keep]

Breaks a whole service of processes at random for M minutes (default 1), mends it, and checks invariants I1 to I18.
The same seed chooses the same faults; when they strike depends on the machine. --keep leaves logs and database behind.
`;

interface Wishes {
  readonly minutes: number;
  readonly seed: number;
  readonly keep: boolean;
}

function readArguments(): Wishes | "help" {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  const { values } = parseArgs({ options: { minutes: text, seed: text, keep: flag, help: flag } });
  if (values.help) return "help";
  const [minutes, seed] = [Number(values.minutes ?? "1"), Number(values.seed ?? Math.floor(Math.random() * 1e9))];
  if (!(minutes > 0 && minutes <= 24 * 60)) {
    throw new AssayError("INVALID_INPUT", `--minutes: wanted a number from 0 to 1440, but got ${values.minutes}`);
  }
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new AssayError("INVALID_INPUT", `--seed: wanted an integer from 0, but got ${values.seed}`);
  }
  return { minutes, seed, keep: values.keep };
}

async function main(): Promise<number> {
  const wishes = readArguments();
  if (wishes === "help") {
    process.stdout.write(usage);
    return 0;
  }
  const { minutes, seed, keep } = wishes;
  const folder = mkdtempSync(join(tmpdir(), "assay-faults-"));
  const began = performance.now();
  const say = (line: string): void => {
    process.stdout.write(`${((performance.now() - began) / 1000).toFixed(0).padStart(4)} s  ${line}\n`);
  };
  say(`seed ${seed}, ${minutes} minutes of faults; logs in ${folder}`);
  const broker = await startBroker();
  if ("missing" in broker) throw new AssayError("SETUP_FAILED", broker.missing);
  const { breaches, facts } = await campaign({ seed, faultSeconds: minutes * 60, folder, broker, say });
  await broker.end();
  for (const name of factNames(facts)) say(`  ${name.padEnd(20)} ${facts[name]}`);
  for (const breach of breaches) say(sentenceOf(breach));
  const missing = missingFacts(facts, sometimes);
  for (const name of missing) say(`${name} never happened, so this run has not shown that it is survived`);
  const holds = breaches.length + missing.length === 0;
  if (holds && !keep) rmSync(folder, { recursive: true, force: true });
  say(holds ? "I1-I18 hold" : `what was said and stored lies in ${folder}; again with --seed ${seed}`);
  return holds ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${reasonOf(error)}\n`);
  process.exitCode = 70;
}
