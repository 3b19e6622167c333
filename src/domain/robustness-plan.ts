import { canonicalJson, digestOf, type Json, sha256 } from "./digest.js";
import type { PlannedExperiment } from "./experiment.js";
import type { RobustnessRequest } from "./robustness.js";
import {
  type Family,
  familiesOf,
  type RobustnessStep,
  robustnessSteps,
  runCounts,
  type TrainCell,
  trainCells,
  tuneCandidates,
} from "./robustness-cells.js";
import { experimentSpec, type PlanContext, RobustnessSpecs } from "./robustness-specs.js";
import type { PlannedRun, RunInput } from "./run.js";

/**
 * Plans a request that has no faults: for each family and seed a prepare run and, where it is asked for, a warm-up; the search for
 * learning rates where they are selected; the train cells; the report. Pure but for `newId`; equal requests in equal contexts give
 * runs of equal digests.
 */
export function planRobustness(request: RobustnessRequest, context: PlanContext): PlannedExperiment {
  const plan = new Plan(request, context);
  const prepared = plan.prepare();
  plan.warmup();
  const selections = plan.select();
  const cells = plan.train(trainCells(request));
  plan.report({ prepared, selections, cells });
  const spec = experimentSpec(request, context);
  const { runs, stageCount } = plan;
  return { capability: "ROBUSTNESS", name: request.name, spec, specSha256: digestOf(spec), stageCount, runs };
}

/** A run and what of the grid it is. */
interface Placed<T> {
  readonly of: T;
  readonly run: PlannedRun;
}

type FamilySeed = Family & { readonly seed: number };

interface ReportInputs {
  readonly prepared: readonly Placed<FamilySeed>[];
  readonly selections: readonly Placed<Family>[];
  readonly cells: readonly Placed<TrainCell>[];
}

/** A plan in the making: each step adds the runs of its stage. */
class Plan {
  readonly runs: PlannedRun[] = [];
  readonly stageCount: number;
  readonly #request: RobustnessRequest;
  readonly #context: PlanContext;
  readonly #specs: RobustnessSpecs;
  readonly #families: readonly Family[];
  readonly #stages: ReadonlyMap<RobustnessStep, number>;
  readonly #digests = new Map<string, string>();
  readonly #prepared = new Map<string, PlannedRun>();
  readonly #warm = new Map<string, PlannedRun>();
  readonly #selected = new Map<string, PlannedRun>();

  constructor(request: RobustnessRequest, context: PlanContext) {
    this.#request = request;
    this.#context = context;
    this.#specs = new RobustnessSpecs(request, context);
    this.#families = familiesOf(request);
    const counts = runCounts(request);
    const there = robustnessSteps.filter((step) => counts[step] > 0);
    this.#stages = new Map(there.map((step, stage) => [step, stage]));
    this.stageCount = there.length;
  }

