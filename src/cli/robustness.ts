import { randomUUID } from "node:crypto";
import { basename, resolve } from "node:path";
import { AssayClient, type ModelSource, type RobustnessSpec } from "../../clients/typescript/index.js";
import { detached, toTheEnd } from "./ending.js";
import { choice, dataFolder, flagsIn, integer } from "./flags.js";
import { withService } from "./interruptible.js";
import { modelSource, packagedModel, registered } from "./models.js";
import type { Screen } from "./screen.js";

/** What `assay robustness` was asked for. */
export interface RobustnessOptions {
  readonly preset: "SMOKE" | "LAPTOP" | "FULL";
  readonly name?: string;
  readonly model: ModelSource;
  /** How many seeds, from 101 on; the preset's where it is left out. */
  readonly seeds?: number;
  /** How many top blocks are trained, for a trainer that trains these; the preset's where it is left out. */
  readonly blocks?: number;
  /** A file of the user's own in place of generated items. */
  readonly data?: { readonly file: string; readonly format: "PREFERENCE" | "GSM8K" | "IFEVAL" | "SQUAD" };
  readonly fresh: boolean;
  /** Whether the command ends once the experiment is accepted. */
  readonly detach: boolean;
  /** Where to write the report's files. */
  readonly out?: string;
  readonly dataDir: string;
}

/** What `assay robustness --help` prints. */
export const robustnessUsage = `Usage: assay robustness --preset smoke|laptop|full [options]

Submits a robustness experiment by a preset (docs/presets.md says what each holds and how long it takes), shows how far it is and prints the report.

  --preset NAME    smoke, laptop or full
  --name TEXT      its name (default: the preset's)
  --model MODEL    a folder with a safetensors model, or a hub model as owner/name@commit (default: SmolLM2-135M-Instruct)
  --seeds N        number of seeds (default: the preset's; a claim about a method needs at least 6)
  --blocks N       how many of the model's top blocks are trained, where the preset trains these
  --data FILE      a file of your own in place of generated items
  --format FORMAT  what the file is: preference (default), gsm8k, ifeval or squad
  --fresh          work on everything; otherwise equal runs are answered from earlier ones
  --detach         print the experiment's id and end; the service goes on with it, also after it was restarted with "npm start"
  --out FOLDER     write every file of the report
  --help           this text

Where the data folder (ASSAY_DATA_DIR, default .assay) has no service at work, one is started; with --detach it is left running.
"assay watch ID" follows an experiment, "assay report ID --out FOLDER" writes its report. Ctrl-C ends the command, not the experiment.
`;

const text = { type: "string" } as const;
const yes = { type: "boolean" } as const;
const flags = {
  preset: text,
  name: text,
  model: text,
  seeds: text,
  blocks: text,
  data: text,
  format: text,
  fresh: yes,
  detach: yes,
  out: text,
  help: { type: "boolean", short: "h" },
} as const;
const presets = ["SMOKE", "LAPTOP", "FULL"] as const;
const formats = ["PREFERENCE", "GSM8K", "IFEVAL", "SQUAD"] as const;
const seedsMax = 100;
const blocksMax = 128;
const firstSeed = 101;

/** Reads the arguments of `assay robustness`. Throws INVALID_INPUT for anything that is not one. */
export function parseRobustnessArguments(args: readonly string[]): RobustnessOptions | "help" {
  const { preset, name, model, seeds, blocks, data, format, fresh, detach, out, help } = flagsIn(args, flags).values;
  if (help) return "help";
  return {
    preset: choice("--preset", preset ?? "nothing", presets),
    model: model === undefined ? packagedModel : modelSource(model),
    fresh: fresh ?? false,
    detach: detach ?? false,
    dataDir: dataFolder(),
    ...(name === undefined ? {} : { name }),
    ...(seeds === undefined ? {} : { seeds: integer("--seeds", seeds, seedsMax) }),
    ...(blocks === undefined ? {} : { blocks: integer("--blocks", blocks, blocksMax) }),
    ...(data === undefined
      ? {}
      : { data: { file: resolve(data), format: choice("--format", format ?? "preference", formats) } }),
    ...(out === undefined ? {} : { out: resolve(out) }),
  };
}

/** Submits and, unless it is to go on by itself, follows to the report. Gives the exit code: 0 for a detached or complete one. */
export function robustness(options: RobustnessOptions): Promise<number> {
  return withService(options, async ({ service, screen, signal }) => {
    const client = new AssayClient(service);
    const { id } = await client.submitRobustnessExperiment(await specFor(client, options, screen), randomUUID());
    if (options.detach) {
      detached(id, service, { dataDir: options.dataDir, screen });
      return 0;
    }
    screen.say(`Submitted experiment ${id}; GraphiQL: ${service.url}/`);
    return await toTheEnd(client, id, { screen, signal, ...options });
  });
}

async function specFor(client: AssayClient, options: RobustnessOptions, screen: Screen): Promise<RobustnessSpec> {
  const { preset, seeds, blocks, data, fresh } = options;
  const project = await client.project();
  const model = await registered(client, project.id, options.model);
  screen.say(`Model: ${model.name}, SHA-256 ${model.digest.slice(0, 12)}…`);
  const version =
    data === undefined ? null : await client.uploadDataset(project.id, basename(data.file), data.file, data.format);
  return {
    projectId: project.id,
    modelId: model.id,
    name: options.name ?? preset.toLowerCase(),
    preset,
    options: { reuse: fresh ? "NEVER" : "EXACT_MATCH" },
    ...(seeds === undefined ? {} : { seeds: Array.from({ length: seeds }, (_, i) => firstSeed + i) }),
    ...(blocks === undefined ? {} : { trainer: { blocks } }),
    ...(version === null ? {} : { datasetVersionId: version.id }),
  };
}
