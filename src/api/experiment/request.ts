import {
  defaultSize,
  defaultTrainer,
  type RobustnessRequest,
  type SampleSize,
  type Trainer,
} from "../../domain/robustness.js";
import type { RobustnessInput, SampleSizeInput, TrainerInput } from "./robustness.input.js";

/** The domain's request with every default filled in. Nothing of the input gets past the fields that are named here. */
export function requestOf(input: RobustnessInput): RobustnessRequest {
  const { name, methods, tasks, artifacts, spuriousness, seeds, contrast } = input;
  return {
    name,
    methods,
    tasks: tasks ?? [],
    artifacts: artifacts ?? ["FEATURE_AMBIGUITY"],
    spuriousness,
    seeds,
    trainer: trainerOf(input.trainer ?? {}),
    size: sizeOf(input.size ?? {}),
    contrast: contrast ? { method: contrast.method, from: contrast.from, to: contrast.to } : null,
    practicalThreshold: input.practicalThreshold ?? 0.05,
  };
}

function trainerOf(input: TrainerInput): Trainer {
  const { learningRate, learningRates } = input;
  return {
    kind: input.kind ?? defaultTrainer.kind,
    blocks: input.blocks ?? defaultTrainer.blocks,
    loraRank: input.loraRank ?? defaultTrainer.loraRank,
    epochs: input.epochs ?? defaultTrainer.epochs,
    promptsPerStep: input.promptsPerStep ?? defaultTrainer.promptsPerStep,
    learningRate: {
      SFT: learningRates?.sft ?? learningRate ?? defaultTrainer.learningRate.SFT,
      DPO: learningRates?.dpo ?? learningRate ?? defaultTrainer.learningRate.DPO,
      KTO: learningRates?.kto ?? learningRate ?? defaultTrainer.learningRate.KTO,
    },
    beta: input.beta ?? defaultTrainer.beta,
  };
}

function sizeOf(input: SampleSizeInput): SampleSize {
  return {
    trainPairs: input.trainPairs ?? defaultSize.trainPairs,
    validationPairs: input.validationPairs ?? defaultSize.validationPairs,
    testPairs: input.testPairs ?? defaultSize.testPairs,
    generationItems: input.generationItems ?? defaultSize.generationItems,
  };
}
