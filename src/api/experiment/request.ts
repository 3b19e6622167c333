import {
  type Contrast,
  type DataSource,
  type ItemFormat,
  itemFormats,
  type LearningRates,
  type Mitigations,
  type RobustnessRequest,
  type TrainedMethod,
  type Trainer,
  type Warmup,
} from "../../domain/robustness.js";
import { familiesOf } from "../../domain/robustness-cells.js";
import {
  defaultLearningRates,
  defaultSize,
  defaultTrainer,
  defaultValues,
  maxLengths,
  type PresetValues,
  presetValues,
  taskOfFormat,
} from "../../domain/robustness-presets.js";
import { type AssayError, invalidInput } from "../../errors.js";
import type { ContrastInput, RobustnessInput } from "./robustness.input.js";
import type { MitigationsInput, WarmupInput } from "./training.input.js";

/**
 * The domain's request with every default filled in: what the input says, else what its preset says, else the default. Nothing of
 * the input gets past the fields that are named here. `datasetKind` is that of the named data set version.
 */
export function requestOf(input: RobustnessInput, datasetKind: string | null): RobustnessRequest {
  const values = input.preset ? presetValues[input.preset] : defaultValues;
  const source = sourceOf(input, datasetKind);
  const grid = { source, tasks: input.tasks ?? tasksOf(source, values), artifacts: artifactsOf(input, source, values) };
  const core = input.core ?? values.core;
  return {
    ...grid,
    core,
    name: input.name,
    preset: input.preset ?? null,
    methods: input.methods ?? values.methods,
    spuriousness: input.spuriousness ?? values.spuriousness,
    rateMode: input.rateMode ?? "CORRELATION",
    seeds: input.seeds ?? values.seeds,
    warmup: input.warmup ? warmupOf(input.warmup, values.warmup) : values.warmup,
    learningRates: learningRatesOf(input, values),
    mitigations: mitigationsOf(input.mitigations ?? {}),
    trainer: trainerOf(input, { ...defaultTrainer, maxLength: maxLengths[core], ...values.trainer }),
    precision: input.precision ?? values.precision,
    size: sizeOf(input, values),
    contrast: input.contrast ? contrastOf(input.contrast, grid) : null,
    practicalThreshold: input.practicalThreshold ?? 0.05,
  };
}

/** What contradicts itself in the input, so that it cannot be seen in the request any more. */
export function inputFaults(input: RobustnessInput, root: readonly string[]): AssayError[] {
  const faults: AssayError[] = [];
  const { learningRates, trainer } = input;
  const named = trainer?.learningRate ?? trainer?.learningRates ?? null;
  if (learningRates && learningRates.policy !== "FIXED" && named !== null) {
    const path = [...root, "trainer", "learningRate"];
    faults.push(invalidInput(path, `none beside the policy ${learningRates.policy}, which takes a grid`, named));
  }
  const grid = learningRates?.grid ?? learningRates?.grids ?? null;
  if (learningRates?.policy === "FIXED" && grid !== null) {
    faults.push(invalidInput([...root, "learningRates", "grid"], "none beside the policy FIXED", grid));
  }
  if (input.hub && input.datasetVersionId) {
    faults.push(invalidInput([...root, "hub"], "none beside datasetVersionId", input.hub.id));
  }
  return faults;
}

function sourceOf({ hub, datasetVersionId }: RobustnessInput, datasetKind: string | null): DataSource {
  if (hub) {
    const { format, id, config, split, revision } = hub;
    return { kind: "HUB", format, id, config: config ?? null, split, revision };
  }
  const format: ItemFormat | undefined = itemFormats.find((known) => known === datasetKind);
  if (format !== undefined) return { kind: "ITEMS", format };
  return { kind: datasetVersionId == null ? "GENERATED" : "PREFERENCE" };
}

function tasksOf(source: DataSource, preset: PresetValues): RobustnessRequest["tasks"] {
  if (source.kind === "GENERATED") return preset.tasks;
  return source.kind === "PREFERENCE" ? [] : [taskOfFormat[source.format]];
}

