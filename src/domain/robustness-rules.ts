import type { AssayError } from "../errors.js";
import {
  type DataSource,
  isTrained,
  type LearningRates,
  type RobustnessRequest,
  type RobustnessTask,
  RUNS_MAX,
  type SampleSize,
  type Trainer,
  trainedMethods,
  type Warmup,
} from "./robustness.js";
import { familiesOf, hasFreeRows, runCount } from "./robustness-cells.js";
import { claimFaults } from "./robustness-claims.js";
import { taskOfFormat } from "./robustness-presets.js";
import { distinct, eachOnce, inRange, type Path, unless, unsupported, wholeNumber } from "./rules.js";

const NAME_LENGTH_MAX = 200;
/** Seeds are from 0 to this. */
export const SEED_MAX = 2 ** 31 - 1;
/** The demo's cell has words and frames for so many pairs of each split. */
const KEYWORDS_MAX: SampleSize = {
  trainPairs: 108,
  validationPairs: 40,
  testPairs: 100,
  sliceValidationPairs: 10_000,
  sliceTestPairs: 10_000,
  generationItems: 100,
};
const OTHERS_MAX: SampleSize = {
  trainPairs: 100_000,
  validationPairs: 10_000,
  testPairs: 10_000,
  sliceValidationPairs: 10_000,
  sliceTestPairs: 10_000,
  generationItems: 10_000,
};
const LEARNING_RATES_MAX = 20;

/** Every rule that a robustness request breaks, in the order of its fields; none when it can be planned. `root` is its path in the input. */
export function faultsOf(request: RobustnessRequest, root: Path): AssayError[] {
  const faults = [
    ...unless(
      request.name.trim().length > 0 && request.name.length <= NAME_LENGTH_MAX,
      [...root, "name"],
      `1 to ${NAME_LENGTH_MAX} characters`,
      request.name,
    ),
    ...gridFaults(request, root),
    ...sourceFaults(request.source, [...root, "hub"]),
    ...familyFaults(request, root),
    ...warmupFaults(request.warmup, request.trainer, [...root, "warmup"]),
    ...learningRateFaults(request.learningRates, root),
    ...mitigationFaults(request, [...root, "mitigations"]),
    ...trainerFaults(request.trainer, [...root, "trainer"]),
    ...hardwareFaults(request, root),
    ...sizeFaults(request, [...root, "size"]),
    ...inRange(request.practicalThreshold, [0, 1], [...root, "practicalThreshold"]),
  ];
  const all = [...faults, ...claimFaults(request, [...root, "contrast"])];
  return all.length > 0 ? all : tooManyRuns(request, root);
}

function gridFaults({ methods, spuriousness, seeds }: RobustnessRequest, root: Path): AssayError[] {
  const named = methods.filter((method) => method !== "START");
  return [
    ...unless(named.some(isTrained), [...root, "methods"], `at least one of ${trainedMethods.join(", ")}`, methods),
    ...unless(named.length === methods.length, [...root, "methods"], "BASE, SFT, DPO or KTO", methods),
    ...unless(distinct(methods), [...root, "methods"], "each method once", methods),
    ...eachOnce(spuriousness, [...root, "spuriousness"], "rate"),
    ...spuriousness.flatMap((rate, i) => inRange(rate, [0, 1], [...root, "spuriousness", String(i)])),
    ...eachOnce(seeds, [...root, "seeds"], "seed"),
    ...seeds.flatMap((seed, i) => wholeNumber(seed, [0, SEED_MAX], [...root, "seeds", String(i)])),
  ];
}

function sourceFaults(source: DataSource, path: Path): AssayError[] {
  if (source.kind !== "HUB") return [];
  const { id, config, split, revision } = source;
  return [
    ...unless(
      /^[\w.-]{1,96}(\/[\w.-]{1,96})?$/.test(id) && !id.includes(".."),
      [...path, "id"],
      "a data set as owner/name",
      id,
    ),
    ...unless(
      /^[0-9a-f]{40}$/.test(revision),
      [...path, "revision"],
      "a full commit id of 40 hex digits, so that the rows cannot change",
      revision,
    ),
    ...unless(/^[\w.-]{1,96}$/.test(split), [...path, "split"], "the name of a split", split),
    ...unless(
      config === null || /^[\w.-]{1,96}$/.test(config),
      [...path, "config"],
      "the name of a configuration",
      config,
    ),
  ];
}

