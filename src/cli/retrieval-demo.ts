import { randomUUID } from "node:crypto";
import { AssayClient } from "../../clients/typescript/index.js";
import { dataFolder, flagsIn } from "./flags.js";
import { follow, isOver, reportFile, sayFailures } from "./follow.js";
import { withService } from "./interruptible.js";
import { leaderboardLines } from "./leaderboard-table.js";
import { packagedEncoder } from "./models.js";
import { duration } from "./progress.js";
import { retrievalSpec } from "./retrieval.js";

/** What `assay demo retrieval` was asked for. */
export interface RetrievalDemoOptions {
  readonly fresh: boolean;
  readonly dataDir: string;
}

/** What `assay demo retrieval --help` prints. */
export const retrievalDemoUsage = `Usage: npm run demo -- retrieval [--fresh]

Makes a planted collection, in which queries call topics by names that only their expansions explain, distils the expansions into the
query encoder all-MiniLM-L6-v2, and prints a leaderboard: whether the student finds topics that it saw in other words, and finds none
that it never saw. It shows that the machinery works; it says nothing about real text. Takes a few minutes on two cores.

  --fresh   work on everything; otherwise equal runs are answered from earlier ones in the data folder
  --help    this text
`;

/** Small enough for two cores and a few minutes, large enough for the effect that is planted. */
const demoSettings = {
  collection: {
    kind: "PLANTED",
    planted: { topics: 30, unseenTopics: 12, phrasings: 12, documentsPerTopic: 5, seed: 7 },
  },
  student: { layers: 3, epochs: 6, batch: 16, learningRate: 0.0003 },
  encoder: { maxLength: 64 },
} as const;

const flags = { fresh: { type: "boolean" }, help: { type: "boolean", short: "h" } } as const;

/** Reads the arguments of `assay demo retrieval`. Throws INVALID_INPUT for anything that is not one. */
export function parseRetrievalDemoArguments(args: readonly string[]): RetrievalDemoOptions | "help" {
  const { fresh, help } = flagsIn(args, flags).values;
  return help ? "help" : { fresh: fresh ?? false, dataDir: dataFolder() };
}

/** Runs the demo and gives its exit code: 0 only with a complete report. */
export function retrievalDemo({ fresh, dataDir }: RetrievalDemoOptions): Promise<number> {
  return withService({ dataDir }, async ({ service, screen, signal }) => {
    const client = new AssayClient(service);
    const startedAt = Date.now();
    const choice = {
      name: "planted",
      collection: "PLANTED",
      expansions: { kind: "PLANTED" },
      encoder: packagedEncoder,
      fresh,
      detach: false,
      dataDir,
    } as const;
    const spec = { ...(await retrievalSpec(client, choice, screen)), ...demoSettings };
    screen.say("Declared before it runs: SoftQE minus base, minus contrastive training, minus the shuffled teacher.");
    const { id } = await client.submitRetrievalExperiment(spec, randomUUID());
    screen.say(`Submitted experiment ${id}; GraphiQL: ${service.url}/`);
    await follow(client, id, { screen, signal });
    const experiment = await client.experiment(id);
    if (!isOver(experiment.state)) {
      await client.cancel(id, "IMMEDIATE", "interrupted at the terminal");
      return 130;
    }
    screen.clear();
    sayFailures(experiment, screen);
    reportFile(experiment, "REPORT_JSON");
    const leaderboard = await client.leaderboard(id);
    if (leaderboard !== null) process.stdout.write(`${leaderboardLines(leaderboard).join("\n")}\n`);
    screen.say(
      `${experiment.state} after ${duration((Date.now() - startedAt) / 1000)}; "assay report ${id}" prints it all.`,
    );
    return experiment.state === "SUCCEEDED" ? 0 : 1;
  });
}
