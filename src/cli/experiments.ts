import { resolve } from "node:path";
import { AssayClient } from "../../clients/typescript/index.js";
import { AssayError } from "../errors.js";
import { toTheEnd } from "./ending.js";
import { dataFolder, flagsIn } from "./flags.js";
import { printReport, sayFailures, writeReport } from "./follow.js";
import { withService } from "./interruptible.js";

/** An experiment that a command is about. */
export interface ExperimentOptions {
  readonly id: string;
  /** Where to write the report's files. */
  readonly out?: string;
  readonly dataDir: string;
}

/** What `assay watch --help` prints. */
export const watchUsage = `Usage: assay watch ID [--out FOLDER]

Shows how far an experiment is until it has ended, prints its report and, with --out, writes every file of it. Ctrl-C ends the
command, not the experiment. Exit code 0 only with a complete report.
`;

/** What `assay report --help` prints. */
export const reportUsage = `Usage: assay report ID [--out FOLDER]

Prints the report of an experiment; with --out writes every file of it: text, JSON, Markdown, HTML and, by what it is
about, lm-eval results and items, or TREC files, receipts of queries and the distilled encoder as student.zip.
`;

const flags = { out: { type: "string" }, help: { type: "boolean", short: "h" } } as const;

/** Reads the arguments of `assay watch` and `assay report`. Throws INVALID_INPUT for anything that is not one. */
export function parseExperimentArguments(args: readonly string[]): ExperimentOptions | "help" {
  const { values, positionals } = flagsIn(args, flags, 1);
  if (values.help) return "help";
  const [id, ...others] = positionals;
  if (id === undefined || others.length > 0) {
    throw new AssayError(
      "INVALID_INPUT",
      `wanted the id of one experiment, but got ${positionals.join(" ") || "nothing"}`,
    );
  }
  return { id, dataDir: dataFolder(), ...(values.out === undefined ? {} : { out: resolve(values.out) }) };
}

/** Follows an experiment to its report. */
export function watch(options: ExperimentOptions): Promise<number> {
  return withService(options, ({ service, screen, signal }) =>
    toTheEnd(new AssayClient(service), options.id, { ...options, screen, signal }),
  );
}

/** Prints a report and writes its files. */
export function report({ id, out, dataDir }: ExperimentOptions): Promise<number> {
  return withService({ dataDir }, async ({ service, screen }) => {
    const client = new AssayClient(service);
    const experiment = await client.experiment(id);
    sayFailures(experiment, screen);
    await printReport(client, experiment);
    if (out !== undefined) screen.say(`Written to ${out}: ${(await writeReport(client, experiment, out)).join(", ")}`);
    return experiment.state === "SUCCEEDED" ? 0 : 1;
  });
}
