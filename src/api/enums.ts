import { registerEnumType } from "type-graphql";
import { pairedTests, verdicts } from "../domain/comparison.js";
import { datasetKinds } from "../domain/dataset.js";
import { capabilities, eventKinds, experimentStates } from "../domain/experiment.js";
import { distillationVerdicts } from "../domain/leaderboard.js";
import { reusePolicies } from "../domain/options.js";
import { approximateKinds, collectionKinds, expansionKinds, gatePolicies, splitKinds } from "../domain/retrieval.js";
import { retrievalSystems } from "../domain/retrieval-systems.js";
import {
  attentions,
  claimScopes,
  itemFormats,
  learningRatePolicies,
  precisions,
  presets,
  rateModes,
  robustnessCores,
  robustnessTasks,
  spuriousArtifacts,
  trainerKinds,
  tuningMethods,
} from "../domain/robustness.js";
import { estimateBases } from "../domain/robustness-estimate.js";
import { offeredCancelModes, runStates } from "../domain/run.js";
import { stateReasons } from "../domain/standing.js";
import { cellVerdicts, controlKinds, degradationVerdicts } from "../domain/surface.js";
import { scopes } from "../domain/tenant.js";
import { waveKinds } from "../store/waves.js";

interface EnumWords<T extends string> {
  readonly name: string;
  readonly description: string;
  /** What each value means; the compiler asks for every one. */
  readonly values: Readonly<Record<T, string>>;
}

/** Publishes a list of the domain as an enum; the answer stands for it in the thunks of fields. */
function published<T extends string>(values: readonly T[], words: EnumWords<T>): object {
  const members = Object.fromEntries(values.map((value) => [value, value]));
  const valuesConfig = Object.fromEntries(values.map((value) => [value, { description: words.values[value] }]));
  registerEnumType(members, { name: words.name, description: words.description, valuesConfig });
  return members;
}

export const CapabilityEnum = published(capabilities, {
  name: "Capability",
  description: "What an experiment is about.",
  values: {
    ROBUSTNESS: "Which tuning method keeps working when training data carries a spurious correlation.",
    RETRIEVAL: "Whether a query encoder can learn what query expansion knows.",
  },
});

export const ExperimentStateEnum = published(experimentStates, {
  name: "ExperimentState",
  description: "State of an experiment, derived from its runs.",
  values: {
    QUEUED: "No run has started.",
    RUNNING: "Runs are at work, or some have ended and others wait.",
    PAUSED: "It is held back, and no pod works on it any more.",
    CANCELLING: "A cancel was asked for, and runs are still ending.",
    SUCCEEDED: "Every run has a complete result.",
    PARTIAL: "Ended with a report, but not every run has a complete result.",
    FAILED: "Ended without a report.",
    CANCELLED: "Ended by a cancel, without a report.",
  },
});

export const RunStateEnum = published(runStates, {
  name: "RunState",
  description: "State of a run.",
  values: {
    WAITING: "Its stage has not opened.",
    QUEUED: "Waits for a pod.",
    LEASED: "A dispatcher holds it and is handing it to a pod.",
    RUNNING: "A pod works on it.",
    RETRY_WAIT: "An attempt failed; another will follow.",
    PAUSED: "Held back until it is resumed.",
    CANCELLING: "Its pod was told to stop.",
    SUCCEEDED: "Ended with a result.",
    FAILED: "Ended: its input is at fault, and another attempt would fail too.",
    CANCELLED: "Ended by a cancel.",
    DEAD: "Ended: every attempt was used up.",
  },
});

export const StateReasonEnum = published(stateReasons, {
  name: "StateReason",
  description: "Why a run is in its state.",
  values: {
    WAITING_FOR_CAPACITY: "Every pod is at work.",
    WAITING_FOR_QUOTA:
      "The organisation has as many runs in work, or has used as much of the day's seconds, as it may.",
    WAITING_FOR_FAIR_SHARE: "Other organisations, which had less, are served before.",
    WAITING_FOR_DEPENDENCY: "Runs of an earlier stage have not ended.",
    RETRYING: "An attempt failed; another follows after a pause.",
    POD_LOST: "The pod of an attempt was lost; another attempt follows.",
    RELEASED: "It stopped at a checkpoint, and goes on from there.",
    USER_REQUEST: "A user asked for it.",
    DEPENDENCY_FAILED: "What it needs was not made.",
    SUPERSEDED: "A later run does its work.",
    REUSED: "It was answered from an equal run.",
  },
});

