import { Field, Float, ID, InputType, Int, ObjectType } from "type-graphql";
import type { ApproximateKind, CollectionKind, ExpansionKind, GatePolicy, QuerySplit } from "../../domain/retrieval.js";
import {
  ApproximateKindEnum,
  ExpansionKindEnum,
  GatePolicyEnum,
  PoolingEnum,
  QuerySplitKindEnum,
  RetrievalCollectionKindEnum,
  VectorStorageEnum,
} from "../enums.js";
import { UserErrorType } from "../error/error.type.js";
import { RetrievalExperimentType } from "./experiment.type.js";
import { SubmitOptionsInput } from "./options.input.js";

const maybe = { nullable: true } as const;

@InputType({ description: "A generated collection, in which only expansions explain what a query asks for." })
export class PlantedCollectionInput {
  @Field(() => Int, { ...maybe, description: "Topics that training queries name, 2 to 100. Default 60." })
  readonly topics?: number | null;

  @Field(() => Int, { ...maybe, description: "Topics that test queries alone name, 0 to 98. Default 20." })
  readonly unseenTopics?: number | null;

  @Field(() => Int, { ...maybe, description: "Ways to ask for a topic, 2 to 16. Default 12." })
  readonly phrasings?: number | null;

  @Field(() => Int, { ...maybe, description: "Documents of a topic, all relevant, 1 to 200. Default 8." })
  readonly documentsPerTopic?: number | null;

  @Field(() => Int, { ...maybe, description: "What it is drawn by. Default 7." })
  readonly seed?: number | null;
}

@InputType({ description: "What is searched, asked and judged." })
export class RetrievalCollectionInput {
  @Field(() => RetrievalCollectionKindEnum, { description: "Where it comes from." })
  readonly kind!: CollectionKind;

  @Field(() => PlantedCollectionInput, { ...maybe, description: "Its size, for PLANTED." })
  readonly planted?: PlantedCollectionInput | null;

  @Field(() => ID, { ...maybe, description: "A version of kind CORPUS, for UPLOADED." })
  readonly corpusVersionId?: string | null;

  @Field(() => ID, { ...maybe, description: "A version of kind QUERIES, for UPLOADED." })
  readonly queriesVersionId?: string | null;

  @Field(() => ID, {
    ...maybe,
    description: "A version of kind QRELS, for UPLOADED: of all queries, or with the split GIVEN of the test queries.",
  })
  readonly qrelsVersionId?: string | null;

  @Field(() => ID, { ...maybe, description: "Judgements of the training queries, with the split GIVEN." })
  readonly qrelsTrainVersionId?: string | null;

  @Field(() => ID, { ...maybe, description: "Judgements of the dev queries, with the split GIVEN." })
  readonly qrelsDevVersionId?: string | null;
}

@InputType({ description: "How queries are divided. Equal texts and ids never come into two parts." })
export class QuerySplitInput {
  @Field(() => QuerySplitKindEnum, { description: "By what." })
  readonly kind!: QuerySplit["kind"];

  @Field(() => Float, { ...maybe, description: "Share of dev queries, of all or of a fold's others. Default 0.15." })
  readonly dev?: number | null;

  @Field(() => Float, { ...maybe, description: "Share of test queries, for HASH. Default 0.5." })
  readonly test?: number | null;

  @Field(() => Int, { ...maybe, description: "Folds, for CROSS_FIT, 2 to 20. Default 5." })
  readonly folds?: number | null;
}

@InputType({ description: "What a relevance code counts." })
export class RelevanceGainInput {
  @Field(() => Int, { description: "The code." })
  readonly code!: number;

  @Field(() => Int, { description: "Its gain; 0 for not relevant." })
  readonly gain!: number;
}

@InputType({ description: "Where the texts come from that expand queries." })
export class ExpansionInput {
  @Field(() => ExpansionKindEnum, { description: "Where from." })
  readonly kind!: ExpansionKind;

