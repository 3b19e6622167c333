import type {
  Collection,
  EndpointExpansion,
  Expansion,
  LocalExpansion,
  QuerySplit,
  RetrievalRequest,
} from "../../domain/retrieval.js";
import {
  DEFAULT_RETRIEVAL_THRESHOLD,
  defaultEncoder,
  defaultEndpoint,
  defaultLocal,
  defaultPlanted,
  defaultPrf,
  defaultRetrievalSeeds,
  defaultShares,
  defaultSplit,
  defaultStudent,
  SHARD_DOCUMENTS,
} from "../../domain/retrieval-defaults.js";
import type {
  EncoderOptionsInput,
  ExpansionInput,
  QuerySplitInput,
  RetrievalCollectionInput,
  RetrievalInput,
  StudentInput,
} from "./retrieval.input.js";

/**
 * The domain's request with every default filled in. Nothing of the input gets past the fields that are named here. `documents` is the
 * number of an uploaded corpus, null where it is made.
 */
export function retrievalRequestOf(input: RetrievalInput, documents: number | null): RetrievalRequest {
  const { name, collection, gains, seeds, expansion } = input;
  return {
    name,
    collection: collectionOf(collection),
    split: splitOf(input.split),
    gains: gains == null ? null : gains.map(({ code, gain }) => ({ code, gain })),
    dropIdenticalIds: input.dropIdenticalIds ?? false,
    expansion: expansionOf(expansion ?? { kind: collection.kind === "PLANTED" ? "PLANTED" : "PRF" }),
    encoder: encoderOf(input.encoder ?? {}),
    shards: input.shards ?? Math.max(1, Math.ceil((documents ?? 0) / SHARD_DOCUMENTS)),
    storage: input.storage === "FLOAT16" ? "float16" : "float32",
    approximate: input.approximate ?? null,
    student: studentOf(input.student ?? {}),
    seeds: seeds ?? defaultRetrievalSeeds,
    gate: input.gate ?? "ENFORCE",
    practicalThreshold: input.practicalThreshold ?? DEFAULT_RETRIEVAL_THRESHOLD,
  };
}

function collectionOf({ kind, planted }: RetrievalCollectionInput): Collection {
  if (kind !== "PLANTED") return { kind };
  return {
    kind,
    topics: planted?.topics ?? defaultPlanted.topics,
    unseenTopics: planted?.unseenTopics ?? defaultPlanted.unseenTopics,
    phrasings: planted?.phrasings ?? defaultPlanted.phrasings,
    documentsPerTopic: planted?.documentsPerTopic ?? defaultPlanted.documentsPerTopic,
    seed: planted?.seed ?? defaultPlanted.seed,
  };
}

function splitOf(input: QuerySplitInput | null | undefined): QuerySplit {
  if (input == null) return defaultSplit;
  const { kind } = input;
  const dev = input.dev ?? defaultShares.dev;
  switch (kind) {
    case "GIVEN":
      return { kind };
    case "HASH":
      return { kind, dev, test: input.test ?? defaultShares.test };
    case "CROSS_FIT":
      return { kind, dev, folds: input.folds ?? defaultShares.folds };
    default:
      return kind satisfies never;
  }
}

function expansionOf(input: ExpansionInput): Expansion {
  const { kind } = input;
  switch (kind) {
    case "PRF":
      return { kind, documents: input.documents ?? defaultPrf.documents, words: input.words ?? defaultPrf.words };
    case "LOCAL":
      return { kind, ...askingOf(input, defaultLocal) };
    case "ENDPOINT":
      return { kind, ...askingOf(input, defaultEndpoint), ...addressOf(input) };
    case "PLANTED":
    case "UPLOADED":
    case "RELEVANT_DOCUMENT":
      return { kind };
    default:
      return kind satisfies never;
  }
}

function askingOf(
  { prompt, samples, temperature, maxTokens }: ExpansionInput,
  defaults: { readonly temperature: number; readonly maxTokens: number },
): Omit<LocalExpansion, "kind"> {
  return {
    prompt: prompt ?? defaultEndpoint.prompt,
    samples: samples ?? defaultEndpoint.samples,
    temperature: temperature ?? defaults.temperature,
    maxTokens: maxTokens ?? defaults.maxTokens,
  };
}

function addressOf(input: ExpansionInput): Omit<EndpointExpansion, keyof LocalExpansion> {
  const [prompts, completions] = [input.pricePerMillionPromptTokens, input.pricePerMillionCompletionTokens];
  return {
    url: input.url ?? "",
    model: input.model ?? "",
    secretEnv: input.secretEnv ?? defaultEndpoint.secretEnv,
    pricePerMillionPromptTokens: prompts ?? defaultEndpoint.pricePerMillionPromptTokens,
    pricePerMillionCompletionTokens: completions ?? defaultEndpoint.pricePerMillionCompletionTokens,
  };
}

function encoderOf(input: EncoderOptionsInput): RetrievalRequest["encoder"] {
  return {
    maxLength: input.maxLength ?? defaultEncoder.maxLength,
    queryPrompt: input.queryPrompt ?? defaultEncoder.queryPrompt,
    documentPrompt: input.documentPrompt ?? defaultEncoder.documentPrompt,
    pooling: input.pooling === "CLS" ? "cls" : "mean",
  };
}

function studentOf(input: StudentInput): RetrievalRequest["student"] {
  return {
    mixedAlphas: input.mixedAlphas ?? defaultStudent.mixedAlphas,
    layers: input.layers ?? defaultStudent.layers,
    epochs: input.epochs ?? defaultStudent.epochs,
    batch: input.batch ?? defaultStudent.batch,
    learningRate: input.learningRate ?? defaultStudent.learningRate,
    temperature: input.temperature ?? defaultStudent.temperature,
    hardNegatives: input.hardNegatives ?? defaultStudent.hardNegatives,
  };
}
