import type { ComparisonMetric } from "../../domain/comparison-metric.js";
import { canonicalJson, type Json } from "../../domain/digest.js";
import type { Run } from "../../domain/run.js";
import { AssayError, invalidInput, notFound } from "../../errors.js";
import { keyIn } from "../ids.js";
import type { Reads } from "../reads.js";
import { fieldOf, textOf } from "../run/json.js";

const SEEDS_MAX = 100;

/** The runs of one side by seed: of one cell, each with its own seed, ended with items. Throws what is wrong with them. */
export async function sideOf(ids: readonly string[], path: readonly string[], reads: Reads): Promise<readonly Run[]> {
  if (ids.length < 1 || ids.length > SEEDS_MAX) throw invalidInput(path, `1 to ${SEEDS_MAX} runs`, ids.length);
  const runs = await Promise.all(ids.map((id, i) => scoredRun(id, [...path, String(i)], reads)));
  const sorted = runs.toSorted((a, b) => (a.seed ?? 0) - (b.seed ?? 0));
  const seeds = sorted.map(({ seed }) => seed);
  if (new Set(seeds).size !== seeds.length) throw invalidInput(path, "runs of different seeds", seeds);
  const cells = new Set(sorted.map((run) => canonicalJson(withoutSeed(run))));
  if (cells.size > 1)
    throw invalidInput(path, "runs of one cell, which differ in their seeds alone", `${cells.size} cells`);
  return sorted;
}

async function scoredRun(id: string, path: readonly string[], reads: Reads): Promise<Run> {
  const key = keyIn(id, "Run");
  const run = key === null ? null : await reads.run(key);
  if (run === null) throw notFound(path, "run", id);
  if (run.step !== "train") throw invalidInput(path, "a run that scores items: one of step train", run.step);
  if (run.state !== "SUCCEEDED") {
    throw new AssayError(
      "STATE_CONFLICT",
      `${path.join(".")}: wanted a run that has SUCCEEDED, but it is ${run.state}`,
      {
        path,
        detail: { currentState: run.state, allowedFrom: ["SUCCEEDED"] },
      },
    );
  }
  return run;
}

/** Checks that the candidates may be held against the baseline at all. Throws INVALID_INPUT or UNSUPPORTED_COMBINATION. */
export function checkSides(
  baseline: readonly Run[],
  candidates: readonly (readonly Run[])[],
  { name, withinMethod }: ComparisonMetric,
): void {
  const seeds = baseline.map(({ seed }) => seed);
  const [trainer, method] = [trainerOf(baseline), fieldIn(baseline, "method")];
  candidates.forEach((side, i) => {
    const path = ["candidates", String(i)];
    const theirs = side.map(({ seed }) => seed);
    // One run a side may be any two: another seed is then one of their differences.
    const alone = seeds.length === 1 && theirs.length === 1;
    if (!alone && (theirs.length !== seeds.length || theirs.some((seed, place) => seed !== seeds[place]))) {
      throw invalidInput(path, `the baseline's seeds ${seeds.join(", ")}`, theirs);
    }
    // An untrained model was made by no trainer.
    if (method !== "BASE" && fieldIn(side, "method") !== "BASE" && trainerOf(side) !== trainer) {
      throw unsupported(path, `figures of different trainers are not compared: ${trainer} and ${trainerOf(side)}`, [
        `${trainer}`,
      ]);
    }
    if (withinMethod && fieldIn(side, "method") !== method) {
      throw unsupported(path, `${name} compares within one method: ${method} and ${fieldIn(side, "method")}`, [
        `${method}`,
      ]);
    }
  });
}

function unsupported(path: readonly string[], message: string, supported: readonly string[]): AssayError {
  return new AssayError("UNSUPPORTED_COMBINATION", `${path.join(".")}: ${message}`, { path, detail: { supported } });
}

function withoutSeed({ spec }: Run): Json {
  const document: Json = JSON.parse(spec);
  const fields = document !== null && typeof document === "object" && !Array.isArray(document) ? document : {};
  return { ...fields, seed: null };
}

function fieldIn([run]: readonly Run[], name: string): string | null {
  return run === undefined ? null : textOf(fieldOf(JSON.parse(run.spec), name));
}

function trainerOf([run]: readonly Run[]): string | null {
  return run === undefined ? null : textOf(fieldOf(fieldOf(JSON.parse(run.spec), "trainer"), "kind"));
}