  @Field(() => ID, { ...maybe, description: "A version of kind EXPANSIONS, for UPLOADED." })
  readonly versionId?: string | null;

  @Field(() => ID, { ...maybe, description: "A registered language model that the pods run, for LOCAL." })
  readonly modelId?: string | null;

  @Field(() => Int, { ...maybe, description: "Documents that are taken, for PRF. Default 3." })
  readonly documents?: number | null;

  @Field(() => Int, { ...maybe, description: "Words of each, for PRF. Default 48." })
  readonly words?: number | null;

  @Field(() => String, { ...maybe, description: "An OpenAI-compatible address, with /v1, for ENDPOINT." })
  readonly url?: string | null;

  @Field(() => String, { ...maybe, description: "The model's name there." })
  readonly model?: string | null;

  @Field(() => String, {
    ...maybe,
    description: "What is sent, with {query} where the query goes; kept as it is, and hashed.",
  })
  readonly prompt?: string | null;

  @Field(() => Int, { ...maybe, description: "Texts for each query, 1 to 16. Default 1." })
  readonly samples?: number | null;

  @Field(() => Float, { ...maybe, description: "0 to 2. Default 0.7, for LOCAL 0." })
  readonly temperature?: number | null;

  @Field(() => Int, { ...maybe, description: "The longest text. Default 128, for LOCAL 64." })
  readonly maxTokens?: number | null;

  @Field(() => String, {
    ...maybe,
    description: "The pods' variable that holds the key, ASSAY_TEACHER_ and a name; the key itself is never sent here.",
  })
  readonly secretEnv?: string | null;

  @Field(() => Float, { ...maybe, description: "What the report reckons with. Default 0." })
  readonly pricePerMillionPromptTokens?: number | null;

  @Field(() => Float, { ...maybe, description: "What the report reckons with. Default 0." })
  readonly pricePerMillionCompletionTokens?: number | null;
}

@InputType({ description: "How texts become vectors." })
export class EncoderOptionsInput {
  @Field(() => Int, { ...maybe, description: "Tokens of a text that are read, 8 to 8192. Default 256." })
  readonly maxLength?: number | null;

  @Field(() => String, { ...maybe, description: "Stands before each query. Default nothing." })
  readonly queryPrompt?: string | null;

  @Field(() => String, { ...maybe, description: "Stands before each document. Default nothing." })
  readonly documentPrompt?: string | null;

  @Field(() => PoolingEnum, { ...maybe, description: "How token vectors become one. Default MEAN." })
  readonly pooling?: "MEAN" | "CLS" | null;
}

@InputType({ description: "How students are trained, all of them alike." })
export class StudentInput {
  @Field(() => [Float], {
    ...maybe,
    description: "Weights of distillation beside the contrastive term, one row of SOFTQE_MIXED each. Default 0.5.",
  })
  readonly mixedAlphas?: readonly number[] | null;

  @Field(() => Int, { ...maybe, description: "How many of the encoder's last layers are trained. Default all." })
  readonly layers?: number | null;

  @Field(() => Int, { ...maybe, description: "Passes over the training queries. Default 3." })
  readonly epochs?: number | null;

  @Field(() => Int, { ...maybe, description: "Queries of a step. Default 32." })
  readonly batch?: number | null;

  @Field(() => Float, { ...maybe, description: "The highest rate of the schedule. Default 0.00002." })
  readonly learningRate?: number | null;

  @Field(() => Float, { ...maybe, description: "Of the contrastive term. Default 0.05." })
  readonly temperature?: number | null;

  @Field(() => Int, {
    ...maybe,
    description: "BM25's best documents that are not relevant, 0 to 8 a query. Default 1.",
  })
  readonly hardNegatives?: number | null;
}

@InputType({
  description:
    "Whether a query encoder learns what expansions know. BM25, the encoder as it came, expansion at query time, contrastive training and a shuffled teacher are always measured beside it.",
})
export class RetrievalInput {
  @Field(() => ID, { description: "The project." })
  readonly projectId!: string;

