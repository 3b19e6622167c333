import type { Json } from "./digest.js";
import type { ModelSource } from "./model.js";
import {
  CONFIDENCE,
  type DataSource,
  isTrained,
  type LearningRatePolicy,
  type RobustnessRequest,
  type SampleSize,
  type Trainer,
} from "./robustness.js";
import { type Candidate, type Family, familiesOf, plannedRates, type TrainCell } from "./robustness-cells.js";

// What a pod is told, written as docs/contract.md says. A spec carries what can change its run's result and nothing else, so that
// equal work has equal digests.

/** Facts that the plan depends on beside the request. */
export interface PlanContext {
  readonly model: { readonly digest: string; readonly source: ModelSource };
  /** SHA-256 of the uploaded file; null for data that is generated or fetched. */
  readonly datasetDigest: string | null;
  /** Source digest of the capability's code. */
  readonly codeDigest: string;
  /** Makes the ids; passed in so that the plan stays pure. */
  readonly newId: () => string;
}

type Spec = { readonly [key: string]: Json | undefined };

/** Few prepare runs go on at once, and everything waits for them; the count is part of the spec because it can change the last bits. */
const PREPARE_THREADS = 2;

/** A report's place in a plan. */
export interface ReportParts {
  readonly cells: readonly TrainCell[];
  readonly prepared: readonly (Family & { readonly seed: number })[];
  readonly selections: readonly Family[];
}

/** Writes the specs of one request. */
export class RobustnessSpecs {
  readonly #request: RobustnessRequest;
  readonly #context: PlanContext;
  readonly #shared: Spec;

