import type { AssayError } from "../errors.js";
import type {
  EndpointExpansion,
  Expansion,
  LocalExpansion,
  QuerySplit,
  RetrievalRequest,
  StudentOptions,
} from "./retrieval.js";
import { distinct, eachOnce, inRange, type Path, unless, unsupported, wholeNumber } from "./rules.js";

const NAME_LENGTH_MAX = 200;
const SEEDS_MAX = 20;
const SEED_MAX = 2 ** 31 - 1;
const PROMPT_LENGTH_MAX = 20_000;
const CODE_MAX = 1000;

/** Every rule that a request breaks; `root` is its path in the input. */
export function retrievalFaults(request: RetrievalRequest, root: Path): AssayError[] {
  const { name, seeds, gains, shards, practicalThreshold } = request;
  const at = (field: string): Path => [...root, field];
  return [
    ...unless(
      name.trim() !== "" && name.length <= NAME_LENGTH_MAX,
      at("name"),
      `1 to ${NAME_LENGTH_MAX} characters`,
      name,
    ),
    ...eachOnce(seeds, at("seeds"), "seed"),
    ...unless(seeds.length <= SEEDS_MAX, at("seeds"), `at most ${SEEDS_MAX} seeds`, seeds.length),
    ...seeds.flatMap((seed) => wholeNumber(seed, [0, SEED_MAX], at("seeds"))),
    ...wholeNumber(shards, [1, 1000], at("shards")),
    ...inRange(practicalThreshold, [0, 1], at("practicalThreshold")),
    ...collectionFaults(request, at("collection")),
    ...splitFaults(request.split, at("split")),
    ...(gains === null ? [] : gainFaults(gains, at("gains"))),
    ...expansionFaults(request.expansion, at("expansion")),
    ...encoderFaults(request, at("encoder")),
    ...studentFaults(request.student, at("student")),
    ...togetherFaults(request, root),
  ];
}

function collectionFaults({ collection }: RetrievalRequest, path: Path): AssayError[] {
  if (collection.kind !== "PLANTED") return [];
  const { topics, unseenTopics, phrasings, documentsPerTopic, seed } = collection;
  const at = (field: string): Path => [...path, "planted", field];
  return [
    ...wholeNumber(topics, [2, 100], at("topics")),
    ...wholeNumber(unseenTopics, [0, 98], at("unseenTopics")),
    ...unless(topics + unseenTopics <= 100, at("unseenTopics"), "at most 100 topics in all", topics + unseenTopics),
    ...wholeNumber(phrasings, [2, 16], at("phrasings")),
    ...wholeNumber(documentsPerTopic, [1, 200], at("documentsPerTopic")),
    ...wholeNumber(seed, [0, SEED_MAX], at("seed")),
  ];
}

function splitFaults(split: QuerySplit, path: Path): AssayError[] {
  if (split.kind === "GIVEN") return [];
  const dev = inRange(split.dev, [0.01, 0.9], [...path, "dev"]);
  if (split.kind === "CROSS_FIT") return [...dev, ...wholeNumber(split.folds, [2, 20], [...path, "folds"])];
  const test = inRange(split.test, [0.01, 0.98], [...path, "test"]);
  const sum = unless(split.dev + split.test < 1, path, "dev and test below 1 together", split.dev + split.test);
  return [...dev, ...test, ...sum];
}

function gainFaults(gains: NonNullable<RetrievalRequest["gains"]>, path: Path): AssayError[] {
  return [
    ...unless(
      gains.length > 0 && distinct(gains.map(({ code }) => code)),
      path,
      "at least one relevance code, each once",
      gains.map(({ code }) => code),
    ),
    ...gains.flatMap(({ code, gain }) => [
      ...wholeNumber(code, [-CODE_MAX, CODE_MAX], [...path, "code"]),
      ...wholeNumber(gain, [0, CODE_MAX], [...path, "gain"]),
    ]),
  ];
}

