import type { DatasetKind, DatasetVersion } from "../../domain/dataset.js";
import { newId } from "../../domain/digest.js";
import type { Model } from "../../domain/model.js";
import type { RetrievalContext, RetrievalFiles } from "../../domain/retrieval-specs.js";
import { type AssayError, invalidInput, notFound } from "../../errors.js";
import type { Context } from "../context.js";
import { keyIn } from "../ids.js";
import type { RetrievalInput } from "./retrieval.input.js";

type Asked = Pick<Context, "caller" | "reads">;

/** What a request names by id, and what is wrong with that. */
export interface RetrievalParts {
  readonly faults: AssayError[];
  /** Null unless all of it is there. */
  readonly found: RetrievalContext | null;
  /** Documents of an uploaded corpus; null where it is made. */
  readonly documents: number | null;
}

/** Looks up what a request names by id; `root` is its path in the input. */
export async function retrievalParts(
  spec: RetrievalInput,
  asked: Asked,
  { root, codeDigest }: { readonly root: readonly string[]; readonly codeDigest: string },
): Promise<RetrievalParts> {
  const faults: AssayError[] = [];
  if (keyIn(spec.projectId, "Project") !== asked.caller.projectId) {
    faults.push(notFound([...root, "projectId"], "project", spec.projectId));
  }
  const modelKey = keyIn(spec.encoderId, "Model");
  const model = modelKey === null ? null : await asked.reads.model(modelKey);
  if (model === null) faults.push(notFound([...root, "encoderId"], "model", spec.encoderId));
  const versions = new Versions(asked, faults);
  const { files, documents } = await filesOf(spec, versions, [...root, "collection"]);
  const expansions =
    spec.expansion?.kind === "UPLOADED"
      ? await versions.find(spec.expansion.versionId, "EXPANSIONS", [...root, "expansion", "versionId"])
      : null;
  const writer = await writerOf(spec, { asked, faults }, [...root, "expansion", "modelId"]);
  if (faults.length > 0 || model === null) return { faults, found: null, documents };
  return {
    faults,
    found: { model, files, expansions: expansions?.digest ?? null, writer, codeDigest, newId },
    documents,
  };
}

/** The model that writes expansions on the pods; null where none does. */
async function writerOf(
  { expansion }: RetrievalInput,
  { asked, faults }: { readonly asked: Asked; readonly faults: AssayError[] },
  path: readonly string[],
): Promise<Model | null> {
  if (expansion?.kind !== "LOCAL") return null;
  const key = expansion.modelId == null ? null : keyIn(expansion.modelId, "Model");
  const model = key === null ? null : await asked.reads.model(key);
  if (model === null) faults.push(notFound(path, "model", expansion.modelId ?? ""));
  return model;
}

/** The files of an uploaded collection; none of one that is made. */
async function filesOf(
  { collection, split }: RetrievalInput,
  versions: Versions,
  root: readonly string[],
): Promise<{ readonly files: RetrievalFiles | null; readonly documents: number | null }> {
  if (collection.kind !== "UPLOADED") return { files: null, documents: null };
  const given = split?.kind === "GIVEN";
  const { corpusVersionId, queriesVersionId, qrelsVersionId, qrelsTrainVersionId, qrelsDevVersionId } = collection;
  const corpus = await versions.find(corpusVersionId, "CORPUS", [...root, "corpusVersionId"]);
  const queries = await versions.find(queriesVersionId, "QUERIES", [...root, "queriesVersionId"]);
  const qrels = await versions.find(qrelsVersionId, "QRELS", [...root, "qrelsVersionId"]);
  const parts = await Promise.all(
    (["qrelsTrainVersionId", "qrelsDevVersionId"] as const).map(async (name) => {
      const id = name === "qrelsTrainVersionId" ? qrelsTrainVersionId : qrelsDevVersionId;
      const needed = given && name === "qrelsTrainVersionId";
      if (id == null && !needed) return null;
      if (!given) return versions.refuse([...root, name], "nothing but with the split GIVEN", id);
      return versions.find(id, "QRELS", [...root, name]);
    }),
  );
  const [qrelsTrain = null, qrelsDev = null] = parts.map((version) => version?.digest ?? null);
  if (corpus === null || queries === null || qrels === null) return { files: null, documents: null };
  const files = { corpus: corpus.digest, queries: queries.digest, qrels: qrels.digest, qrelsTrain, qrelsDev };
  return { files, documents: corpus.rows };
}

/** Finds versions and notes what is wrong with them. */
class Versions {
  readonly #asked: Asked;
  readonly #faults: AssayError[];

  constructor(asked: Asked, faults: AssayError[]) {
    this.#asked = asked;
    this.#faults = faults;
  }

  /** The version with this id, if its data set is of the kind. */
  async find(
    id: string | null | undefined,
    kind: DatasetKind,
    path: readonly string[],
  ): Promise<DatasetVersion | null> {
    const wanted = `a version of a data set of kind ${kind}`;
    if (id == null) return this.refuse(path, wanted, null);
    const { reads } = this.#asked;
    const key = keyIn(id, "DatasetVersion");
    const version = key === null ? null : await reads.version(key);
    if (version === null) {
      this.#faults.push(notFound(path, "data set version", id));
      return null;
    }
    const dataset = await reads.dataset(version.datasetId);
    return dataset?.kind === kind ? version : this.refuse(path, wanted, dataset?.kind);
  }

  /** Notes that something else was wanted. */
  refuse(path: readonly string[], wanted: string, got: unknown): null {
    this.#faults.push(invalidInput(path, wanted, got));
    return null;
  }
}
