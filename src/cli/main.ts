import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { AssayRequestError } from "../../clients/typescript/index.js";
import { AssayError, catalogue } from "../errors.js";
import { demoUsage, parseDemoArguments } from "./arguments.js";
import { demo } from "./demo.js";
import { parseExperimentArguments, report, reportUsage, watch, watchUsage } from "./experiments.js";
import { retrieval } from "./retrieval.js";
import { parseRetrievalArguments, retrievalUsage } from "./retrieval-arguments.js";
import { parseRetrievalDemoArguments, retrievalDemo, retrievalDemoUsage } from "./retrieval-demo.js";
import { parseRobustnessArguments, robustness, robustnessUsage } from "./robustness.js";

const usage = `Usage: assay <command>

  demo        runs a small robustness experiment on this machine and prints its report; "demo retrieval" a retrieval experiment
  robustness  submits a robustness experiment by a preset: smoke, laptop or full
  retrieval   submits a retrieval experiment over a collection of your own, a planted one, or Python's documentation
  watch       follows an experiment to its report
  report      prints the report of an experiment and writes its files
  topics      makes Kafka's topics on the brokers of ASSAY_KAFKA_BROKERS

Roles of a service in several processes, each of which may run many times; docs/running.md has their variables:

  migrate     brings the database up and ends; --key-file FILE makes a first key
  gateway     accepts requests and answers them
  relay       publishes what was accepted
  dispatcher  gives runs to pods
  pod         works on runs

assay <command> --help says more of each but the roles.
`;

/** Does the command and gives its exit code. */
async function main([command, ...args]: readonly string[]): Promise<number> {
  if (command === undefined || command === "--help" || command === "help") {
    process.stdout.write(usage);
    return command === undefined ? 64 : 0;
  }
  if (command === "topics") return await program("topics.js", args);
  switch (command) {
    case "demo":
      return args[0] === "retrieval"
        ? await unlessHelp(parseRetrievalDemoArguments(args.slice(1)), retrievalDemoUsage, retrievalDemo)
        : await unlessHelp(parseDemoArguments(args), demoUsage, demo);
    case "retrieval":
      return await retrievalCommand(args);
    case "robustness":
      return await unlessHelp(parseRobustnessArguments(args), robustnessUsage, robustness);
    case "watch":
      return await unlessHelp(parseExperimentArguments(args), watchUsage, watch);
    case "report":
      return await unlessHelp(parseExperimentArguments(args), reportUsage, report);
    default:
      process.stderr.write(`wanted one of the commands below, but got ${command}\n\n${usage}`);
      return 64;
  }
}

/** `assay retrieval watch ID` and `report ID` are the commands of the same names. */
async function retrievalCommand(args: readonly string[]): Promise<number> {
  const [first, ...rest] = args;
  if (first === "watch") return await unlessHelp(parseExperimentArguments(rest), watchUsage, watch);
  if (first === "report") return await unlessHelp(parseExperimentArguments(rest), reportUsage, report);
  return await unlessHelp(parseRetrievalArguments(args), retrievalUsage, retrieval);
}

async function unlessHelp<T>(
  options: T | "help",
  words: string,
  act: (options: T) => Promise<number>,
): Promise<number> {
  if (options !== "help") return await act(options);
  process.stdout.write(words);
  return 0;
}

/** Runs another program of the service beside this one, which tells its errors itself, and gives its exit code. */
async function program(file: string, args: readonly string[]): Promise<number> {
  const path = join(import.meta.dirname, "..", file);
  const child = spawn(process.execPath, ["--enable-source-maps", path, ...args], { stdio: "inherit" });
  const [code]: unknown[] = await once(child, "exit");
  return typeof code === "number" ? code : catalogue.INTERNAL.exit; // null when a signal ended it
}

/** Errors that were foreseen are told in their own words; anything else keeps its stack. */
function tell(error: unknown): number {
  if (error instanceof AssayError) {
    process.stderr.write(`${error.code}: ${error.message}\n`);
    return catalogue[error.code].exit;
  }
  if (error instanceof AssayRequestError) {
    for (const { code, message } of error.errors) process.stderr.write(`${code}: ${message}\n`);
    const entries = new Map<string, { readonly exit: number }>(Object.entries(catalogue));
    return entries.get(error.code)?.exit ?? catalogue.INTERNAL.exit;
  }
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  return catalogue.INTERNAL.exit;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = tell(error);
}