/** Rows of a user's own have a cue and no slices, whatever a preset says. */
function artifactsOf(
  { artifacts }: RobustnessInput,
  source: DataSource,
  preset: PresetValues,
): RobustnessRequest["artifacts"] {
  return artifacts ?? (source.kind === "GENERATED" ? preset.artifacts : defaultValues.artifacts);
}

function warmupOf({ pairs, epochs, learningRate }: WarmupInput, preset: Warmup | null): Warmup | null {
  if (pairs === 0) return null;
  return {
    pairs,
    epochs: epochs ?? preset?.epochs ?? defaultTrainer.epochs,
    learningRate: learningRate ?? preset?.learningRate ?? defaultLearningRates.SFT,
  };
}

function learningRatesOf({ learningRates, trainer }: RobustnessInput, preset: PresetValues): LearningRates {
  const { learningRate: every, learningRates: each } = trainer ?? {};
  const isNamed = (every ?? each ?? null) !== null;
  const policy = learningRates?.policy ?? (isNamed ? "FIXED" : preset.learningRatePolicy);
  const grids = learningRates?.grids;
  const whole = learningRates?.grid ?? preset.learningRateGrid;
  const gridOf = (own: readonly number[] | null | undefined): readonly number[] =>
    policy === "FIXED" ? [] : (own ?? whole);
  const rateOf = (method: TrainedMethod, own: number | null | undefined): number =>
    own ?? every ?? defaultLearningRates[method];
  return {
    policy,
    rates: { SFT: rateOf("SFT", each?.sft), DPO: rateOf("DPO", each?.dpo), KTO: rateOf("KTO", each?.kto) },
    grid: { SFT: gridOf(grids?.sft), DPO: gridOf(grids?.dpo), KTO: gridOf(grids?.kto) },
  };
}

function mitigationsOf({ tieFraction, groupBalanced, groupDroStepSize }: MitigationsInput): Mitigations {
  return {
    tieFraction: tieFraction ?? null,
    groupBalanced: groupBalanced ?? false,
    groupDroStepSize: groupDroStepSize ?? null,
    rate: null,
  };
}

function trainerOf({ trainer }: RobustnessInput, base: Trainer): Trainer {
  return {
    kind: trainer?.kind ?? base.kind,
    blocks: trainer?.blocks ?? base.blocks,
    loraRank: trainer?.loraRank ?? base.loraRank,
    epochs: trainer?.epochs ?? base.epochs,
    promptsPerStep: trainer?.promptsPerStep ?? base.promptsPerStep,
    beta: trainer?.beta ?? base.beta,
    gradientCheckpointing: trainer?.gradientCheckpointing ?? base.gradientCheckpointing,
    attention: trainer?.attention ?? base.attention,
    maxLength: trainer?.maxLength ?? base.maxLength,
  };
}

function sizeOf({ size }: RobustnessInput, preset: PresetValues): RobustnessRequest["size"] {
  const base = { ...defaultSize, ...preset.size };
  return {
    trainPairs: size?.trainPairs ?? base.trainPairs,
    validationPairs: size?.validationPairs ?? base.validationPairs,
    testPairs: size?.testPairs ?? base.testPairs,
    sliceValidationPairs: size?.sliceValidationPairs ?? base.sliceValidationPairs,
    sliceTestPairs: size?.sliceTestPairs ?? base.sliceTestPairs,
    generationItems: size?.generationItems ?? base.generationItems,
  };
}

type FamilyParts = Pick<RobustnessRequest, "source" | "tasks" | "artifacts">;

/** A contrast may leave task and artifact out where the grid has one of each. */
function contrastOf({ method, from, to, task, artifact, scope }: ContrastInput, grid: FamilyParts): Contrast {
  const [family, ...others] = familiesOf(grid);
  const only = others.length === 0 ? family : undefined;
  return {
    method,
    from,
    to,
    task: task ?? only?.task ?? null,
    artifact: artifact ?? only?.artifact ?? null,
    scope: scope ?? "CHECKPOINT",
  };
}
