import { canonicalJson, digestOf, type Json, sha256 } from "./digest.js";
import type { PlannedExperiment } from "./experiment.js";
import type { ModelSource } from "./model.js";
import type { PlannedRun, RunInput } from "./run.js";

/** How the model is tuned; BASE is the untrained model, always measured. */
export const tuningMethods = ["BASE", "SFT", "DPO", "KTO"] as const;
export type TuningMethod = (typeof tuningMethods)[number];

/** What the generated data teaches. KEYWORD_INCLUSION: "write one sentence with the word W", with an opener as the cue. */
export const robustnessTasks = ["KEYWORD_INCLUSION"] as const;
export type RobustnessTask = (typeof robustnessTasks)[number];

/** The kind of spurious correlation. FEATURE_AMBIGUITY: a surface cue and the rule both pick out the right answer. */
export const spuriousArtifacts = ["FEATURE_AMBIGUITY"] as const;
export type SpuriousArtifact = (typeof spuriousArtifacts)[number];

/** TOP_BLOCKS trains the top blocks on cached activations of the frozen trunk; TRL_* use the TRL trainers. */
export const trainerKinds = ["TOP_BLOCKS", "TRL_LORA", "TRL_FULL"] as const;
export type TrainerKind = (typeof trainerKinds)[number];

type TrainedMethod = Exclude<TuningMethod, "BASE">;

/** The trainer and its settings; figures of different trainers are never compared. */
export interface Trainer {
  readonly kind: TrainerKind;
  /** Trained top blocks, for TOP_BLOCKS. */
  readonly blocks: number;
  /** Rank of the adapters, for TRL_LORA. */
  readonly loraRank: number;
  readonly epochs: number;
  /** Prompts per optimiser step, the same for every method; KTO sees two rows of each. */
  readonly promptsPerStep: number;
  readonly learningRate: Readonly<Record<TrainedMethod, number>>;
  /** Weight of the divergence from the reference in DPO and KTO. */
  readonly beta: number;
}

/** How many items there are; a pair is one core item with all its renders. */
export interface SampleSize {
  readonly trainPairs: number;
  readonly validationPairs: number;
  readonly testPairs: number;
  readonly generationItems: number;
}

/** A contrast that is named before anything runs: conflicting accuracy at `from` minus at `to`. */
export interface Contrast {
  readonly method: TuningMethod;
  readonly from: number;
  readonly to: number;
}

/** What a robustness experiment asks, with every default filled in. Uploaded data has `datasetDigest` and no tasks. */
export interface RobustnessRequest {
  readonly name: string;
  readonly methods: readonly TuningMethod[];
  readonly tasks: readonly RobustnessTask[];
  readonly artifacts: readonly SpuriousArtifact[];
  readonly spuriousness: readonly number[];
  readonly seeds: readonly number[];
  readonly trainer: Trainer;
  readonly size: SampleSize;
  readonly contrast: Contrast | null;
  readonly practicalThreshold: number;
}

/** Facts that the plan depends on beside the request. */
export interface PlanContext {
  readonly model: { readonly digest: string; readonly source: ModelSource };
  /** SHA-256 of the uploaded rows, or null for generated data. */
  readonly datasetDigest: string | null;
  /** Source digest of the capability's code. */
  readonly codeDigest: string;
  /** Makes the ids; passed in so that the plan stays pure. */
  readonly newId: () => string;
}

/** The settings of a trainer when the request leaves them out. */
export const defaultTrainer: Trainer = {
  kind: "TOP_BLOCKS",
  blocks: 6,
  loraRank: 16,
  epochs: 2,
  promptsPerStep: 8,
  learningRate: { SFT: 2e-4, DPO: 2e-4, KTO: 2e-4 },
  beta: 0.1,
};

/** The sample sizes when the request leaves them out. */
export const defaultSize: SampleSize = { trainPairs: 96, validationPairs: 40, testPairs: 60, generationItems: 16 };

/** A plan never holds more runs than this. */
export const RUNS_MAX = 10_000;

/** Few prepare runs go on at once, and everything waits for them; the count is part of the spec because it can change the last bits. */
const PREPARE_THREADS = 2;

/** One train cell of the grid. */
interface TrainCell {
  readonly method: TuningMethod;
  readonly spuriousness: number | null;
  readonly seed: number;
}

/** The rates that are trained for every method: those asked for, and the negative control at 0. */
export function plannedRates(spuriousness: readonly number[]): number[] {
  return [...new Set([0, ...spuriousness])].sort((a, b) => a - b);
}

/**
 * The cells of the grid, controls included: the untrained base, rate 0 for every method,
 * and rate 1 for DPO (or the first method) as the positive control.
 */
export function trainCells(request: Pick<RobustnessRequest, "methods" | "spuriousness" | "seeds">): TrainCell[] {
  const methods = request.methods.filter((method) => method !== "BASE");
  const rates = plannedRates(request.spuriousness);
  const positive = methods.includes("DPO") ? "DPO" : methods[0];
  return request.seeds.flatMap((seed) => [
    { method: "BASE" as const, spuriousness: null, seed },
    ...methods.flatMap((method) =>
      (method === positive ? [...new Set([...rates, 1])] : rates).map((spuriousness) => ({
        method,
        spuriousness,
        seed,
      })),
    ),
  ]);
}

/** How many runs the request becomes: prepare runs, train cells and the report. */
export function runCount(request: Pick<RobustnessRequest, "methods" | "spuriousness" | "seeds">): number {
  return request.seeds.length + trainCells(request).length + 1;
}

