import {
  isTrained,
  type RobustnessRequest,
  type RobustnessTask,
  type SpuriousArtifact,
  type TrainedMethod,
  type TuningMethod,
} from "./robustness.js";

/** Cells of one task and one artifact; both null for uploaded preference rows. */
export interface Family {
  readonly task: RobustnessTask | null;
  readonly artifact: SpuriousArtifact | null;
}

/** What is done beside the plain training: a mitigation, or the control of narrowness that drops the forced rows. */
export type Variant =
  | { readonly kind: "TIES"; readonly fraction: number }
  | { readonly kind: "GROUP_BALANCED" }
  | { readonly kind: "GROUP_DRO"; readonly stepSize: number }
  | { readonly kind: "SIZE_CONTROL" };

/** One cell of the grid with one seed. */
export interface TrainCell extends Family {
  readonly method: TuningMethod;
  /** Null for BASE and START. */
  readonly spuriousness: number | null;
  readonly variant: Variant | null;
  /** Where the plan names it: null for BASE and START, and where it is selected later. */
  readonly learningRate: number | null;
  readonly seed: number;
}

/** A learning rate that may be selected for a method. */
export interface Candidate {
  readonly method: TrainedMethod;
  readonly learningRate: number;
}

type Grid = Pick<
  RobustnessRequest,
  | "methods"
  | "source"
  | "tasks"
  | "artifacts"
  | "spuriousness"
  | "seeds"
  | "warmup"
  | "learningRates"
  | "mitigations"
  | "size"
>;

/** The families of a request, tasks outside. */
export function familiesOf({ source, tasks, artifacts }: Pick<Grid, "source" | "tasks" | "artifacts">): Family[] {
  if (source.kind === "PREFERENCE") return [{ task: null, artifact: null }];
  return tasks.flatMap((task) => artifacts.map((artifact) => ({ task, artifact })));
}

/** The rates that are trained for every method: those asked for, and the negative control at 0. */
export function plannedRates(spuriousness: readonly number[]): number[] {
  return [...new Set([0, ...spuriousness])].sort((a, b) => a - b);
}

/**
 * The cells of the grid, family by family and seed by seed, with the controls that are always planned: the untrained base (and
 * the model after the warm-up), rate 0 for every method, rate 1 for DPO (or the first method), and for narrow data the size
 * control of every method and rate.
 */
export function trainCells(grid: Grid): TrainCell[] {
  return familiesOf(grid).flatMap((family) => {
    const plain = { ...family, spuriousness: null, variant: null, learningRate: null };
    const untrained: TuningMethod[] = grid.warmup === null ? ["BASE"] : ["BASE", "START"];
    const trained = trainedCells(grid, family);
    return grid.seeds.flatMap((seed) => [
      ...untrained.map((method) => ({ ...plain, method, seed })),
      ...trained.map((cell) => ({ ...family, ...cell, seed })),
    ]);
  });
}

type Trained = Pick<TrainCell, "spuriousness" | "variant" | "learningRate"> & { readonly method: TrainedMethod };

/** What a family trains for each seed. */
function trainedCells(grid: Grid, { artifact }: Family): Trained[] {
  const methods = grid.methods.filter(isTrained);
  const rates = plannedRates(grid.spuriousness);
  const positive = methods.includes("DPO") ? "DPO" : methods[0];
  return methods.flatMap((method) => {
    const own = method === positive ? [...new Set([...rates, 1])] : rates;
    const cells: Omit<Trained, "learningRate">[] = [
      ...own.map((spuriousness) => ({ method, spuriousness, variant: null })),
      ...variantCells(grid, method, artifact),
    ];
    const { policy, grid: learningRates } = grid.learningRates;
    const each = policy === "WHOLE_GRID" ? learningRates[method] : [ratesOf(grid, method)];
    return cells.flatMap((cell) => each.map((learningRate) => ({ ...cell, learningRate })));
  });
}

/** The one learning rate of a method; null where it is selected later. */
function ratesOf({ learningRates: { policy, rates } }: Grid, method: TrainedMethod): number | null {
  return policy === "FIXED" ? rates[method] : null;
}

function variantCells(
  grid: Grid,
  method: TrainedMethod,
  artifact: Family["artifact"],
): Omit<Trained, "learningRate">[] {
  // Without a free row there is nothing to repeat, and nothing to weigh against the rows that are forced.
  const controlled = controlledRates(grid);
  if (artifact === "DISTRIBUTIONAL_NARROWNESS") {
    return controlled.map((spuriousness) => ({ method, spuriousness, variant: { kind: "SIZE_CONTROL" } }));
  }
  const spuriousness = mitigatedRate(grid);
  if (spuriousness === null) return [];
  return mitigationsOf(grid, method).map((variant) => ({ method, spuriousness, variant }));
}

function controlledRates({ spuriousness, size }: Pick<Grid, "spuriousness" | "size">): number[] {
  return spuriousness.filter((rate) => rate > 0 && hasFreeRows(rate, size)).sort((a, b) => a - b);
}

/** The rate at which mitigations are trained; null where no rate leaves rows of both groups. */
export function mitigatedRate(grid: Pick<Grid, "spuriousness" | "size" | "mitigations">): number | null {
  return grid.mitigations.rate ?? controlledRates(grid).at(-1) ?? null;
}

/** Whether a rate leaves training rows without the forced artifact. */
export function hasFreeRows(rate: number, { trainPairs }: Pick<Grid["size"], "trainPairs">): boolean {
  return Math.round(rate * trainPairs) < trainPairs;
}

/** The mitigations that are asked for and defined for a method. */
export function mitigationsOf({ mitigations }: Pick<Grid, "mitigations">, method: TrainedMethod): Variant[] {
  const { tieFraction, groupBalanced, groupDroStepSize } = mitigations;
  return [
    ...(tieFraction !== null && method === "DPO" ? [{ kind: "TIES", fraction: tieFraction } as const] : []),
    ...(groupBalanced ? [{ kind: "GROUP_BALANCED" } as const] : []),
    ...(groupDroStepSize !== null && method === "SFT"
      ? [{ kind: "GROUP_DRO", stepSize: groupDroStepSize } as const]
      : []),
  ];
}

/** What is tried before the learning rates of a family are selected, with the first seed at rate 0; none where they are not. */
export function tuneCandidates({ methods, learningRates }: Pick<Grid, "methods" | "learningRates">): Candidate[] {
  if (learningRates.policy !== "SELECTED") return [];
  return methods
    .filter(isTrained)
    .flatMap((method) => learningRates.grid[method].map((learningRate) => ({ method, learningRate })));
}

/** The steps of a plan in the order of their stages. */
export const robustnessSteps = ["prepare", "warmup", "tune", "select", "train", "report"] as const;
export type RobustnessStep = (typeof robustnessSteps)[number];

/** How many runs of each step the request becomes. */
export function runCounts(grid: Grid): Record<RobustnessStep, number> {
  const families = familiesOf(grid).length;
  const perSeed = families * grid.seeds.length;
  const candidates = tuneCandidates(grid).length;
  return {
    prepare: perSeed,
    warmup: grid.warmup === null ? 0 : perSeed,
    tune: families * candidates,
    select: candidates === 0 ? 0 : families,
    train: trainCells({ ...grid, seeds: [0] }).length * grid.seeds.length,
    report: 1,
  };
}

/** How many runs the request becomes. */
export function runCount(grid: Grid): number {
  return Object.values(runCounts(grid)).reduce((sum, count) => sum + count, 0);
}