function expansionFaults(expansion: Expansion, path: Path): AssayError[] {
  const at = (field: string): Path => [...path, field];
  if (expansion.kind === "PRF") {
    return [
      ...wholeNumber(expansion.documents, [1, 100], at("documents")),
      ...wholeNumber(expansion.words, [1, 1000], at("words")),
    ];
  }
  if (expansion.kind === "LOCAL") return askingFaults(expansion, path);
  if (expansion.kind !== "ENDPOINT") return [];
  const { url, model, secretEnv } = expansion;
  const address = URL.canParse(url) ? new URL(url) : null;
  const usable = address !== null && /^https?:$/.test(address.protocol) && address.username === "";
  return [
    ...unless(usable, at("url"), "an http or https address without a login", url),
    ...unless(model.trim() !== "" && model.length <= 200, at("model"), "1 to 200 characters", model),
    ...askingFaults(expansion, path),
    ...unless(
      secretEnv === null || /^ASSAY_TEACHER_[A-Z0-9_]{1,80}$/.test(secretEnv),
      at("secretEnv"),
      "the name of a variable that begins with ASSAY_TEACHER_",
      secretEnv,
    ),
    ...inRange(expansion.pricePerMillionPromptTokens, [0, 1e6], at("pricePerMillionPromptTokens")),
    ...inRange(expansion.pricePerMillionCompletionTokens, [0, 1e6], at("pricePerMillionCompletionTokens")),
  ];
}

function askingFaults(asking: EndpointExpansion | LocalExpansion, path: Path): AssayError[] {
  const { prompt, samples, temperature, maxTokens } = asking;
  const at = (field: string): Path => [...path, field];
  return [
    ...unless(
      prompt.includes("{query}") && prompt.length <= PROMPT_LENGTH_MAX,
      at("prompt"),
      `a text with {query}, of at most ${PROMPT_LENGTH_MAX} characters`,
      prompt,
    ),
    ...wholeNumber(samples, [1, 16], at("samples")),
    ...inRange(temperature, [0, 2], at("temperature")),
    ...wholeNumber(maxTokens, [1, 4096], at("maxTokens")),
  ];
}

function encoderFaults({ encoder }: RetrievalRequest, path: Path): AssayError[] {
  const { maxLength, queryPrompt, documentPrompt } = encoder;
  return [
    ...wholeNumber(maxLength, [8, 8192], [...path, "maxLength"]),
    ...unless(queryPrompt.length <= 2000, [...path, "queryPrompt"], "at most 2000 characters", queryPrompt.length),
    ...unless(
      documentPrompt.length <= 2000,
      [...path, "documentPrompt"],
      "at most 2000 characters",
      documentPrompt.length,
    ),
  ];
}

function studentFaults(student: StudentOptions, path: Path): AssayError[] {
  const at = (field: string): Path => [...path, field];
  const { mixedAlphas, layers, epochs, batch, learningRate, temperature, hardNegatives } = student;
  const within = mixedAlphas.every((alpha) => alpha > 0 && alpha < 1);
  return [
    ...unless(
      within && distinct(mixedAlphas) && mixedAlphas.length <= 5,
      at("mixedAlphas"),
      "at most 5 values between 0 and 1, each once",
      mixedAlphas,
    ),
    ...(layers === null ? [] : wholeNumber(layers, [1, 48], at("layers"))),
    ...wholeNumber(epochs, [1, 100], at("epochs")),
    ...wholeNumber(batch, [2, 1024], at("batch")),
    ...unless(learningRate > 0 && learningRate <= 1, at("learningRate"), "a number above 0, at most 1", learningRate),
    ...unless(temperature > 0 && temperature <= 10, at("temperature"), "a number above 0, at most 10", temperature),
    ...wholeNumber(hardNegatives, [0, 8], at("hardNegatives")),
  ];
}

/** What does not go together. */
function togetherFaults({ collection, split, expansion }: RetrievalRequest, root: Path): AssayError[] {
  const faults: AssayError[] = [];
  const made = collection.kind !== "UPLOADED";
  if (expansion.kind === "PLANTED" && collection.kind !== "PLANTED") {
    faults.push(unsupported([...root, "expansion", "kind"], ["PRF", "UPLOADED", "ENDPOINT"], "PLANTED"));
  }
  if (split.kind === "GIVEN" && made) {
    faults.push(
      unsupported([...root, "split", "kind"], ["HASH", "CROSS_FIT"], `GIVEN of a ${collection.kind} collection`),
    );
  }
  return faults;
}
