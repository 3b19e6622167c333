import { AssayError, invalidInput } from "../errors.js";
import {
  plannedRates,
  type RobustnessRequest,
  RUNS_MAX,
  runCount,
  type SampleSize,
  type Trainer,
} from "./robustness.js";

const NAME_LENGTH_MAX = 200;
/** Seeds are from 0 to this. */
export const SEED_MAX = 2 ** 31 - 1;
/** The generated cell has words and frames for so many pairs of each split. */
const GENERATED_MAX: SampleSize = { trainPairs: 108, validationPairs: 40, testPairs: 100, generationItems: 100 };
const UPLOADED_MAX: SampleSize = {
  trainPairs: 100_000,
  validationPairs: 10_000,
  testPairs: 10_000,
  generationItems: 10_000,
};

type Path = readonly string[];
type Range = readonly [min: number, max: number];

/**
 * Every rule that a robustness request breaks, in the order of its fields; none when it can be planned.
 * `uploaded` says whether rows of the user's own stand in for a task; `root` is the path of the request in the input.
 */
export function faultsOf(request: RobustnessRequest, uploaded: boolean, root: Path): AssayError[] {
  const faults = [
    ...nameFaults(request.name, [...root, "name"]),
    ...gridFaults(request, root),
    ...taskFaults(request, uploaded, [...root, "tasks"]),
    ...trainerFaults(request.trainer, [...root, "trainer"]),
    ...sizeFaults(request, uploaded ? UPLOADED_MAX : GENERATED_MAX, [...root, "size"]),
    ...contrastFaults(request, [...root, "contrast"]),
    ...inRange(request.practicalThreshold, [0, 1], [...root, "practicalThreshold"]),
  ];
  return faults.length > 0 ? faults : tooManyRuns(request, root);
}

function nameFaults(name: string, path: Path): AssayError[] {
  return unless(
    name.trim().length > 0 && name.length <= NAME_LENGTH_MAX,
    path,
    `1 to ${NAME_LENGTH_MAX} characters`,
    name,
  );
}

function gridFaults({ methods, artifacts, spuriousness, seeds }: RobustnessRequest, root: Path): AssayError[] {
  const trained = methods.filter((method) => method !== "BASE");
  return [
    ...unless(trained.length > 0, [...root, "methods"], "at least one of SFT, DPO, KTO", methods),
    ...unless(distinct(methods), [...root, "methods"], "each method once", methods),
    ...unless(
      artifacts.length === 1 && distinct(artifacts),
      [...root, "artifacts"],
      "exactly one spurious artifact",
      artifacts,
    ),
    ...eachOnce(spuriousness, [...root, "spuriousness"], "rate"),
    ...spuriousness.flatMap((rate, i) => inRange(rate, [0, 1], [...root, "spuriousness", String(i)])),
    ...eachOnce(seeds, [...root, "seeds"], "seed"),
    ...seeds.flatMap((seed, i) => wholeNumber(seed, [0, SEED_MAX], [...root, "seeds", String(i)])),
  ];
}

function taskFaults({ tasks }: RobustnessRequest, uploaded: boolean, path: Path): AssayError[] {
  return uploaded
    ? unless(tasks.length === 0, path, "no tasks beside an uploaded data set", tasks)
    : unless(tasks.length === 1, path, "exactly one task, or an uploaded data set", tasks);
}

function trainerFaults(trainer: Trainer, path: Path): AssayError[] {
  const { learningRate, beta } = trainer;
  return [
    ...wholeNumber(trainer.blocks, [1, 128], [...path, "blocks"]),
    ...wholeNumber(trainer.loraRank, [1, 512], [...path, "loraRank"]),
    ...wholeNumber(trainer.epochs, [1, 100], [...path, "epochs"]),
    ...wholeNumber(trainer.promptsPerStep, [2, 1024], [...path, "promptsPerStep"]),
    ...Object.entries(learningRate).flatMap(([method, rate]) =>
      unless(rate > 0 && rate <= 1, [...path, "learningRate", method], "a rate above 0 and at most 1", rate),
    ),
    ...unless(beta > 0 && beta <= 10, [...path, "beta"], "a value above 0 and at most 10", beta),
  ];
}

function sizeFaults({ size, trainer }: RobustnessRequest, max: SampleSize, path: Path): AssayError[] {
  // KTO needs two steps' worth of pairs: with fewer, a block would hold a prompt beside itself.
  const trainPairsMin = Math.max(8, 2 * trainer.promptsPerStep);
  return [
    ...wholeNumber(size.trainPairs, [trainPairsMin, max.trainPairs], [...path, "trainPairs"]),
    ...wholeNumber(size.validationPairs, [2, max.validationPairs], [...path, "validationPairs"]),
    ...wholeNumber(size.testPairs, [2, max.testPairs], [...path, "testPairs"]),
    ...wholeNumber(size.generationItems, [0, max.generationItems], [...path, "generationItems"]),
  ];
}

function contrastFaults({ contrast, methods, spuriousness }: RobustnessRequest, path: Path): AssayError[] {
  if (contrast === null) return [];
  const { method, from, to } = contrast;
  const rates = plannedRates(spuriousness);
  const trained = methods.filter((planned) => planned !== "BASE");
  const wantedRate = `one of the rates ${rates.join(", ")}`;
  return [
    ...unless(
      trained.some((planned) => planned === method),
      [...path, "method"],
      `one of ${trained.join(", ")}`,
      method,
    ),
    ...unless(rates.includes(from), [...path, "from"], wantedRate, from),
    ...unless(rates.includes(to), [...path, "to"], wantedRate, to),
    ...unless(from !== to, [...path, "to"], "a rate other than `from`", to),
  ];
}

function tooManyRuns(request: RobustnessRequest, path: Path): AssayError[] {
  const runs = runCount(request);
  if (runs <= RUNS_MAX) return [];
  const supported = `a grid of at most ${RUNS_MAX} runs`;
  const message = `${path.join(".")}: wanted ${supported}, but got ${runs}`;
  return [new AssayError("UNSUPPORTED_COMBINATION", message, { path, detail: { supported: [supported] } })];
}

function eachOnce(values: readonly number[], path: Path, what: string): AssayError[] {
  return unless(values.length > 0 && distinct(values), path, `at least one ${what}, each once`, values);
}

function wholeNumber(value: number, [min, max]: Range, path: Path): AssayError[] {
  const holds = Number.isInteger(value) && value >= min && value <= max;
  return unless(holds, path, `an integer from ${min} to ${max}`, value);
}

function inRange(value: number, [min, max]: Range, path: Path): AssayError[] {
  return unless(value >= min && value <= max, path, `a value from ${min} to ${max}`, value);
}

function unless(holds: boolean, path: Path, wanted: string, got: unknown): AssayError[] {
  return holds ? [] : [invalidInput(path, wanted, got)];
}

function distinct(values: readonly (string | number)[]): boolean {
  return new Set(values).size === values.length;
}