  prepare(): Placed<FamilySeed>[] {
    const { datasetDigest } = this.#context;
    const inputs: RunInput[] =
      datasetDigest === null
        ? []
        : [{ name: "upload", from: { kind: "ARTIFACT", sha256: datasetDigest }, required: true }];
    return this.#familySeeds().map((of) => {
      const run = this.#add("prepare", { cell: null, seed: of.seed, inputs }, this.#specs.prepare(of, of.seed));
      this.#prepared.set(nameOf(of), run);
      return { of, run };
    });
  }

  warmup(): void {
    if (this.#request.warmup === null) return;
    for (const of of this.#familySeeds()) {
      const inputs = this.#preparedInputs(of);
      this.#warm.set(
        nameOf(of),
        this.#add("warmup", { cell: null, seed: of.seed, inputs }, this.#specs.warmup(of, of.seed)),
      );
    }
  }

  /** The first seed stands for all: what it selects holds for seeds that are added later, too. */
  select(): Placed<Family>[] {
    const candidates = tuneCandidates(this.#request);
    const [seed] = this.#request.seeds;
    if (candidates.length === 0 || seed === undefined) return [];
    const tried = this.#families.map((family) => {
      const of = { ...family, seed };
      const inputs = [...this.#preparedInputs(of), ...this.#warmInputs(of)];
      return candidates.map((candidate) => {
        const cell = { ...of, ...candidate, spuriousness: 0, variant: null };
        return this.#add("tune", { cell, seed, inputs }, this.#specs.tune(family, candidate, seed));
      });
    });
    return this.#families.map((family, i) => {
      const inputs = (tried[i] ?? []).flatMap(outcomeInputs);
      const run = this.#add("select", { cell: null, seed, inputs }, this.#specs.select(family, candidates, seed));
      this.#selected.set(nameOf(family), run);
      return { of: family, run };
    });
  }

  train(cells: readonly TrainCell[]): Placed<TrainCell>[] {
    return cells.map((of) => {
      const trained = of.spuriousness !== null;
      const selection = trained ? this.#selected.get(nameOf({ task: of.task, artifact: of.artifact })) : undefined;
      const inputs = [
        ...this.#preparedInputs(of),
        ...(of.method === "BASE" ? [] : this.#warmInputs(of)),
        ...(selection === undefined ? [] : [fromRun("selection", selection, "selection.json", true)]),
      ];
      const cell = { ...of, variant: of.variant === null ? null : { ...of.variant } };
      return { of, run: this.#add("train", { cell, seed: of.seed, inputs }, this.#specs.train(of)) };
    });
  }

  report({ prepared, selections, cells }: ReportInputs): void {
    const inputs = [
      ...cells.flatMap(({ run }, i) => outcomeInputs(run, i)),
      ...prepared.map(({ run }, j) => fromRun(`prepared:${j}`, run, "result.json", false)),
      ...selections.map(({ run }, k) => fromRun(`selection:${k}`, run, "selection.json", false)),
    ];
    const parts = {
      cells: cells.map(ofPlaced),
      prepared: prepared.map(ofPlaced),
      selections: selections.map(ofPlaced),
    };
    this.#add("report", { cell: null, seed: null, inputs }, this.#specs.report(parts));
  }

  #familySeeds(): FamilySeed[] {
    return this.#families.flatMap((family) => this.#request.seeds.map((seed) => ({ ...family, seed })));
  }

  #preparedInputs(of: FamilySeed): RunInput[] {
    const prepared = this.#prepared.get(nameOf(of));
    if (prepared === undefined) return [];
    const shared =
      this.#request.trainer.kind === "TOP_BLOCKS"
        ? fromRun("trunk", prepared, "trunk.safetensors", true)
        : fromRun("reference", prepared, "reference.safetensors", false);
    return [fromRun("records", prepared, "records.jsonl", true), shared];
  }

  #warmInputs(of: FamilySeed): RunInput[] {
    const warm = this.#warm.get(nameOf(of));
    if (warm === undefined) return [];
    return [
      fromRun("start", warm, "start.safetensors", true),
      fromRun("start-reference", warm, "start-reference.safetensors", true),
    ];
  }

  #add(step: RobustnessStep, run: Pick<PlannedRun, "cell" | "seed" | "inputs">, spec: Json): PlannedRun {
    const text = canonicalJson(spec);
    const planned: PlannedRun = {
      ...run,
      step,
      stage: this.#stages.get(step) ?? 0,
      id: this.#context.newId(),
      position: this.runs.length,
      spec: text,
      specSha256: sha256(text),
      digest: digestOf({ spec: text, inputs: run.inputs.map((input) => inputIdentity(input, this.#digests)) }),
    };
    this.runs.push(planned);
    this.#digests.set(planned.id, planned.digest);
    return planned;
  }
}

/** What a run of a cell answers, for whoever compares cells: a cell without an answer is a missing one, not a broken plan. */
function outcomeInputs(run: PlannedRun, i: number): RunInput[] {
  return [fromRun(`items:${i}`, run, "items.jsonl", false), fromRun(`result:${i}`, run, "result.json", false)];
}

function fromRun(name: string, run: PlannedRun, artifact: string, required: boolean): RunInput {
  return { name, from: { kind: "RUN", runId: run.id, artifact }, required };
}

function nameOf({ task, artifact, seed }: Family & { readonly seed?: number }): string {
  return `${task}/${artifact}/${seed}`;
}

function ofPlaced<T>({ of }: Placed<T>): T {
  return of;
}

/** What an input is, apart from the ids of this plan: the digest of the run that makes it, or of the file. */
function inputIdentity({ from, name }: RunInput, digests: ReadonlyMap<string, string>): Json {
  if (from.kind === "ARTIFACT") return { name, sha256: from.sha256 };
  return { name, artifact: from.artifact, run: digests.get(from.runId) ?? null };
}