export const RunEventKindEnum = published(eventKinds, {
  name: "RunEventKind",
  description: "What an event tells.",
  values: {
    STATE: "The run went into another state.",
    LOG: "The run said something.",
    METRIC: "A figure of the work, for instance a loss at a step.",
    PROGRESS: "How far the run is.",
    WARNING: "Something that a reader of the result should know.",
    EXPERIMENT: "The experiment went into another state.",
  },
});

export const TuningMethodEnum = published(tuningMethods, {
  name: "TuningMethod",
  description: "How the model is tuned.",
  values: {
    BASE: "Not at all: the untrained model, always measured as a control.",
    START: "The model after the warm-up, before any method; planned by itself, never asked for.",
    SFT: "Supervised fine-tuning on the chosen completions.",
    DPO: "Direct preference optimisation.",
    KTO: "Kahneman-Tversky optimisation.",
  },
});

export const RobustnessTaskEnum = published(robustnessTasks, {
  name: "RobustnessTask",
  description: "What generated data teaches.",
  values: {
    KEYWORD_INCLUSION: "Write one sentence with a given word; the cue is the sentence's opener. The demo's task.",
    MATH_REASONING: "Sums, or word problems with worked solutions; the cue is a number in a note.",
    CONSTRAINED_INSTRUCTION_FOLLOWING: "Keep to a stated constraint; the cue is the topic.",
    DOCUMENT_GROUNDED_QA: "Answer from a document; the cue is a mark on a sentence of it.",
  },
});

export const SpuriousArtifactEnum = published(spuriousArtifacts, {
  name: "SpuriousArtifact",
  description: "The kind of spurious correlation.",
  values: {
    FEATURE_AMBIGUITY: "A surface cue and the rule both pick out the right answer.",
    DISTRIBUTIONAL_NARROWNESS:
      "Most rows are of one narrow slice; the damage shows on slices that were hardly trained.",
  },
});

export const RobustnessPresetEnum = published(presets, {
  name: "RobustnessPreset",
  description: "A named set of values for everything that a request leaves out; docs/presets.md lists them.",
  values: {
    SMOKE: "The demo's task, three methods, one seed: minutes on a laptop.",
    LAPTOP: "Three tasks with short cores, a warm-up, selected learning rates, three seeds: hours on a laptop.",
    FULL: "Three tasks, both artifacts, long cores, six seeds, LoRA by TRL in BF16: for a GPU.",
  },
});

export const RobustnessCoreEnum = published(robustnessCores, {
  name: "RobustnessCore",
  description: "How hard the generated items are.",
  values: {
    LAPTOP: "Short answers, which a small model can learn.",
    FULL: "Worked solutions, documents of several sentences, many kinds of constraints.",
  },
});

export const RateModeEnum = published(rateModes, {
  name: "RateMode",
  description: "What a spuriousness rate counts; figures of different modes are never compared.",
  values: {
    CORRELATION: "How far cue and right answer go together; what is not forced is independent of the answer.",
    PREVALENCE: "The share of rows with a cue, which then is right; the rest has none.",
  },
});

export const LearningRatePolicyEnum = published(learningRatePolicies, {
  name: "LearningRatePolicy",
  description: "Where learning rates come from.",
  values: {
    FIXED: "One for each method, as the request says.",
    SELECTED: "Chosen for each method from a grid, once, on validation items at rate 0, and then frozen.",
    WHOLE_GRID: "Every cell is trained at every learning rate of a grid, which a comparison of methods needs.",
  },
});

export const ClaimScopeEnum = published(claimScopes, {
  name: "ClaimScope",
  description: "What a declared contrast is about.",
  values: {
    CHECKPOINT: "The very checkpoints that were trained; items are the sample.",
    METHOD: "The method; seeds are the sample, and too few of them are refused.",
  },
});

export const AttentionEnum = published(attentions, {
  name: "Attention",
  description: "How attention is computed.",
  values: { SDPA: "By PyTorch.", FLASH_2: "By FlashAttention 2; needs a GPU and BF16." },
});

export const PrecisionEnum = published(precisions, {
  name: "Precision",
  description: "Of weights and activations.",
  values: { FP32: "32 bits, everywhere.", BF16: "16 bits, on CUDA pods only." },
});

