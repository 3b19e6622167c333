import { Field, Float, ID, InputType, Int, ObjectType } from "type-graphql";
import type {
  ClaimScope,
  ItemFormat,
  Precision,
  Preset,
  RateMode,
  RobustnessCore,
  RobustnessTask,
  SpuriousArtifact,
  TuningMethod,
} from "../../domain/robustness.js";
import {
  ClaimScopeEnum,
  ItemFormatEnum,
  PrecisionEnum,
  RateModeEnum,
  RobustnessCoreEnum,
  RobustnessPresetEnum,
  RobustnessTaskEnum,
  SpuriousArtifactEnum,
  TuningMethodEnum,
} from "../enums.js";
import { UserErrorType } from "../error/error.type.js";
import { RobustnessExperimentType } from "./experiment.type.js";
import { SubmitOptionsInput } from "./options.input.js";
import {
  LearningRatePolicyInput,
  MitigationsInput,
  SampleSizeInput,
  TrainerInput,
  WarmupInput,
} from "./training.input.js";

@InputType({
  description:
    "A contrast that is named before anything runs: accuracy without the correlation's help at `from` minus at `to`.",
})
export class ContrastInput {
  @Field(() => TuningMethodEnum, { description: "A trained method of the grid." })
  readonly method!: TuningMethod;

  @Field(() => Float, { description: "A rate of the grid." })
  readonly from!: number;

  @Field(() => Float, { description: "Another rate of the grid." })
  readonly to!: number;

  @Field(() => RobustnessTaskEnum, {
    nullable: true,
    description: "A task of the grid; may be left out where there is one.",
  })
  readonly task?: RobustnessTask | null;

  @Field(() => SpuriousArtifactEnum, {
    nullable: true,
    description: "An artifact of the grid; may be left out where there is one.",
  })
  readonly artifact?: SpuriousArtifact | null;

  @Field(() => ClaimScopeEnum, {
    nullable: true,
    description: "What it is about. Default CHECKPOINT; METHOD needs at least 6 seeds.",
  })
  readonly scope?: ClaimScope | null;
}

@InputType({ description: "A data set of the Hugging Face hub, which pods fetch where their network lets them." })
export class HubDatasetInput {
  @Field(() => ItemFormatEnum, { description: "What its rows are." })
  readonly format!: ItemFormat;

  @Field(() => String, { description: "The data set as owner/name." })
  readonly id!: string;

  @Field(() => String, { nullable: true, description: "Its configuration, where it has several." })
  readonly config?: string | null;

  @Field(() => String, { description: "The split to read." })
  readonly split!: string;

  @Field(() => String, { description: "The commit, 40 hex digits." })
  readonly revision!: string;
}

const orPreset = "Needed unless a preset says it.";

@InputType({ description: "What a robustness experiment asks." })
export class RobustnessInput {
  @Field(() => ID, { description: "The project that will hold it." })
  readonly projectId!: string;

  @Field(() => String, { description: "Its name, 1 to 200 characters." })
  readonly name!: string;

  @Field(() => ID, { description: "The model, as registerModel named it." })
  readonly modelId!: string;

  @Field(() => RobustnessPresetEnum, {
    nullable: true,
    description: "Values for everything that is left out; a field that is given counts in place of the preset's.",
  })
  readonly preset?: Preset | null;

  @Field(() => [TuningMethodEnum], {
    nullable: true,
    description: `Methods to compare; the untrained base is always measured. ${orPreset}`,
  })
  readonly methods?: TuningMethod[] | null;

  @Field(() => [RobustnessTaskEnum], {
    nullable: true,
    description:
      "What generated data teaches; none beside uploaded preference rows, and the format's own beside items.",
  })
  readonly tasks?: RobustnessTask[] | null;

  @Field(() => [SpuriousArtifactEnum], {
    nullable: true,
    description: "The kinds of spurious correlation, each with each task. Default FEATURE_AMBIGUITY.",
  })
  readonly artifacts?: SpuriousArtifact[] | null;

  @Field(() => RobustnessCoreEnum, { nullable: true, description: "How hard generated items are. Default LAPTOP." })
  readonly core?: RobustnessCore | null;

  @Field(() => [Float], {
    nullable: true,
    description: `Spuriousness rates, each 0 to 1; rate 0 is always measured as a control. ${orPreset}`,
  })
  readonly spuriousness?: number[] | null;

  @Field(() => RateModeEnum, { nullable: true, description: "What a rate counts. Default CORRELATION." })
  readonly rateMode?: RateMode | null;

  @Field(() => [Int], {
    nullable: true,
    description: `Seeds, each 0 to 2147483647; every cell is run once with each. ${orPreset}`,
  })
  readonly seeds?: number[] | null;

  @Field(() => ID, {
    nullable: true,
    description:
      "An upload in place of generated items: preference rows with renders of their own, or items to inject into.",
  })
  readonly datasetVersionId?: string | null;

  @Field(() => HubDatasetInput, { nullable: true, description: "Items of the hub in place of generated ones." })
  readonly hub?: HubDatasetInput | null;

  @Field(() => WarmupInput, { nullable: true, description: "A warm-up before the methods. Default none." })
  readonly warmup?: WarmupInput | null;

  @Field(() => LearningRatePolicyInput, {
    nullable: true,
    description:
      "Where learning rates come from. Default FIXED, or the preset's policy unless the trainer names rates.",
  })
  readonly learningRates?: LearningRatePolicyInput | null;

  @Field(() => MitigationsInput, {
    nullable: true,
    description: "What to try against the correlation. Default nothing.",
  })
  readonly mitigations?: MitigationsInput | null;

  @Field(() => TrainerInput, { nullable: true, description: "The trainer and its settings." })
  readonly trainer?: TrainerInput | null;

  @Field(() => PrecisionEnum, { nullable: true, description: "Of weights and activations. Default FP32." })
  readonly precision?: Precision | null;

  @Field(() => SampleSizeInput, { nullable: true, description: "How many items there are." })
  readonly size?: SampleSizeInput | null;

  @Field(() => ContrastInput, {
    nullable: true,
    description: "The one contrast that is declared before anything runs.",
  })
  readonly contrast?: ContrastInput | null;

  @Field(() => Float, {
    nullable: true,
    description: "A difference smaller than this does not matter to you, 0 to 1. Default 0.05.",
  })
  readonly practicalThreshold?: number | null;

  @Field(() => SubmitOptionsInput, { nullable: true, description: "How its runs are served." })
  readonly options?: SubmitOptionsInput | null;
}

@InputType({ description: "A robustness experiment to submit." })
export class SubmitRobustnessInput {
  @Field(() => RobustnessInput, { description: "What it asks." })
  readonly spec!: RobustnessInput;

  @Field(() => String, {
    description:
      "1 to 200 characters. The same key with the same request answers the same experiment, however often it is sent.",
  })
  readonly idempotencyKey!: string;

  @Field(() => String, { nullable: true, description: "Comes back as it is." })
  readonly clientMutationId?: string | null;
}

@ObjectType({ description: "Answer to submitRobustnessExperiment." })
export class SubmitRobustnessPayload {
  @Field(() => RobustnessExperimentType, {
    nullable: true,
    description: "The experiment; stored for good once it is answered.",
  })
  readonly experiment!: object | null;

  @Field(() => Boolean, { description: "Whether the idempotency key was seen before; nothing was stored then." })
  readonly replayed!: boolean;

  @Field(() => [UserErrorType], { description: "What is wrong with the request; empty when it was done." })
  readonly errors!: readonly object[];

  @Field(() => String, { nullable: true, description: "As it came." })
  readonly clientMutationId!: string | null;
}
