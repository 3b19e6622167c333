import { Field, Float, ID, InputType, Int, ObjectType } from "type-graphql";
import type {
  Contrast,
  RobustnessTask,
  SampleSize,
  SpuriousArtifact,
  TrainerKind,
  TuningMethod,
} from "../../domain/robustness.js";
import { RobustnessTaskEnum, SpuriousArtifactEnum, TrainerKindEnum, TuningMethodEnum } from "../enums.js";
import { UserErrorType } from "../error/error.type.js";
import { RobustnessExperimentType } from "./experiment.type.js";
import { SubmitOptionsInput } from "./options.input.js";

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

@InputType({ description: "The trainer and its settings; what is left out takes its default." })
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

  @Field(() => Float, { nullable: true, description: "Learning rate of every method. Default 2e-4." })
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
}

@InputType({ description: "How many items there are; what is left out takes its default." })
export class SampleSizeInput implements Optional<SampleSize> {
  @Field(() => Int, { nullable: true, description: "Pairs to train on. Default 96." })
  readonly trainPairs?: number | null;

  @Field(() => Int, { nullable: true, description: "Pairs that tell whether the core was learned. Default 40." })
  readonly validationPairs?: number | null;

  @Field(() => Int, { nullable: true, description: "Held-out pairs that every figure is about. Default 60." })
  readonly testPairs?: number | null;

  @Field(() => Int, { nullable: true, description: "Items for which text is generated and checked. Default 16." })
  readonly generationItems?: number | null;
}

@InputType({
  description: "A contrast that is named before anything runs: conflicting accuracy at `from` minus at `to`.",
})
export class ContrastInput implements Contrast {
  @Field(() => TuningMethodEnum, { description: "A trained method of the grid." })
  readonly method!: TuningMethod;

  @Field(() => Float, { description: "A rate of the grid." })
  readonly from!: number;

  @Field(() => Float, { description: "Another rate of the grid." })
  readonly to!: number;
}

@InputType({ description: "What a robustness experiment asks." })
export class RobustnessInput {
  @Field(() => ID, { description: "The project that will hold it." })
  readonly projectId!: string;

  @Field(() => String, { description: "Its name, 1 to 200 characters." })
  readonly name!: string;

  @Field(() => ID, { description: "The model, as registerModel named it." })
  readonly modelId!: string;

  @Field(() => [TuningMethodEnum], { description: "Methods to compare; the untrained base is always measured." })
  readonly methods!: TuningMethod[];

  @Field(() => [RobustnessTaskEnum], {
    nullable: true,
    description: "What generated data teaches; none beside an uploaded data set.",
  })
  readonly tasks?: RobustnessTask[] | null;

  @Field(() => [SpuriousArtifactEnum], {
    nullable: true,
    description: "The kinds of spurious correlation. Default FEATURE_AMBIGUITY.",
  })
  readonly artifacts?: SpuriousArtifact[] | null;

  @Field(() => [Float], { description: "Spuriousness rates, each 0 to 1; rate 0 is always measured as a control." })
  readonly spuriousness!: number[];

  @Field(() => [Int], { description: "Seeds, each 0 to 2147483647; every cell is run once with each." })
  readonly seeds!: number[];

  @Field(() => ID, { nullable: true, description: "Uploaded rows in place of generated ones." })
  readonly datasetVersionId?: string | null;

  @Field(() => TrainerInput, { nullable: true, description: "The trainer and its settings." })
  readonly trainer?: TrainerInput | null;

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