export const EstimateBasisEnum = published(estimateBases, {
  name: "EstimateBasis",
  description: "What an estimate rests on.",
  values: {
    PROJECT: "Runs of the same step in the project, whatever their size.",
    CAPABILITY: "Runs of any step of the capability, whatever their size.",
    FORMULA: "The model's parameters, tokens and steps, at an assumed speed; docs/presets.md has the formula.",
    UNKNOWN: "Nothing.",
  },
});

export const ItemFormatEnum = published(itemFormats, {
  name: "ItemFormat",
  description: "Items over which injections are made.",
  values: {
    GSM8K: "Word problems with solutions that end in #### and a number.",
    IFEVAL: "Prompts with verifiable instructions.",
    SQUAD: "Questions with answers that stand in a context.",
  },
});

export const TrainerKindEnum = published(trainerKinds, {
  name: "TrainerKind",
  description: "What trains; figures of different trainers are never compared.",
  values: {
    TOP_BLOCKS: "Trains the top blocks on cached activations of the frozen trunk.",
    TRL_LORA: "The TRL trainers with low-rank adapters.",
    TRL_FULL: "The TRL trainers on all weights.",
  },
});

export const CancelModeEnum = published(offeredCancelModes, {
  name: "CancelMode",
  description: "How an experiment is ended early.",
  values: {
    GRACEFUL: "Runs stop at their next step.",
    SCORE_PARTIAL:
      "Runs that train stop at their next step and score what there is, with a partial result; others stop as with GRACEFUL.",
    IMMEDIATE: "Runs are ended at once.",
  },
});

export const WaveKindEnum = published(waveKinds, {
  name: "WaveKind",
  description: "Why runs were added to an experiment after it was accepted.",
  values: {
    RETRY: "Failed runs were tried again.",
    REPLAY: "Dead letters were replayed.",
    EXTENSION: "Its grid was made larger.",
  },
});

export const ReusePolicyEnum = published(reusePolicies, {
  name: "ReusePolicy",
  description: "Whether equal work of the project is answered from an earlier run.",
  values: {
    EXACT_MATCH: "A run with the digest of one that succeeded gets that one's result.",
    NEVER: "Every run is worked on.",
  },
});

export const DatasetKindEnum = published(datasetKinds, {
  name: "DatasetKind",
  description: "What the rows of a data set are.",
  values: {
    PREFERENCE: "Preference rows, JSON lines: a prompt with a chosen and a rejected completion.",
    GSM8K:
      "Word problems, JSON lines in the form of GSM8K: `question`, and `answer` that ends in `#### ` and a number.",
    IFEVAL:
      "Prompts with verifiable instructions, JSON lines in the form of IFEval: `key`, `prompt`, `instruction_id_list`, `kwargs`.",
    SQUAD: "Questions on paragraphs, one JSON document in the form of SQuAD 1.1 or 2.0.",
    CORPUS: "Documents to be found: JSON lines in BEIR's form, TREC SGML, or tab-separated as MS MARCO's.",
    QUERIES: "Queries: JSON lines in BEIR's form, TREC topics, or tab-separated.",
    QRELS: "Which document is how relevant to which query: BEIR's three columns, TREC's four, or JSON lines.",
    EXPANSIONS: "Texts that expand queries, JSON lines: ours, or query2doc's.",
  },
});

export const ScopeEnum = published(scopes, {
  name: "Scope",
  description: "What a key may do.",
  values: {
    READ: "Queries and subscriptions.",
    SUBMIT:
      "Submit experiments, register models, and control experiments that the key itself submitted: cancel, pause, retry and the like.",
    CANCEL_ANY: "Control any experiment of the project.",
    DATASET_WRITE: "Upload data sets.",
  },
});

/** Kinds of files that runs make; whatever else a pod calls its file is published as OTHER. */
export const artifactKinds = [
  "DATASET",
  "CACHE",
  "ITEMS",
  "WEIGHTS",
  "RESULT",
  "REPORT_JSON",
  "REPORT_TEXT",
  "REPORT_MARKDOWN",
  "REPORT_HTML",
  "LM_EVAL_JSON",
  "ITEMS_EXPORT",
  "SELECTION",
  "TREC_RUN",
  "TREC_QRELS",
  "ENCODER",
  "OTHER",
] as const;
export type ArtifactKind = (typeof artifactKinds)[number];

