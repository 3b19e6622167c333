import { resolve } from "node:path";
import type { ModelSource } from "../../clients/typescript/index.js";
import { flagsIn, integer } from "./flags.js";
import { modelSource, packagedModel } from "./models.js";

/** What `assay demo` was asked for. */
export interface DemoOptions {
  /** How many seeds, from 101 on. */
  readonly seeds: number;
  /** Where to write the report as JSON. */
  readonly json?: string;
  /** Preference rows to evaluate in place of generated ones. */
  readonly data?: string;
  readonly model: ModelSource;
  /** How many top blocks are trained; the service's default where it is left out. */
  readonly blocks?: number;
  /** Whether everything is worked on, also what an earlier run in the data folder has answered. */
  readonly fresh: boolean;
  /** Folder of the service's database, artifacts and key. */
  readonly dataDir: string;
}

/** What `assay demo --help` prints. */
export const demoUsage = `Usage: npm run demo -- [options]

Trains SFT, DPO and KTO on data with a planted spurious correlation at rates 0, 0.1 and 0.9 (DPO at 1 too), measures the
untrained model beside them, and prints how well each still tells right from wrong where the correlation is reversed.

  --seeds N      number of seeds (default 1; take at least 6 before claiming anything)
  --data FILE    evaluate your own preference rows (JSON lines; docs/contract.md has the format)
  --model MODEL  a folder with a safetensors model, or a hub model as owner/name@commit (default: SmolLM2-135M-Instruct)
  --blocks N     how many of the model's top blocks are trained (default 6)
  --fresh        work on everything; otherwise equal runs are answered from earlier ones in the data folder
  --json FILE    write the report as JSON
  --help         this text

ASSAY_DATA_DIR names the data folder (default .assay). A service that already runs on it is used; otherwise one is started
and stopped again. Ctrl-C cancels the experiment and stops what was started. Exit code 0 only with a complete report.
`;

const text = { type: "string" } as const;
const flags = {
  seeds: text,
  blocks: text,
  json: text,
  data: text,
  model: text,
  fresh: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;
const seedsMax = 100;
const blocksMax = 128;

/** Reads the arguments of `assay demo`. Throws INVALID_INPUT for anything that is not one. */
export function parseDemoArguments(args: readonly string[]): DemoOptions | "help" {
  const { seeds, blocks, json, data, model, fresh, help } = flagsIn(args, flags).values;
  if (help) return "help";
  return {
    seeds: seeds === undefined ? 1 : integer("--seeds", seeds, seedsMax),
    ...(blocks === undefined ? {} : { blocks: integer("--blocks", blocks, blocksMax) }),
    fresh: fresh ?? false,
    model: model === undefined ? packagedModel : modelSource(model),
    dataDir: resolve(process.env["ASSAY_DATA_DIR"] || ".assay"),
    ...(json === undefined ? {} : { json: resolve(json) }),
    ...(data === undefined ? {} : { data: resolve(data) }),
  };
}