  @Field(() => String, { description: "Its name, 1 to 200 characters." })
  readonly name!: string;

  @Field(() => ID, { description: "A registered model: a SentenceTransformer in safetensors." })
  readonly encoderId!: string;

  @Field(() => EncoderOptionsInput, { ...maybe, description: "How texts become vectors." })
  readonly encoder?: EncoderOptionsInput | null;

  @Field(() => RetrievalCollectionInput, { description: "What is searched, asked and judged." })
  readonly collection!: RetrievalCollectionInput;

  @Field(() => QuerySplitInput, { ...maybe, description: "How queries are divided. Default HASH." })
  readonly split?: QuerySplitInput | null;

  @Field(() => [RelevanceGainInput], {
    ...maybe,
    description: "What relevance codes count; needed where one is negative. Default each code itself.",
  })
  readonly gains?: readonly RelevanceGainInput[] | null;

  @Field(() => Boolean, { ...maybe, description: "Pass over the document with the query's own id. Default false." })
  readonly dropIdenticalIds?: boolean | null;

  @Field(() => ExpansionInput, {
    ...maybe,
    description: "What expands queries. Default PLANTED for a planted collection, else PRF.",
  })
  readonly expansion?: ExpansionInput | null;

  @Field(() => Int, {
    ...maybe,
    description: "Parts of the corpus that pods encode apart, 1 to 1000. Default one for each 100,000 documents.",
  })
  readonly shards?: number | null;

  @Field(() => VectorStorageEnum, { ...maybe, description: "How document vectors are kept. Default FLOAT32." })
  readonly storage?: "FLOAT32" | "FLOAT16" | null;

  @Field(() => ApproximateKindEnum, {
    ...maybe,
    description:
      "Also build this approximate index (FAISS), and report its recall against exact search. Every row is searched exactly. Default none.",
  })
  readonly approximate?: ApproximateKind | null;

  @Field(() => StudentInput, { ...maybe, description: "How students are trained." })
  readonly student?: StudentInput | null;

  @Field(() => [Int], { ...maybe, description: "Seeds of each training, up to 20. Default 101, 102, 103." })
  readonly seeds?: readonly number[] | null;

  @Field(() => GatePolicyEnum, {
    ...maybe,
    description:
      "What becomes of distillation where the expanded encoder does not beat the plain one on dev queries. Default ENFORCE.",
  })
  readonly gate?: GatePolicy | null;

  @Field(() => Float, {
    ...maybe,
    description: "A smaller difference of nDCG@10 does not matter to you, 0 to 1. Default 0.028.",
  })
  readonly practicalThreshold?: number | null;

  @Field(() => SubmitOptionsInput, { ...maybe, description: "How its runs are served." })
  readonly options?: SubmitOptionsInput | null;
}

@InputType({ description: "A retrieval experiment to submit." })
export class SubmitRetrievalInput {
  @Field(() => RetrievalInput, { description: "What it asks." })
  readonly spec!: RetrievalInput;

  @Field(() => String, {
    description:
      "1 to 200 characters. The same key with the same request answers the same experiment, however often it is sent.",
  })
  readonly idempotencyKey!: string;

  @Field(() => String, { ...maybe, description: "Comes back as it is." })
  readonly clientMutationId?: string | null;
}

@ObjectType({ description: "Answer to submitRetrievalExperiment." })
export class SubmitRetrievalPayload {
  @Field(() => RetrievalExperimentType, {
    ...maybe,
    description: "The experiment; stored for good once it is answered.",
  })
  readonly experiment!: object | null;

  @Field(() => Boolean, { description: "Whether the idempotency key was seen before; nothing was stored then." })
  readonly replayed!: boolean;

  @Field(() => [UserErrorType], { description: "What is wrong with the request; empty when it was done." })
  readonly errors!: readonly object[];

  @Field(() => String, { ...maybe, description: "As it came." })
  readonly clientMutationId!: string | null;
}