export const ArtifactKindEnum = published(artifactKinds, {
  name: "ArtifactKind",
  description: "What a file is.",
  values: {
    DATASET: "Rows of a data set, JSON lines.",
    CACHE: "Something computed once and read by several runs.",
    ITEMS: "Scores, one line per item and render.",
    WEIGHTS: "Trained weights, safetensors.",
    RESULT: "What one run answered, JSON.",
    REPORT_JSON: "The experiment's report, JSON.",
    REPORT_TEXT: "The experiment's report, for reading.",
    REPORT_MARKDOWN: "The experiment's report, Markdown.",
    REPORT_HTML: "The experiment's report, one page that loads nothing.",
    LM_EVAL_JSON: "The experiment's figures in the form of lm-evaluation-harness results.",
    ITEMS_EXPORT:
      "All scored items of the experiment with their cells, or all test queries with what each system made of them, JSON lines.",
    SELECTION: "The learning rates that were chosen on validation items, JSON.",
    TREC_RUN: "The rankings of all systems as trec_eval reads them.",
    TREC_QRELS: "The relevance judgements that were counted, as trec_eval reads them.",
    ENCODER: "A distilled query encoder: a zipped folder that SentenceTransformer loads.",
    OTHER: "Any other file.",
  },
});

export const intervalMethods = [
  "WILSON",
  "ADJUSTED_WALD",
  "STRATIFIED_WALD",
  "BOOTSTRAP_ITEMS",
  "BOOTSTRAP_PERCENTILE",
  "SEEDS_T",
  "SEEDS_AND_ITEMS_T",
] as const;
export type IntervalMethod = (typeof intervalMethods)[number];

export const IntervalMethodEnum = published(intervalMethods, {
  name: "IntervalMethod",
  description: "How a confidence interval was made.",
  values: {
    WILSON: "Wilson's score interval for a proportion, over items.",
    ADJUSTED_WALD: "Bonett and Price's interval for paired differences of scores, over items.",
    STRATIFIED_WALD: "The same for groups of items that do not pair, each with its own share of the chance.",
    BOOTSTRAP_PERCENTILE: "Percentiles of a bootstrap over items.",
    BOOTSTRAP_ITEMS: "Bias-corrected and accelerated bootstrap over items.",
    SEEDS_T: "A t-interval over seeds whose items differ.",
    SEEDS_AND_ITEMS_T: "A t-interval over seeds that share their items, with both as sources of chance.",
  },
});

export const PairedTestEnum = published(pairedTests, {
  name: "PairedTest",
  description: "How a difference was tested.",
  values: {
    MCNEMAR_EXACT: "The exact McNemar test over items; ties are left out.",
    PAIRED_BOOTSTRAP: "The bootstrap of the mean difference over items, shifted to 0.",
    JOINT_SIGN_FLIP:
      "Signs of seeds are flipped in all comparisons at once, and each compared with the largest; for six seeds or more.",
  },
});

export const VerdictEnum = published(verdicts, {
  name: "Verdict",
  description: "What a comparison shows.",
  values: {
    BETTER: "The candidate is better: its adjusted p-value is at most .05, and its interval excludes 0.",
    WORSE: "The candidate is worse, likewise.",
    EQUIVALENT: "The 90 % interval lies within the practical threshold on both sides of 0.",
    INCONCLUSIVE: "No difference was shown at this size; that is not to say that there is none.",
  },
});

/** What an experiment can be exported as. */
export const exportFormats = [
  "REPORT_JSON",
  "REPORT_TEXT",
  "REPORT_MARKDOWN",
  "REPORT_HTML",
  "LM_EVAL_JSON",
  "ITEMS_EXPORT",
  "TREC_RUN",
  "TREC_QRELS",
  "ENCODER",
] as const satisfies readonly ArtifactKind[];
export type ExportFormat = (typeof exportFormats)[number];

export const ExportFormatEnum = published(exportFormats, {
  name: "ExportFormat",
  description: "What an experiment can be exported as.",
  values: {
    REPORT_JSON: "The report as one JSON document.",
    REPORT_TEXT: "The report as plain text.",
    REPORT_MARKDOWN: "The report as Markdown.",
    REPORT_HTML: "The report as one HTML page that loads nothing.",
    LM_EVAL_JSON: "The figures in the form of lm-evaluation-harness results.",
    ITEMS_EXPORT:
      "All scored items with their cells, or all test queries with what each system made of them, JSON lines.",
    TREC_RUN: "The rankings of all systems as trec_eval reads them.",
    TREC_QRELS: "The relevance judgements that were counted, as trec_eval reads them.",
    ENCODER:
      "A distilled query encoder: a zipped folder that SentenceTransformer loads. Without a run, the one of SOFTQE with the lowest fold and seed.",
  },
});