function familyFaults(request: RobustnessRequest, root: Path): AssayError[] {
  const { source, tasks, artifacts, core } = request;
  if (source.kind === "PREFERENCE") {
    return [
      ...unless(tasks.length === 0, [...root, "tasks"], "no tasks beside uploaded preference rows", tasks),
      ...unless(
        artifacts.every((artifact) => artifact === "FEATURE_AMBIGUITY"),
        [...root, "artifacts"],
        "FEATURE_AMBIGUITY or nothing beside uploaded preference rows, which carry their own cue",
        artifacts,
      ),
    ];
  }
  return [
    ...unless(
      tasks.length > 0 && distinct(tasks),
      [...root, "tasks"],
      "at least one task, each once, or an uploaded data set",
      tasks,
    ),
    ...unless(
      artifacts.length > 0 && distinct(artifacts),
      [...root, "artifacts"],
      "at least one artifact, each once",
      artifacts,
    ),
    ...(source.kind === "GENERATED" ? [] : itemFaults(request, taskOfFormat[source.format], root)),
    ...familiesOf(request).flatMap(({ task, artifact }) =>
      task === "KEYWORD_INCLUSION" && artifact === "DISTRIBUTIONAL_NARROWNESS"
        ? [
            unsupported(
              [...root, "artifacts"],
              ["KEYWORD_INCLUSION with FEATURE_AMBIGUITY"],
              `${task} with ${artifact}`,
            ),
          ]
        : [],
    ),
    ...(tasks.includes("KEYWORD_INCLUSION") && core === "FULL"
      ? [
          unsupported(
            [...root, "core"],
            ["KEYWORD_INCLUSION with the core LAPTOP"],
            "KEYWORD_INCLUSION with the core FULL",
          ),
        ]
      : []),
  ];
}

/** Items of a user's own are of one task, and only a cue can be set beside them: they come without slices. */
function itemFaults(
  { tasks, artifacts }: Pick<RobustnessRequest, "tasks" | "artifacts">,
  wanted: RobustnessTask,
  root: Path,
): AssayError[] {
  return [
    ...unless(
      tasks.every((task) => task === wanted),
      [...root, "tasks"],
      `${wanted}, which these items are of`,
      tasks,
    ),
    ...(artifacts.includes("DISTRIBUTIONAL_NARROWNESS")
      ? [
          unsupported(
            [...root, "artifacts"],
            ["FEATURE_AMBIGUITY over items of your own"],
            "DISTRIBUTIONAL_NARROWNESS over items of your own, which are not sorted into slices",
          ),
        ]
      : []),
  ];
}

function warmupFaults(warmup: Warmup | null, { promptsPerStep }: Trainer, path: Path): AssayError[] {
  if (warmup === null) return [];
  return [
    ...wholeNumber(warmup.pairs, [2 * promptsPerStep, OTHERS_MAX.trainPairs], [...path, "pairs"]),
    ...wholeNumber(warmup.epochs, [1, 100], [...path, "epochs"]),
    ...learningRate(warmup.learningRate, [...path, "learningRate"]),
  ];
}

function learningRateFaults({ policy, rates, grid }: LearningRates, root: Path): AssayError[] {
  if (policy === "FIXED") {
    return trainedMethods.flatMap((method) =>
      learningRate(rates[method], [...root, "trainer", "learningRate", method]),
    );
  }
  const path = [...root, "learningRates", "grid"];
  const sizes = trainedMethods.map((method) => grid[method].length);
  return [
    ...unless(
      new Set(sizes).size === 1,
      path,
      "as many learning rates for each method, so that none is tuned harder",
      grid,
    ),
    ...trainedMethods.flatMap((method) => [
      ...unless(
        grid[method].length >= 2 && grid[method].length <= LEARNING_RATES_MAX && distinct(grid[method]),
        [...path, method],
        `2 to ${LEARNING_RATES_MAX} learning rates, each once`,
        grid[method],
      ),
      ...grid[method].flatMap((rate, i) => learningRate(rate, [...path, method, String(i)])),
    ]),
  ];
}

function learningRate(rate: number, path: Path): AssayError[] {
  return unless(rate > 0 && rate <= 1, path, "a rate above 0 and at most 1", rate);
}

