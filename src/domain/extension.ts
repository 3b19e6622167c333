import { AssayError, invalidInput } from "../errors.js";
import { digestOf, type Json } from "./digest.js";
import { type RobustnessRequest, RUNS_MAX } from "./robustness.js";
import { mitigatedRate, plannedRates, runCount } from "./robustness-cells.js";
import { faultsOf, SEED_MAX } from "./robustness-rules.js";

/** What is added to the grid of a robustness experiment that was accepted. */
export interface GridAdditions {
  readonly addSeeds: readonly number[];
  readonly addSpuriousness: readonly number[];
}

/** A robustness experiment's spec, as it was stored when it was accepted, with what was added since. */
export interface StoredGrid {
  readonly request: RobustnessRequest;
  readonly modelDigest: string;
  readonly datasetDigest: string | null;
  readonly codeDigest: string;
}

/** The grid of a stored spec and its extensions, in the order in which they were asked for. */
export function gridWith(
  { spec, specSha256 }: { readonly spec: Json; readonly specSha256: string },
  extensions: readonly GridAdditions[],
): StoredGrid {
  if (digestOf(spec) !== specSha256)
    throw new AssayError("INTERNAL", `wanted a spec of digest ${specSha256}, but got another`);
  // Its digest says that it is what the planner wrote.
  const { modelDigest, datasetDigest, codeDigest, ...request } = spec as unknown as RobustnessRequest &
    Omit<StoredGrid, "request">;
  return { request: extensions.reduce(extended, request), modelDigest, datasetDigest, codeDigest };
}

/** What a wave of the kind EXTENSION says was added. */
export function additionsIn(body: Json): GridAdditions {
  const numbersOf = (name: string): number[] => {
    const found = new Map(Object.entries(body ?? {})).get(name);
    return Array.isArray(found) ? found.filter((value) => typeof value === "number") : [];
  };
  return { addSeeds: numbersOf("addSeeds"), addSpuriousness: numbersOf("addSpuriousness") };
}

/** A request with more seeds and rates. */
export function extended(request: RobustnessRequest, { addSeeds, addSpuriousness }: GridAdditions): RobustnessRequest {
  return {
    ...request,
    // What was trained stays in the plan, be it no longer at the highest rate.
    mitigations: { ...request.mitigations, rate: mitigatedRate(request) },
    seeds: [...request.seeds, ...addSeeds],
    spuriousness: [...request.spuriousness, ...addSpuriousness],
  };
}

/** Every rule that additions to a grid break; `root` is their path in the input. */
export function extensionFaults(
  request: RobustnessRequest,
  additions: GridAdditions,
  root: readonly string[],
): AssayError[] {
  const { addSeeds, addSpuriousness } = additions;
  if (addSeeds.length + addSpuriousness.length === 0) {
    return [invalidInput(root, "at least one seed or rate to add", { addSeeds, addSpuriousness })];
  }
  const faults = [
    ...newFaults(addSeeds, { there: request.seeds, path: [...root, "addSeeds"], max: SEED_MAX }),
    ...newFaults(addSpuriousness, {
      there: plannedRates(request.spuriousness),
      path: [...root, "addSpuriousness"],
      max: 1,
    }),
  ];
  const larger = extended(request, additions);
  if (faults.length > 0 || runCount(larger) <= RUNS_MAX) return faults;
  return faultsOf(larger, root);
}

interface Bounds {
  readonly there: readonly number[];
  readonly path: readonly string[];
  readonly max: number;
}

function newFaults(values: readonly number[], { there, path, max }: Bounds): AssayError[] {
  return values.flatMap((value, i) => {
    const [place, range] = [[...path, String(i)], max === 1 ? "a value from 0 to 1" : `an integer from 0 to ${max}`];
    if (value < 0 || value > max || (max > 1 && !Number.isInteger(value))) return [invalidInput(place, range, value)];
    const known = there.includes(value) || values.indexOf(value) < i;
    return known ? [invalidInput(place, "one that the grid has not yet", value)] : [];
  });
}