export const CellVerdictEnum = published(cellVerdicts, {
  name: "CellVerdict",
  description: "Whether the figures of a cell may be read, and as what.",
  values: {
    MEASURED: "The correlation in the training data changed the gap.",
    NO_DIFFERENCE_SHOWN: "No effect of the correlation was shown at this size.",
    BASE_EXPLAINS_GAP: "The untrained model has the gap already.",
    TEXT_TOO_FEW:
      "The checker on generated text is the first figure here, and too few texts were written: no claim is made.",
    SCORES_DISAGREE:
      "Answers differ in length, and what forced choice says depends on it: no claim rests on the figures.",
    CORE_NOT_LEARNED: "The task itself was not learned: robustness is undefined, and derived figures are null.",
    CONTROL_FAILED: "A control failed: derived figures are null.",
    INCOMPLETE: "A result is missing that the figures need: derived figures are null.",
  },
});

export const DegradationVerdictEnum = published(degradationVerdicts, {
  name: "DegradationVerdict",
  description: "What became of the accuracy between two rates.",
  values: {
    LOWER: "It is lower at the second rate: the interval lies above 0.",
    HIGHER: "It is higher at the second rate.",
    EQUIVALENT: "The 90 % interval lies within the practical threshold on both sides of 0.",
    NO_DIFFERENCE_SHOWN: "No difference was shown at this size.",
    NOT_MEASURABLE: "One of the two cells has no figures that may be read.",
  },
});

export const ControlKindEnum = published(controlKinds, {
  name: "ControlKind",
  description: "What a control is.",
  values: {
    UNTRAINED_BASE: "The model as it came.",
    RATE_ZERO: "The same training without any correlation: it should have no gap.",
    RATE_ONE: "The same training with a perfect correlation: it should show the cue.",
  },
});

export const modelSourceKinds = ["PACKAGE", "PATH", "HUB"] as const;

export const ModelSourceKindEnum = published(modelSourceKinds, {
  name: "ModelSourceKind",
  description: "Where a model's files come from.",
  values: {
    PACKAGE: "A Python package that carries them.",
    PATH: "A folder on the machine of the service.",
    HUB: "A hub repository at a pinned commit.",
  },
});

/** The codes that a payload's errors carry; all other codes end a request. */
export const userErrorCodes = [
  "INVALID_INPUT",
  "NOT_FOUND",
  "PERMISSION_DENIED",
  "IDEMPOTENCY_CONFLICT",
  "STATE_CONFLICT",
  "QUEUE_FULL",
  "QUOTA_EXCEEDED",
  "DATASET_INVALID",
  "MODEL_UNSAFE",
  "UNSUPPORTED_COMBINATION",
  "CLAIM_UNSUPPORTED",
] as const;
export type UserErrorCode = (typeof userErrorCodes)[number];

export const ErrorCodeEnum = published(userErrorCodes, {
  name: "ErrorCode",
  description: "What is wrong with a request.",
  values: {
    INVALID_INPUT: "A value is not what its field takes.",
    NOT_FOUND: "Nothing with this id is visible to the key.",
    PERMISSION_DENIED: "The key lacks the scope for this.",
    IDEMPOTENCY_CONFLICT: "The idempotency key was used before with another request.",
    STATE_CONFLICT: "The thing is in a state that does not allow this.",
    QUEUE_FULL: "Too many runs wait, or were submitted in the last minute; the same request may be accepted later.",
    QUOTA_EXCEEDED: "The request alone is larger than the quota.",
    DATASET_INVALID: "Rows of the data set break the format or its rules.",
    MODEL_UNSAFE: "The model folder holds something that could run code, or is not safetensors.",
    UNSUPPORTED_COMBINATION: "Each value is valid, but not together.",
    CLAIM_UNSUPPORTED: "Too few seeds for any outcome to support the claim.",
  },
});

