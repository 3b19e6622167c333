import { Field, Float, InputType, Int } from "type-graphql";
import type {
  Attention,
  LearningRatePolicy,
  Mitigations,
  SampleSize,
  TrainerKind,
  Warmup,
} from "../../domain/robustness.js";
import { AttentionEnum, LearningRatePolicyEnum, TrainerKindEnum } from "../enums.js";

type Optional<T> = { readonly [P in keyof T]?: T[P] | null };

@InputType({ description: "A learning rate for each method." })
export class LearningRatesInput {
  @Field(() => Float, { nullable: true, description: "For SFT." })
  readonly sft?: number | null;

  @Field(() => Float, { nullable: true, description: "For DPO." })
  readonly dpo?: number | null;

  @Field(() => Float, { nullable: true, description: "For KTO." })
  readonly kto?: number | null;
}

@InputType({ description: "Learning rates for single methods, as many for each as for any other." })
export class LearningRateGridsInput {
  @Field(() => [Float], { nullable: true, description: "For SFT." })
  readonly sft?: number[] | null;

  @Field(() => [Float], { nullable: true, description: "For DPO." })
  readonly dpo?: number[] | null;

  @Field(() => [Float], { nullable: true, description: "For KTO." })
  readonly kto?: number[] | null;
}

@InputType({ description: "Where learning rates come from." })
export class LearningRatePolicyInput {
  @Field(() => LearningRatePolicyEnum, { description: "FIXED takes the trainer's, the others take a grid." })
  readonly policy!: LearningRatePolicy;

  @Field(() => [Float], {
    nullable: true,
    description: "The grid of every method, 2 to 20 rates. Default 5e-5, 1e-4, 2e-4.",
  })
  readonly grid?: number[] | null;

  @Field(() => LearningRateGridsInput, { nullable: true, description: "Grids of single methods, in place of grid." })
  readonly grids?: LearningRateGridsInput | null;
}

@InputType({ description: "The trainer and its settings; what is left out takes the preset's value or its default." })
export class TrainerInput {
  @Field(() => TrainerKindEnum, { nullable: true, description: "What trains. Default TOP_BLOCKS." })
  readonly kind?: TrainerKind | null;

  @Field(() => Int, { nullable: true, description: "Top blocks that are trained, for TOP_BLOCKS. Default 6." })
  readonly blocks?: number | null;

  @Field(() => Int, { nullable: true, description: "Rank of the adapters, for TRL_LORA. Default 16." })
  readonly loraRank?: number | null;

  @Field(() => Int, { nullable: true, description: "Passes over the training pairs. Default 2." })
  readonly epochs?: number | null;

  @Field(() => Int, {
    nullable: true,
    description: "Prompts per optimiser step, the same for every method. Default 8.",
  })
  readonly promptsPerStep?: number | null;

  @Field(() => Float, { nullable: true, description: "Learning rate of every method, for FIXED. Default 2e-4." })
  readonly learningRate?: number | null;

  @Field(() => LearningRatesInput, {
    nullable: true,
    description: "Learning rates of single methods, in place of learningRate.",
  })
  readonly learningRates?: LearningRatesInput | null;

  @Field(() => Float, {
    nullable: true,
    description: "Weight of the divergence from the reference in DPO and KTO. Default 0.1.",
  })
  readonly beta?: number | null;

  @Field(() => Boolean, {
    nullable: true,
    description: "Whether activations are computed anew in the backward pass, for TRL_*. Default false.",
  })
  readonly gradientCheckpointing?: boolean | null;

  @Field(() => AttentionEnum, { nullable: true, description: "How attention is computed. Default SDPA." })
  readonly attention?: Attention | null;

  @Field(() => Int, {
    nullable: true,
    description: "Tokens of a prompt and its completion at most, 16 to 131072. Default 512, with the core FULL 1024.",
  })
  readonly maxLength?: number | null;
}

@InputType({
  description: "A short supervised tuning on rate-0 data, from which all methods start and which is their reference.",
})
export class WarmupInput implements Optional<Warmup> {
  @Field(() => Int, { description: "Pairs of its own to train on; 0 for no warm-up where a preset has one." })
  readonly pairs!: number;

  @Field(() => Int, { nullable: true, description: "Passes over them. Default 2." })
  readonly epochs?: number | null;

  @Field(() => Float, { nullable: true, description: "Its learning rate. Default 2e-4." })
  readonly learningRate?: number | null;
}

@InputType({
  description:
    "What one would try next; each is trained beside the plain cells at the highest rate that leaves free rows, over FEATURE_AMBIGUITY.",
})
export class MitigationsInput implements Optional<Mitigations> {
  @Field(() => Float, {
    nullable: true,
    description: "Share of pairs that differ in the cue alone, above 0 and below 1, with the symmetric DPO loss.",
  })
  readonly tieFraction?: number | null;

  @Field(() => Boolean, {
    nullable: true,
    description: "Rows sampled so that aligned and conflicting ones weigh alike.",
  })
  readonly groupBalanced?: boolean | null;

  @Field(() => Float, {
    nullable: true,
    description: "Step size of the group weights of group DRO on the SFT loss, above 0 and at most 10.",
  })
  readonly groupDroStepSize?: number | null;
}

@InputType({ description: "How many items there are; what is left out takes the preset's value or its default." })
export class SampleSizeInput implements Optional<SampleSize> {
  @Field(() => Int, { nullable: true, description: "Pairs to train on. Default 96." })
  readonly trainPairs?: number | null;

  @Field(() => Int, {
    nullable: true,
    description: "Pairs that tell whether the core was learned. Default 40.",
  })
  readonly validationPairs?: number | null;

  @Field(() => Int, {
    nullable: true,
    description: "Held-out pairs that every figure is about. Default 60.",
  })
  readonly testPairs?: number | null;

  @Field(() => Int, {
    nullable: true,
    description: "For DISTRIBUTIONAL_NARROWNESS in place of validationPairs: items of each slice. Default 20.",
  })
  readonly sliceValidationPairs?: number | null;

  @Field(() => Int, {
    nullable: true,
    description: "For DISTRIBUTIONAL_NARROWNESS in place of testPairs: items of each slice. Default 30.",
  })
  readonly sliceTestPairs?: number | null;

  @Field(() => Int, { nullable: true, description: "Items for which text is generated and checked. Default 16." })
  readonly generationItems?: number | null;
}
