import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { ModelSource } from "../../clients/typescript/index.js";
import { AssayError } from "../errors.js";
import { choice, dataFolder, flagsIn, integer } from "./flags.js";
import { modelSource, packagedEncoder } from "./models.js";

/** Files of a collection, by what they are. */
export interface CollectionFiles {
  readonly corpus: string;
  readonly queries: string;
  readonly qrels: string;
  readonly qrelsTrain?: string;
  readonly qrelsDev?: string;
}

/** Where expansions come from. */
export type ExpansionChoice =
  | { readonly kind: "FILE"; readonly file: string }
  | { readonly kind: "PRF" | "RELEVANT_DOCUMENT" | "PLANTED" }
  | { readonly kind: "LOCAL"; readonly model: ModelSource }
  | { readonly kind: "ENDPOINT"; readonly url: string; readonly model: string; readonly secretEnv?: string };

/** What `assay retrieval` was asked for. */
export interface RetrievalOptions {
  readonly name?: string;
  readonly collection: "PLANTED" | "STDLIB" | CollectionFiles;
  readonly expansions: ExpansionChoice;
  readonly encoder: ModelSource;
  /** How many seeds, from 101 on; the service's default where it is left out. */
  readonly seeds?: number;
  readonly split?: "HASH" | "GIVEN" | "CROSS_FIT";
  /** Gains for relevance codes, where these are not gains themselves. */
  readonly gains?: readonly { readonly code: number; readonly gain: number }[];
  readonly gate?: "ENFORCE" | "REPORT";
  readonly index?: "HNSW" | "IVF_PQ";
  /** Whether everything is worked on, also what an earlier run has answered. */
  readonly fresh: boolean;
  /** Whether the command ends once the experiment is accepted. */
  readonly detach: boolean;
  /** Where to write the report's files. */
  readonly out?: string;
  readonly dataDir: string;
}

/** What `assay retrieval --help` prints. */
export const retrievalUsage = `Usage: assay retrieval --collection planted|stdlib|FOLDER [options]
       assay retrieval --corpus FILE --queries FILE --qrels FILE --expansions FILE [options]
       assay retrieval watch ID | report ID [--out FOLDER]

Distils what query expansion knows into the query encoder, and holds the result against BM25, the encoder as it came, expansion at query time,
contrastive training and a shuffled teacher. Shows how far it is, and prints the report.

  --collection WHAT   planted (generated, to see that the machinery works), stdlib (Python's documentation), or a folder in BEIR's layout:
                      corpus.jsonl, queries.jsonl, qrels/test.tsv, and train.tsv and dev.tsv where there are any
  --corpus FILE       documents: JSON lines (BEIR), TREC SGML, or tab-separated (MS MARCO)
  --queries FILE      queries: JSON lines, TREC topics, or tab-separated
  --qrels FILE        judgements of the test queries, or of all: BEIR's three columns, or TREC's four
  --qrels-train FILE  judgements of the training queries
  --qrels-dev FILE    judgements of the dev queries
  --gains LIST        gains of relevance codes that are none themselves, for instance 1=3,-1=0; asked for where a code is negative
  --split HOW         hash, given (by the three files of judgements) or cross-fit (five folds, for a few hundred queries or less)
  --expansions FROM   a file of expansions (JSON lines, also query2doc's), or prf, relevant-document, planted; without it prf, for planted its own
  --teacher MODEL     an LLM writes the expansions: with --endpoint its name there; else a folder or a hub model as owner/name@commit, on the pods
  --endpoint URL      an OpenAI-compatible address, with /v1
  --secret-env NAME   the variable of the pods that holds its key
  --encoder MODEL     a folder with a SentenceTransformer in safetensors, or a hub model as owner/name@commit (default: all-MiniLM-L6-v2)
  --seeds N           seeds of each training (default: the service's)
  --gate HOW          enforce (train only where the expanded encoder beats the plain one on dev queries) or report
  --index HOW         hnsw or ivf-pq: also build this approximate index, and report how much of exact search it finds
  --name TEXT         its name (default: what it runs on)
  --fresh             work on everything; otherwise equal runs are answered from earlier ones
  --detach            print the experiment's id and end; the service goes on with it
  --out FOLDER        write every file of the report, and the distilled encoder as student.zip
  --help              this text

Where the data folder (ASSAY_DATA_DIR, default .assay) has no service at work, one is started; with --detach it is left running.
`;

const text = { type: "string" } as const;
const yes = { type: "boolean" } as const;
const flags = {
  collection: text,
  corpus: text,
  queries: text,
  qrels: text,
  "qrels-train": text,
  "qrels-dev": text,
  gains: text,
  split: text,
  expansions: text,
  endpoint: text,
  teacher: text,
  "secret-env": text,
  encoder: text,
  seeds: text,
  gate: text,
  index: text,
  name: text,
  fresh: yes,
  detach: yes,
  out: text,
  help: { type: "boolean", short: "h" },
} as const;
type Values = ReturnType<typeof flagsIn<typeof flags>>["values"];

const seedsMax = 100;
const splits = ["HASH", "GIVEN", "CROSS-FIT"] as const;
const indexes = ["HNSW", "IVF-PQ"] as const;
const gates = ["ENFORCE", "REPORT"] as const;