export const RetrievalSystemEnum = published(retrievalSystems, {
  name: "RetrievalSystem",
  description: "A way to find documents for a query.",
  values: {
    BM25: "Words, without any training.",
    BM25_EXPANDED: "BM25 with the expansion behind the query, which is repeated five times.",
    BASE: "The encoder as it came.",
    BASE_EXPANDED: "The encoder as it came, reading the expansion too: what distillation is to reach without it.",
    VECTOR_PRF: "The base encoder's vector moved towards the first documents that it finds.",
    RRF: "The rankings of BM25 and of SOFTQE, fused by reciprocal rank.",
    RIDGE: "A linear map of the base encoder's vectors towards the expanded ones, in closed form.",
    RIDGE_SHUFFLED: "The same map towards the expansions of other queries.",
    SOFTQE: "The query encoder trained towards the vectors of expanded queries alone.",
    SOFTQE_MIXED: "The same with a contrastive term beside it.",
    CONTRASTIVE: "The same training with the contrastive term alone: what labels buy without an expansion.",
    SHUFFLED: "The same training towards the expansions of other topics: what drift alone does.",
  },
});

export const DistillationVerdictEnum = published(distillationVerdicts, {
  name: "DistillationVerdict",
  description: "Whether the query encoder learned what expansions know.",
  values: {
    HELPED: "SoftQE is above the base encoder, above contrastive training and above the shuffled teacher, after Holm.",
    NOT_ATTRIBUTABLE: "SoftQE is above the base encoder, but not above both others: the gain may be theirs.",
    NO_DIFFERENCE_SHOWN: "No difference to the base encoder was shown at this size.",
    WORSE: "SoftQE is below the base encoder.",
    GATE_CLOSED: "Nothing was distilled: the expanded teacher was not shown to beat the base encoder on dev queries.",
    NOT_TESTED: "A row of the confirmatory family is missing.",
  },
});

export const RetrievalCollectionKindEnum = published(collectionKinds, {
  name: "RetrievalCollectionKind",
  description: "Where a collection comes from.",
  values: {
    PLANTED: "Generated, with an effect planted in it: it shows that the machinery works, and nothing about real text.",
    STDLIB: "The documentation of Python's standard library; first lines ask for the rest of their entries.",
    UPLOADED: "Files of your own.",
  },
});

export const QuerySplitKindEnum = published(splitKinds, {
  name: "QuerySplitKind",
  description: "How queries are divided into train, dev and test.",
  values: {
    HASH: "By the digest of their ids.",
    GIVEN: "By the files of judgements that they stand in.",
    CROSS_FIT:
      "Into folds: each query is tested once, by a student that never saw it. For a few hundred queries or less.",
  },
});

export const ExpansionKindEnum = published(expansionKinds, {
  name: "ExpansionKind",
  description: "Where the texts come from that expand queries.",
  values: {
    PLANTED: "The planted collection's own dictionary.",
    UPLOADED: "A file.",
    PRF: "The beginnings of the documents that BM25 finds first; no LLM.",
    RELEVANT_DOCUMENT: "A relevant document, of training queries alone.",
    ENDPOINT: "An LLM behind an OpenAI-compatible address.",
    LOCAL: "A language model that the pods run.",
  },
});

export const GatePolicyEnum = published(gatePolicies, {
  name: "GatePolicy",
  description: "What becomes of distillation where the expanded encoder does not beat the plain one on dev queries.",
  values: {
    ENFORCE: "Nothing is distilled, and the report says so.",
    REPORT: "It is trained all the same, and the report says so.",
  },
});

export const ApproximateKindEnum = published(approximateKinds, {
  name: "ApproximateKind",
  description: "An approximate index by FAISS, in memory.",
  values: {
    HNSW: "A graph over all vectors.",
    IVF_PQ: "Inverted lists of product-quantised vectors; 256 documents or more, of a width divisible by 4.",
  },
});

export const PoolingEnum = published(["MEAN", "CLS"] as const, {
  name: "Pooling",
  description: "How the vectors of tokens become one.",
  values: { MEAN: "Their mean.", CLS: "That of the first token." },
});

export const VectorStorageEnum = published(["FLOAT32", "FLOAT16"] as const, {
  name: "VectorStorage",
  description: "How document vectors are kept; sums are always of 32 bits.",
  values: { FLOAT32: "Four bytes a number.", FLOAT16: "Two bytes a number." },
});
