import type { EncoderOptions, EndpointExpansion, PlantedCollection, QuerySplit, StudentOptions } from "./retrieval.js";

/** What stands where a request leaves it out. */
export const defaultPlanted: PlantedCollection = {
  kind: "PLANTED",
  topics: 60,
  unseenTopics: 20,
  phrasings: 12,
  documentsPerTopic: 8,
  seed: 7,
};

/** Shares of queries, and folds. */
export const defaultShares = { dev: 0.15, test: 0.5, folds: 5 } as const;

/** The split of a collection that gives none. */
export const defaultSplit: QuerySplit = { kind: "HASH", dev: defaultShares.dev, test: defaultShares.test };

/** How texts become vectors; what all-MiniLM-L6-v2 was trained with. */
export const defaultEncoder: EncoderOptions = {
  maxLength: 256,
  queryPrompt: "",
  documentPrompt: "",
  pooling: "mean",
};

/** How students are trained. */
export const defaultStudent: StudentOptions = {
  mixedAlphas: [0.5],
  layers: null,
  epochs: 3,
  batch: 32,
  learningRate: 2e-5,
  temperature: 0.05,
  hardNegatives: 1,
};

/** How much of how many documents pseudo-relevance feedback takes. */
export const defaultPrf = { documents: 3, words: 48 } as const;

/** How an LLM is asked that the pods run. */
export const defaultLocal = { temperature: 0, maxTokens: 64 } as const;

/** How an LLM is asked behind an address. */
export const defaultEndpoint: Omit<EndpointExpansion, "kind" | "url" | "model"> = {
  prompt: "Write a short passage that answers the question.\n\nQuestion: {query}\nPassage:",
  samples: 1,
  temperature: 0.7,
  maxTokens: 128,
  secretEnv: null,
  pricePerMillionPromptTokens: 0,
  pricePerMillionCompletionTokens: 0,
};

/** Seeds of every training. */
export const defaultRetrievalSeeds: readonly number[] = [101, 102, 103];

/** The difference of nDCG@10 that is taken to matter: the one gain that the paper reports. */
export const DEFAULT_RETRIEVAL_THRESHOLD = 0.028;

/** Documents of a shard where a request names no number of them. */
export const SHARD_DOCUMENTS = 100_000;
