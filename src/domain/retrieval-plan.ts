import { canonicalJson, digestOf, type Json, sha256 } from "./digest.js";
import type { PlannedExperiment } from "./experiment.js";
import { type RetrievalRequest, type StudentCell, studentCells } from "./retrieval.js";
import { type RetrievalContext, RetrievalSpecs, retrievalExperimentSpec } from "./retrieval-specs.js";
import type { PlannedRun, RunInput } from "./run.js";

/** The steps with the stage of each: encoding the corpus and reading the queries go on side by side. */
const stages = { corpus: 0, encode: 1, queries: 1, expand: 2, teach: 3, train: 4, report: 5 } as const;
type RetrievalStep = keyof typeof stages;

/**
 * Plans a request that has no faults: the corpus, a run for each part that is encoded, queries, expansions, the teacher, a training for
 * each student, fold and seed, the report. Pure but for `newId`; equal requests in equal contexts give runs of equal digests.
 */
export function planRetrieval(request: RetrievalRequest, context: RetrievalContext): PlannedExperiment {
  const { runs } = new Plan(request, context);
  const spec = retrievalExperimentSpec(request, context);
  const stageCount = stages.report + 1;
  return { capability: "RETRIEVAL", name: request.name, spec, specSha256: digestOf(spec), stageCount, runs };
}

/** A plan in the making: each step adds its runs. */
class Plan {
  readonly runs: PlannedRun[] = [];
  readonly #context: RetrievalContext;
  readonly #digests = new Map<string, string>();

  constructor(request: RetrievalRequest, context: RetrievalContext) {
    this.#context = context;
    const specs = new RetrievalSpecs(request, context);
    const { files, expansions } = context;
    const corpusRun = this.#add("corpus", specs.corpus(), files === null ? [] : [fromFile("corpus", files.corpus)]);
    const corpus = fromRun("corpus", corpusRun, "corpus.jsonl");
    const encoded = Array.from({ length: request.shards }, (_, index) =>
      this.#add("encode", specs.encode(index), [corpus]),
    );
    const vectors = encoded.flatMap((run, index) => [
      fromRun(`ids:${index}`, run, "ids.txt"),
      fromRun(`embeddings:${index}`, run, "embeddings.npy"),
    ]);
    const asked = this.#add("queries", specs.queries(), [corpus, ...questionFiles(context)]);
    const questions = [fromRun("queries", asked, "queries.jsonl"), fromRun("qrels", asked, "qrels.jsonl")];
    const uploaded = expansions === null ? [] : [fromFile("expansions", expansions)];
    const expanded = this.#add("expand", specs.expand(), [corpus, ...questions, ...uploaded]);
    const expansion = fromRun("expansions", expanded, "expansions.jsonl");
    const taught = this.#add("teach", specs.teach(), [corpus, ...questions, expansion, ...vectors]);
    const lessons = [
      fromRun("vectors", taught, "vectors.safetensors"),
      fromRun("negatives", taught, "negatives.jsonl"),
      fromRun("teach", taught, "result.json"),
    ];
    const cells = studentCells(request);
    const students = cells.map((cell) =>
      this.#add("train", specs.train(cell), [corpus, ...questions, ...lessons, ...vectors], cell),
    );
    this.#add("report", specs.report(cells), [
      ...questions,
      fromRun("asked", asked, "result.json"),
      expansion,
      fromRun("teach", taught, "result.json"),
      fromRun("rankings", taught, "rankings.jsonl"),
      fromRun("expand", expanded, "result.json", false),
      ...students.flatMap(outcomeInputs),
    ]);
  }

  #add(step: RetrievalStep, spec: Json, inputs: readonly RunInput[], cell: StudentCell | null = null): PlannedRun {
    const text = canonicalJson(spec);
    const planned: PlannedRun = {
      step,
      inputs,
      cell: cell === null ? null : { system: cell.system, alpha: cell.alpha, fold: cell.fold },
      seed: cell?.seed ?? null,
      stage: stages[step],
      id: this.#context.newId(),
      position: this.runs.length,
      spec: text,
      specSha256: sha256(text),
      digest: digestOf({ spec: text, inputs: inputs.map((input) => this.#identityOf(input)) }),
    };
    this.runs.push(planned);
    this.#digests.set(planned.id, planned.digest);
    return planned;
  }

  /** What an input is, apart from the ids of this plan: the digest of the run that makes it, or of the file. */
  #identityOf({ from, name }: RunInput): Json {
    if (from.kind === "ARTIFACT") return { name, sha256: from.sha256 };
    return { name, artifact: from.artifact, run: this.#digests.get(from.runId) ?? null };
  }
}

function questionFiles({ files }: RetrievalContext): RunInput[] {
  if (files === null) return [];
  const { queries, qrels, qrelsTrain, qrelsDev } = files;
  return [
    fromFile("queries", queries),
    fromFile("qrels", qrels),
    ...(qrelsTrain === null ? [] : [fromFile("qrels-train", qrelsTrain)]),
    ...(qrelsDev === null ? [] : [fromFile("qrels-dev", qrelsDev)]),
  ];
}

/** What a training answers: one without an answer is a missing row, not a broken plan. */
function outcomeInputs(run: PlannedRun, i: number): RunInput[] {
  return [fromRun(`rankings:${i}`, run, "rankings.jsonl", false), fromRun(`result:${i}`, run, "result.json", false)];
}

function fromRun(name: string, run: PlannedRun, artifact: string, required = true): RunInput {
  return { name, from: { kind: "RUN", runId: run.id, artifact }, required };
}

function fromFile(name: string, digest: string): RunInput {
  return { name, from: { kind: "ARTIFACT", sha256: digest }, required: true };
}