/** Reads the arguments of `assay retrieval`. Throws INVALID_INPUT for anything that is not one. */
export function parseRetrievalArguments(args: readonly string[]): RetrievalOptions | "help" {
  const { values } = flagsIn(args, flags);
  if (values.help) return "help";
  const collection = collectionIn(values);
  const { name, seeds, split, gains, gate, out } = values;
  const chosen = split === undefined ? undefined : choice("--split", split, splits);
  return {
    collection,
    expansions: expansionsIn(values, collection),
    encoder: values.encoder === undefined ? packagedEncoder : modelSource(values.encoder),
    fresh: values.fresh ?? false,
    detach: values.detach ?? false,
    dataDir: dataFolder(),
    ...(name === undefined ? {} : { name }),
    ...(seeds === undefined ? {} : { seeds: integer("--seeds", seeds, seedsMax) }),
    ...(chosen === undefined ? {} : { split: chosen === "CROSS-FIT" ? "CROSS_FIT" : chosen }),
    ...(gains === undefined ? {} : { gains: gainsIn(gains) }),
    ...(gate === undefined ? {} : { gate: choice("--gate", gate, gates) }),
    ...indexIn(values),
    ...(out === undefined ? {} : { out: resolve(out) }),
  };
}

function indexIn({ index }: Values): Pick<RetrievalOptions, "index"> {
  if (index === undefined) return {};
  return { index: choice("--index", index, indexes) === "HNSW" ? "HNSW" : "IVF_PQ" };
}

function collectionIn(values: Values): RetrievalOptions["collection"] {
  const { collection, corpus, queries, qrels } = values;
  const files = [corpus, queries, qrels];
  if (collection === undefined) {
    if (corpus === undefined || queries === undefined || qrels === undefined) {
      throw refused("--collection, or --corpus, --queries and --qrels", files.filter(Boolean).join(" ") || "nothing");
    }
    return { corpus: resolve(corpus), queries: resolve(queries), qrels: resolve(qrels), ...furtherQrels(values) };
  }
  if (files.some((file) => file !== undefined)) throw refused("either --collection or files of your own", "both");
  if (["planted", "stdlib"].includes(collection.toLowerCase())) return choice("--collection", collection, kinds);
  return beirFolder(resolve(collection), values);
}
const kinds = ["PLANTED", "STDLIB"] as const;

function furtherQrels(values: Values): Pick<CollectionFiles, "qrelsTrain" | "qrelsDev"> {
  const [train, dev] = [values["qrels-train"], values["qrels-dev"]];
  return {
    ...(train === undefined ? {} : { qrelsTrain: resolve(train) }),
    ...(dev === undefined ? {} : { qrelsDev: resolve(dev) }),
  };
}

/** The files of a folder in BEIR's layout; judgements for training and dev are taken where they are. */
function beirFolder(folder: string, values: Values): CollectionFiles {
  const at = (name: string): string => join(folder, name);
  const [corpus, queries, qrels] = [at("corpus.jsonl"), at("queries.jsonl"), at(join("qrels", "test.tsv"))];
  const missing = [corpus, queries, qrels].find((file) => !existsSync(file));
  if (missing !== undefined) {
    throw refused("--collection: planted, stdlib, or a folder in BEIR's layout", `${folder} without ${missing}`);
  }
  const [train, dev] = [at(join("qrels", "train.tsv")), at(join("qrels", "dev.tsv"))];
  return {
    corpus,
    queries,
    qrels,
    ...(existsSync(train) ? { qrelsTrain: train } : {}),
    ...(existsSync(dev) ? { qrelsDev: dev } : {}),
    ...furtherQrels(values),
  };
}

function expansionsIn(values: Values, collection: RetrievalOptions["collection"]): ExpansionChoice {
  const { expansions, endpoint, teacher } = values;
  if (endpoint !== undefined || teacher !== undefined) {
    if (teacher === undefined) throw refused("--teacher beside --endpoint", "none");
    if (expansions !== undefined) throw refused("either --expansions or --teacher", "both");
    if (endpoint === undefined) return { kind: "LOCAL", model: modelSource(teacher) };
    const secretEnv = values["secret-env"];
    return { kind: "ENDPOINT", url: endpoint, model: teacher, ...(secretEnv === undefined ? {} : { secretEnv }) };
  }
  switch (expansions?.toLowerCase()) {
    case undefined:
      return { kind: collection === "PLANTED" ? "PLANTED" : "PRF" };
    case "prf":
      return { kind: "PRF" };
    case "relevant-document":
      return { kind: "RELEVANT_DOCUMENT" };
    case "planted":
      return { kind: "PLANTED" };
    default:
      return { kind: "FILE", file: resolve(expansions ?? "") };
  }
}

function gainsIn(list: string): { code: number; gain: number }[] {
  return list.split(",").map((pair) => {
    const [, code, gain] = /^\s*([+-]?\d{1,4})=(\d{1,4})\s*$/.exec(pair) ?? [];
    if (code === undefined || gain === undefined) throw refused("--gains: codes with gains, as 1=3,-1=0", pair);
    return { code: Number(code), gain: Number(gain) };
  });
}

function refused(wanted: string, got: string): AssayError {
  return new AssayError("INVALID_INPUT", `wanted ${wanted}, but got ${got}`);
}