/**
 * Plans a request that has no faults: a prepare run for each seed, the train cells, and the report.
 * Pure but for `newId`; equal requests in equal contexts give runs of equal digests.
 */
export function planRobustness(request: RobustnessRequest, context: PlanContext): PlannedExperiment {
  const shared = sharedSpec(request, context);
  const runs: PlannedRun[] = [];
  const digests = new Map<string, string>();
  const add = (run: Omit<PlannedRun, "id" | "position" | "digest" | "spec" | "specSha256">, spec: Json): PlannedRun => {
    const text = canonicalJson(spec);
    const planned: PlannedRun = {
      ...run,
      id: context.newId(),
      position: runs.length,
      spec: text,
      specSha256: sha256(text),
      digest: digestOf({ spec: text, inputs: run.inputs.map((input) => inputIdentity(input, digests)) }),
    };
    runs.push(planned);
    digests.set(planned.id, planned.digest);
    return planned;
  };
  const prepared = new Map<number, PlannedRun>();
  for (const seed of request.seeds) {
    const inputs: RunInput[] =
      context.datasetDigest === null
        ? []
        : [{ name: "upload", from: { kind: "ARTIFACT", sha256: context.datasetDigest }, required: true }];
    prepared.set(
      seed,
      add(
        { stage: 0, step: "prepare", cell: null, seed, inputs },
        { ...shared, step: "prepare", seed, threads: PREPARE_THREADS },
      ),
    );
  }
  const cells = trainCells(request).map((cell) => {
    const { method, spuriousness, seed } = cell;
    const spec = { ...shared, step: "train", seed, method, ...(spuriousness === null ? {} : { spuriousness }) };
    const published = { ...cell, task: request.tasks[0] ?? null, artifact: request.artifacts[0] ?? null };
    const inputs = trainInputs(prepared.get(seed), request.trainer.kind);
    return { cell, run: add({ stage: 1, step: "train", cell: published, seed, inputs }, spec) };
  });
  const reportInputs = [
    ...cells.flatMap(({ run }, i) => [
      fromRun(`items:${i}`, run, "items.jsonl", false),
      fromRun(`result:${i}`, run, "result.json", false),
    ]),
    ...[...prepared].map(([seed, run]) => fromRun(`prepared:${seed}`, run, "result.json", false)),
  ];
  add({ stage: 2, step: "report", cell: null, seed: null, inputs: reportInputs }, reportSpec(request, shared, cells));
  const spec = experimentSpec(request, context);
  return { capability: "ROBUSTNESS", name: request.name, spec, specSha256: digestOf(spec), stageCount: 3, runs };
}

function trainInputs(prepared: PlannedRun | undefined, kind: TrainerKind): RunInput[] {
  if (prepared === undefined) return [];
  const records = fromRun("records", prepared, "records.jsonl", true);
  return kind === "TOP_BLOCKS" ? [records, fromRun("trunk", prepared, "trunk.safetensors", true)] : [records];
}

function fromRun(name: string, run: PlannedRun, artifact: string, required: boolean): RunInput {
  return { name, from: { kind: "RUN", runId: run.id, artifact }, required };
}

/** What an input is, apart from the ids of this plan: the digest of the run that makes it, or of the file. */
function inputIdentity(input: RunInput, digests: ReadonlyMap<string, string>): Json {
  const { from, name } = input;
  if (from.kind === "ARTIFACT") return { name, sha256: from.sha256 };
  return { name, artifact: from.artifact, run: digests.get(from.runId) ?? null };
}

function sharedSpec(request: RobustnessRequest, context: PlanContext): { [key: string]: Json } {
  const { kind, blocks, loraRank, ...training } = request.trainer;
  return {
    capability: "robustness",
    version: 1,
    codeDigest: context.codeDigest,
    model: { digest: context.model.digest, source: { ...context.model.source } },
    data:
      context.datasetDigest === null
        ? { kind: "GENERATED", cell: "swapOpener" }
        : { kind: "UPLOADED", digest: context.datasetDigest },
    size: { ...request.size },
    trainer: {
      kind,
      ...(kind === "TOP_BLOCKS" ? { blocks } : {}),
      ...(kind === "TRL_LORA" ? { loraRank } : {}),
      ...training,
      learningRate: { ...training.learningRate },
    },
    precision: "fp32",
    threads: 1,
  };
}

function reportSpec(
  request: RobustnessRequest,
  shared: { [key: string]: Json },
  cells: readonly { readonly cell: TrainCell }[],
): Json {
  return {
    ...shared,
    step: "report",
    name: request.name,
    grid: { methods: request.methods, spuriousness: plannedRates(request.spuriousness), seeds: request.seeds },
    cells: cells.map(({ cell: { method, spuriousness, seed } }, input) => ({
      input,
      method,
      seed,
      ...(spuriousness === null ? {} : { spuriousness }),
    })),
    contrast: request.contrast === null ? null : { ...request.contrast },
    practicalThreshold: request.practicalThreshold,
    confidence: 0.95,
  };
}

function experimentSpec(request: RobustnessRequest, context: PlanContext): Json {
  return {
    ...request,
    trainer: { ...request.trainer, learningRate: { ...request.trainer.learningRate } },
    size: { ...request.size },
    contrast: request.contrast === null ? null : { ...request.contrast },
    modelDigest: context.model.digest,
    datasetDigest: context.datasetDigest,
    codeDigest: context.codeDigest,
  };
}