function mitigationFaults(
  { mitigations, methods, artifacts, spuriousness, source, size }: RobustnessRequest,
  path: Path,
): AssayError[] {
  const { tieFraction, groupBalanced, groupDroStepSize } = mitigations;
  if (tieFraction === null && !groupBalanced && groupDroStepSize === null) return [];
  const ambiguous = source.kind === "PREFERENCE" || artifacts.includes("FEATURE_AMBIGUITY");
  return [
    ...(ambiguous ? [] : [unsupported(path, ["mitigations over FEATURE_AMBIGUITY"], "mitigations without it")]),
    ...unless(
      spuriousness.some((rate) => rate > 0 && hasFreeRows(rate, size)),
      path,
      "a rate above 0 that leaves rows of both groups, the highest of which is mitigated",
      spuriousness,
    ),
    ...(tieFraction === null || methods.includes("DPO")
      ? []
      : [unsupported([...path, "tieFraction"], ["ties with DPO"], "ties without it")]),
    ...(groupDroStepSize === null || methods.includes("SFT")
      ? []
      : [unsupported([...path, "groupDroStepSize"], ["group DRO with SFT"], "group DRO without it")]),
    ...unless(
      tieFraction === null || (tieFraction > 0 && tieFraction < 1),
      [...path, "tieFraction"],
      "a share above 0 and below 1",
      tieFraction,
    ),
    ...unless(
      groupDroStepSize === null || (groupDroStepSize > 0 && groupDroStepSize <= 10),
      [...path, "groupDroStepSize"],
      "a step size above 0 and at most 10",
      groupDroStepSize,
    ),
  ];
}

function trainerFaults(trainer: Trainer, path: Path): AssayError[] {
  const { beta } = trainer;
  return [
    ...wholeNumber(trainer.blocks, [1, 128], [...path, "blocks"]),
    ...wholeNumber(trainer.loraRank, [1, 512], [...path, "loraRank"]),
    ...wholeNumber(trainer.epochs, [1, 100], [...path, "epochs"]),
    ...wholeNumber(trainer.promptsPerStep, [2, 1024], [...path, "promptsPerStep"]),
    ...unless(beta > 0 && beta <= 10, [...path, "beta"], "a value above 0 and at most 10", beta),
    ...wholeNumber(trainer.maxLength, [16, 131_072], [...path, "maxLength"]),
  ];
}

function hardwareFaults({ trainer, precision }: RobustnessRequest, root: Path): AssayError[] {
  const cached = trainer.kind === "TOP_BLOCKS";
  const flash = trainer.attention === "FLASH_2";
  return [
    ...(cached && trainer.gradientCheckpointing
      ? [
          unsupported(
            [...root, "trainer", "gradientCheckpointing"],
            ["gradientCheckpointing with TRL_LORA or TRL_FULL"],
            "gradientCheckpointing with TOP_BLOCKS, which keeps no activations of the trunk",
          ),
        ]
      : []),
    ...(cached && flash
      ? [unsupported([...root, "trainer", "attention"], ["TOP_BLOCKS with SDPA"], "TOP_BLOCKS with FLASH_2")]
      : []),
    ...(flash && precision === "FP32"
      ? [unsupported([...root, "trainer", "attention"], ["FLASH_2 with BF16"], "FLASH_2 with FP32")]
      : []),
  ];
}

function sizeFaults({ size, trainer, tasks }: RobustnessRequest, path: Path): AssayError[] {
  const max = tasks.includes("KEYWORD_INCLUSION") ? KEYWORDS_MAX : OTHERS_MAX;
  // KTO needs two steps' worth of pairs: with fewer, a block would hold a prompt beside itself.
  const trainPairsMin = Math.max(8, 2 * trainer.promptsPerStep);
  return [
    ...wholeNumber(size.trainPairs, [trainPairsMin, max.trainPairs], [...path, "trainPairs"]),
    ...wholeNumber(size.validationPairs, [2, max.validationPairs], [...path, "validationPairs"]),
    ...wholeNumber(size.testPairs, [2, max.testPairs], [...path, "testPairs"]),
    ...wholeNumber(size.sliceValidationPairs, [2, max.sliceValidationPairs], [...path, "sliceValidationPairs"]),
    ...wholeNumber(size.sliceTestPairs, [2, max.sliceTestPairs], [...path, "sliceTestPairs"]),
    ...wholeNumber(size.generationItems, [0, max.generationItems], [...path, "generationItems"]),
  ];
}

function tooManyRuns(request: RobustnessRequest, path: Path): AssayError[] {
  const runs = runCount(request);
  return runs <= RUNS_MAX ? [] : [unsupported(path, [`a grid of at most ${RUNS_MAX} runs`], `one of ${runs}`)];
}
