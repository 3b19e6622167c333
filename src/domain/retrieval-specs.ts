import type { Json } from "./digest.js";
import type { ModelSource } from "./model.js";
import { confirmatoryFamily, RETRIEVAL_CONFIDENCE, type RetrievalRequest, type StudentCell } from "./retrieval.js";

// What a pod is told, written as docs/contract.md says. A spec carries what can change its run's result and nothing else, so that
// equal work has equal digests: a later experiment finds the corpus encoded, whatever its students.

/** Files of an uploaded collection, by their digests. */
export interface RetrievalFiles {
  readonly corpus: string;
  readonly queries: string;
  readonly qrels: string;
  readonly qrelsTrain: string | null;
  readonly qrelsDev: string | null;
}

/** Facts that the plan depends on beside the request. */
export interface RetrievalContext {
  readonly model: { readonly digest: string; readonly source: ModelSource };
  /** Null where the collection is made. */
  readonly files: RetrievalFiles | null;
  /** The digest of uploaded expansions; null where they come from elsewhere. */
  readonly expansions: string | null;
  /** The model that writes expansions; null where the pods run none. */
  readonly writer: { readonly digest: string; readonly source: ModelSource } | null;
  /** Source digest of the capability's code. */
  readonly codeDigest: string;
  /** Makes the ids; passed in so that the plan stays pure. */
  readonly newId: () => string;
}

type Spec = { readonly [key: string]: Json | undefined };

/** The count is part of the spec because it can change the last bits. */
const THREADS = 2;

/** Writes the specs of one request. */
export class RetrievalSpecs {
  readonly #request: RetrievalRequest;
  readonly #shared: Spec;
  readonly #encoder: Spec;
  readonly #collection: Spec;
  readonly #expansion: Spec;

  constructor(request: RetrievalRequest, { codeDigest, model, files, writer }: RetrievalContext) {
    this.#request = request;
    this.#shared = { capability: "retrieval", version: 1, codeDigest, precision: "fp32", threads: THREADS };
    this.#encoder = { digest: model.digest, source: { ...model.source }, ...request.encoder };
    const local = writer === null ? {} : { model: { digest: writer.digest, source: { ...writer.source } } };
    this.#expansion = { ...request.expansion, ...local };
    this.#collection = { ...request.collection, ...(files ?? {}) };
  }

  /** Of the run that makes or reads the documents. */
  corpus(): Json {
    const { kind } = this.#request.collection;
    // Queries and judgements do not change an uploaded corpus, whose bytes are an input.
    return { ...this.#of("corpus"), collection: kind === "UPLOADED" ? { kind } : this.#collection };
  }

  /** Of the run that encodes one part of the corpus. */
  encode(index: number): Json {
    const { shards: count, storage } = this.#request;
    return { ...this.#of("encode"), encoder: this.#encoder, shard: { index, count, storage } };
  }

  /** Of the run that reads queries and judgements and divides them. */
  queries(): Json {
    const { split, gains } = this.#request;
    const relevance = { gains: gains === null ? null : gains.map((one) => ({ ...one })) };
    return { ...this.#of("queries"), collection: this.#collection, split: { ...split }, relevance };
  }

  /** Of the run that expands queries. */
  expand(): Json {
    const { expansion, dropIdenticalIds } = this.#request;
    const made = expansion.kind === "PLANTED" ? { collection: this.#collection } : {};
    return { ...this.#of("expand"), ...made, expansion: this.#expansion, dropIdenticalIds };
  }

  /** Of the run that computes the teacher's vectors, the untrained rows and the gate. */
  teach(): Json {
    const { dropIdenticalIds, approximate } = this.#request;
    const asked = { encoder: this.#encoder, dropIdenticalIds, confidence: RETRIEVAL_CONFIDENCE };
    return { ...this.#of("teach"), ...asked, ...(approximate === null ? {} : { approximate }) };
  }

  /** Of one training. */
  train({ system, alpha, fold, seed }: StudentCell): Json {
    const { student, gate, dropIdenticalIds } = this.#request;
    const { mixedAlphas: _, layers, ...training } = student;
    const settings = alpha === null ? {} : { alpha, layers: layers ?? "ALL", ...training };
    return {
      ...this.#of("train"),
      encoder: this.#encoder,
      student: { kind: system, ...settings, fold },
      seed,
      // What is not distilled does not ask the gate.
      ...(system === "CONTRASTIVE" ? {} : { gate }),
      dropIdenticalIds,
    };
  }

  /** Of the report over all trainings. */
  report(cells: readonly StudentCell[]): Json {
    const { name, split, gains, dropIdenticalIds, seeds, gate, practicalThreshold } = this.#request;
    return {
      ...this.#of("report"),
      name,
      collection: this.#collection,
      encoder: this.#encoder,
      split: { ...split },
      relevance: { gains: gains === null ? null : gains.map((one) => ({ ...one })) },
      dropIdenticalIds,
      expansion: this.#expansion,
      student: { ...this.#request.student },
      seeds,
      cells: cells.map((cell, input) => ({ input, ...cell })),
      family: confirmatoryFamily,
      gate,
      practicalThreshold,
      confidence: RETRIEVAL_CONFIDENCE,
    };
  }

  #of(step: string): Spec {
    return { ...this.#shared, step };
  }
}

/** A request as canonical JSON can say it. */
export function retrievalRequestSpec(request: RetrievalRequest): Spec {
  const { collection, split, gains, expansion, encoder, student, ...rest } = request;
  return {
    ...rest,
    collection: { ...collection },
    split: { ...split },
    gains: gains === null ? null : gains.map((one) => ({ ...one })),
    expansion: { ...expansion },
    encoder: { ...encoder },
    student: { ...student },
  };
}

/** What is stored of a request. */
export function retrievalExperimentSpec(
  request: RetrievalRequest,
  { model, files, expansions, writer, codeDigest }: RetrievalContext,
): Json {
  const uploaded = {
    files: files === null ? null : { ...files },
    expansionsDigest: expansions,
    writerDigest: writer?.digest ?? null,
  };
  return { ...retrievalRequestSpec(request), modelDigest: model.digest, ...uploaded, codeDigest };
}
