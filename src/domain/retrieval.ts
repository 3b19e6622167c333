import type { RetrievalSystem } from "./retrieval-systems.js";

/** Where a collection comes from. */
export const collectionKinds = ["PLANTED", "STDLIB", "UPLOADED"] as const;
export type CollectionKind = (typeof collectionKinds)[number];

/** A generated collection: its queries call topics by names that only their expansions explain. */
export interface PlantedCollection {
  readonly kind: "PLANTED";
  /** Topics that training queries name. */
  readonly topics: number;
  /** Topics that test queries alone name: nothing can be learned of them. */
  readonly unseenTopics: number;
  readonly phrasings: number;
  readonly documentsPerTopic: number;
  readonly seed: number;
}

/** What is searched, asked and judged; of an uploaded collection the files are named apart. */
export type Collection = PlantedCollection | { readonly kind: "STDLIB" } | { readonly kind: "UPLOADED" };

/** How queries are divided. */
export const splitKinds = ["HASH", "GIVEN", "CROSS_FIT"] as const;
export type QuerySplit =
  | { readonly kind: "HASH"; readonly dev: number; readonly test: number }
  | { readonly kind: "GIVEN" }
  | { readonly kind: "CROSS_FIT"; readonly folds: number; readonly dev: number };

/** Where expansions come from. */
export const expansionKinds = ["PLANTED", "UPLOADED", "PRF", "RELEVANT_DOCUMENT", "ENDPOINT", "LOCAL"] as const;
export type ExpansionKind = (typeof expansionKinds)[number];

/** How an LLM is asked. */
interface Asking {
  /** Holds `{query}`; sent as it is, and hashed. */
  readonly prompt: string;
  readonly samples: number;
  readonly temperature: number;
  readonly maxTokens: number;
}

/** An LLM behind an OpenAI-compatible address. */
export interface EndpointExpansion extends Asking {
  readonly kind: "ENDPOINT";
  readonly url: string;
  readonly model: string;
  /** The variable of the pods that holds the key; null where none is needed. */
  readonly secretEnv: string | null;
  readonly pricePerMillionPromptTokens: number;
  readonly pricePerMillionCompletionTokens: number;
}

/** An LLM that the pods run themselves: a registered model, which is named apart. */
export interface LocalExpansion extends Asking {
  readonly kind: "LOCAL";
}

/** What expands queries. */
export type Expansion =
  | EndpointExpansion
  | LocalExpansion
  | { readonly kind: "PRF"; readonly documents: number; readonly words: number }
  | { readonly kind: "PLANTED" | "UPLOADED" | "RELEVANT_DOCUMENT" };

/** How texts become vectors. */
export interface EncoderOptions {
  /** Tokens of a text that are read; the rest is cut. */
  readonly maxLength: number;
  readonly queryPrompt: string;
  readonly documentPrompt: string;
  readonly pooling: "mean" | "cls";
}

/** How students are trained; all of them alike. */
export interface StudentOptions {
  /** Weights of distillation beside the contrastive term, for rows of SOFTQE_MIXED. */
  readonly mixedAlphas: readonly number[];
  /** How many of the encoder's last layers are trained; null for all. */
  readonly layers: number | null;
  readonly epochs: number;
  readonly batch: number;
  readonly learningRate: number;
  /** Of the contrastive term. */
  readonly temperature: number;
  readonly hardNegatives: number;
}

/** Whether a closed gate stops distillation or is told alone. */
export const gatePolicies = ["ENFORCE", "REPORT"] as const;
export type GatePolicy = (typeof gatePolicies)[number];

/** Kinds of approximate index whose recall can be measured beside exact search. */
export const approximateKinds = ["HNSW", "IVF_PQ"] as const;
export type ApproximateKind = (typeof approximateKinds)[number];

/** A retrieval experiment as it was asked for, with every default filled in. */
export interface RetrievalRequest {
  readonly name: string;
  readonly collection: Collection;
  readonly split: QuerySplit;
  /** Gains of relevance codes; null where the codes are gains. */
  readonly gains: readonly { readonly code: number; readonly gain: number }[] | null;
  /** Whether a document with the query's own id is passed over. */
  readonly dropIdenticalIds: boolean;
  readonly expansion: Expansion;
  readonly encoder: EncoderOptions;
  /** Parts of the corpus that pods encode apart from one another. */
  readonly shards: number;
  readonly storage: "float32" | "float16";
  /** The index whose recall against exact search is reported; every row is searched exactly. Null for none. */
  readonly approximate: ApproximateKind | null;
  readonly student: StudentOptions;
  readonly seeds: readonly number[];
  readonly gate: GatePolicy;
  /** A smaller difference of nDCG@10 does not matter. */
  readonly practicalThreshold: number;
}

/** Confidence of every interval. */
export const RETRIEVAL_CONFIDENCE = 0.95;

/** Tests that are declared before anything runs; every other comparison is described alone. */
export const confirmatoryFamily: readonly (readonly [RetrievalSystem, RetrievalSystem])[] = [
  ["SOFTQE", "BASE"],
  ["SOFTQE", "CONTRASTIVE"],
  ["SOFTQE", "SHUFFLED"],
];

/** A training of a plan. */
export interface StudentCell {
  readonly system: RetrievalSystem;
  readonly alpha: number | null;
  readonly fold: number;
  readonly seed: number;
}

/** Every training of a request. The controls are always there: without them a gain says nothing of expansions. */
export function studentCells({ split, seeds, student }: RetrievalRequest): StudentCell[] {
  const folds = split.kind === "CROSS_FIT" ? split.folds : 1;
  const rows = [
    ["SOFTQE", 1],
    ...student.mixedAlphas.map((alpha) => ["SOFTQE_MIXED", alpha] as const),
    ["CONTRASTIVE", 0],
    ["SHUFFLED", 1],
    ["RIDGE", null],
    ["RIDGE_SHUFFLED", null],
  ] as const;
  return Array.from({ length: folds }, (_, fold) => fold).flatMap((fold) =>
    rows.flatMap(([system, alpha]) =>
      // The closed form has no seed; its shuffled control has.
      (system === "RIDGE" ? seeds.slice(0, 1) : seeds).map((seed) => ({ system, alpha, fold, seed })),
    ),
  );
}