  constructor(request: RobustnessRequest, context: PlanContext) {
    this.#request = request;
    this.#context = context;
    this.#shared = {
      capability: "robustness",
      version: 2,
      codeDigest: context.codeDigest,
      model: { digest: context.model.digest, source: { ...context.model.source } },
      size: sizeSpec(request.size),
      rateMode: request.rateMode,
      precision: request.precision.toLowerCase(),
      threads: 1,
    };
  }

  /** Of the run that makes a family's items with one seed. No learning rate and no epochs: they change nothing here. */
  prepare(family: Family, seed: number): Json {
    const { trainer, warmup } = this.#request;
    const { kind, promptsPerStep, maxLength } = trainer;
    return {
      ...this.#of(family, "prepare", seed),
      threads: PREPARE_THREADS,
      warmup: warmup === null ? null : { pairs: warmup.pairs },
      trainer: { kind, ...(kind === "TOP_BLOCKS" ? { blocks: trainer.blocks } : {}), promptsPerStep, maxLength },
    };
  }

  /** Of a family's warm-up with one seed. */
  warmup(family: Family, seed: number): Json {
    return { ...this.#training(family, seed), step: "warmup" };
  }

  /** Of a train run that tries a learning rate at rate 0. */
  tune(family: Family, { method, learningRate }: Candidate, seed: number): Json {
    return {
      ...this.#training(family, seed),
      step: "train",
      purpose: "TUNE",
      method,
      spuriousness: 0,
      learningRate,
      curve: false,
    };
  }

  /** Of the choice of a family's learning rates. */
  select(family: Family, candidates: readonly Candidate[], seed: number): Json {
    return {
      ...this.#of(family, "select", seed),
      candidates: candidates.map(({ method, learningRate }, input) => ({ input, method, learningRate })),
    };
  }

  /** Of a cell of the grid. */
  train(cell: TrainCell): Json {
    const { method, spuriousness, variant, learningRate, seed } = cell;
    const spec = { ...this.#training(cell, seed), step: "train", purpose: "CELL", method };
    if (!isTrained(method)) return spec;
    return {
      ...spec,
      spuriousness,
      ...(variant === null ? {} : { variant: { ...variant } }),
      learningRate,
      curve: this.#request.learningRates.policy === "WHOLE_GRID",
    };
  }

  /** Of the report over all cells. */
  report({ cells, prepared, selections }: ReportParts): Json {
    const request = this.#request;
    const [only, ...others] = familiesOf(request);
    const { policy, rates, grid } = request.learningRates;
    return {
      ...this.#shared,
      step: "report",
      name: request.name,
      preset: request.preset === null ? null : request.preset.toLowerCase(),
      // Of several families each cell says which it is of.
      data: this.#data(only !== undefined && others.length === 0 ? only : {}),
      warmup: request.warmup === null ? null : { ...request.warmup },
      trainer: { ...trainerSpec(request.trainer), learningRate: policy === "FIXED" ? { ...rates } : null },
      grid: {
        methods: request.methods,
        tasks: request.tasks,
        artifacts: request.source.kind === "PREFERENCE" ? [] : request.artifacts,
        spuriousness: plannedRates(request.spuriousness),
        seeds: request.seeds,
        learningRates: policy === "FIXED" ? null : { policy, ...grid },
      },
      cells: cells.map((cell, input) => ({ input, ...cellSpec(cell, policy) })),
      prepared: prepared.map(({ task, artifact, seed }, input) => ({ input, task, artifact, seed })),
      selections: selections.map(({ task, artifact }, input) => ({ input, task, artifact })),
      contrast: request.contrast === null ? null : { ...request.contrast },
      practicalThreshold: request.practicalThreshold,
      confidence: CONFIDENCE,
    };
  }

  #of(family: Family, step: string, seed: number): Spec {
    const size = sizeSpec(this.#request.size, family.artifact === "DISTRIBUTIONAL_NARROWNESS");
    return { ...this.#shared, size, data: this.#data(family), step, seed };
  }

  #training(family: Family, seed: number): Spec {
    const { warmup, trainer } = this.#request;
    return {
      ...this.#of(family, "train", seed),
      warmup: warmup === null ? null : { ...warmup },
      trainer: trainerSpec(trainer),
    };
  }

  #data({ task, artifact }: Partial<Family>): Spec {
    const { source, core } = this.#request;
    return dataSpec(source, { task, artifact }, { core, digest: this.#context.datasetDigest });
  }
}

function dataSpec(
  source: DataSource,
  family: Spec,
  { core, digest }: { readonly core: string; readonly digest: string | null },
): Spec {
  switch (source.kind) {
    case "GENERATED":
      return { ...source, ...family, core };
    case "PREFERENCE":
      return { kind: "UPLOADED", digest };
    case "ITEMS":
      return { ...source, digest, ...family, core };
    case "HUB":
      return { ...source, ...family, core };
    default:
      return source satisfies never;
  }
}

/** The sizes of a family: where there are slices, validation and test count each slice for itself. */
function sizeSpec({ sliceValidationPairs, sliceTestPairs, ...size }: SampleSize, sliced = false): Spec {
  return sliced ? { ...size, validationPairs: sliceValidationPairs, testPairs: sliceTestPairs } : size;
}

function trainerSpec({ kind, blocks, loraRank, ...settings }: Trainer): Spec {
  return {
    kind,
    ...(kind === "TOP_BLOCKS" ? { blocks } : {}),
    ...(kind === "TRL_LORA" ? { loraRank } : {}),
    ...settings,
  };
}

/** A cell as the report reads it: what it has not is absent, and so is a learning rate that all cells of its method share. */
function cellSpec(
  { task, artifact, method, spuriousness, variant, learningRate, seed }: TrainCell,
  policy: LearningRatePolicy,
): Spec {
  return {
    task,
    artifact,
    method,
    seed,
    ...(spuriousness === null ? {} : { spuriousness }),
    ...(variant === null ? {} : { variant: { ...variant } }),
    ...(learningRate === null || policy !== "WHOLE_GRID" ? {} : { learningRate }),
  };
}

/** A request as canonical JSON can say it. */
export function requestSpec(request: RobustnessRequest): Spec {
  const { warmup, learningRates, mitigations, trainer, size, contrast, source, ...grid } = request;
  return {
    ...grid,
    source: { ...source },
    warmup: warmup === null ? null : { ...warmup },
    learningRates: { ...learningRates, rates: { ...learningRates.rates }, grid: { ...learningRates.grid } },
    mitigations: { ...mitigations },
    trainer: { ...trainer },
    size: { ...size },
    contrast: contrast === null ? null : { ...contrast },
  };
}

/** What is stored of a request, from which its extensions are planned. */
export function experimentSpec(request: RobustnessRequest, { model, datasetDigest, codeDigest }: PlanContext): Json {
  return { ...requestSpec(request), modelDigest: model.digest, datasetDigest, codeDigest };
}
