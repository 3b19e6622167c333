import type { AssayClient } from "../../clients/typescript/index.js";
import { follow, isOver, printReport, sayFailures, writeReport } from "./follow.js";
import type { Screen } from "./screen.js";
import type { Service } from "./service.js";

/** Says where a detached experiment goes on. Its id goes to standard output, so that a script can take it. */
export function detached(
  id: string,
  service: Service,
  { dataDir, screen }: { readonly dataDir: string; readonly screen: Screen },
): void {
  service.leave();
  process.stdout.write(`${id}\n`);
  const left = service.isOurs ? `The service goes on at ${service.url}/ with the data folder ${dataDir}. ` : "";
  screen.say(`${left}"assay watch ${id}" follows it; "assay report ${id} --out FOLDER" writes its report.`);
}

/** How an experiment is followed to its end. */
export interface EndSetting {
  readonly screen: Screen;
  readonly signal: AbortSignal;
  readonly out?: string;
}

/** Follows an experiment, prints its report and writes its files. Gives 0 only for a complete report, 130 when interrupted. */
export async function toTheEnd(client: AssayClient, id: string, { screen, signal, out }: EndSetting): Promise<number> {
  await follow(client, id, { screen, signal });
  const experiment = await client.experiment(id);
  if (!isOver(experiment.state)) return 130;
  screen.clear();
  sayFailures(experiment, screen);
  await printReport(client, experiment);
  if (out !== undefined) screen.say(`Written to ${out}: ${(await writeReport(client, experiment, out)).join(", ")}`);
  return experiment.state === "SUCCEEDED" ? 0 : 1;
}
