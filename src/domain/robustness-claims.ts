import { AssayError } from "../errors.js";
import { CONFIDENCE, isTrained, type RobustnessRequest } from "./robustness.js";
import { familiesOf, plannedRates } from "./robustness-cells.js";
import { type Path, unless } from "./rules.js";

/**
 * The smallest p that a joint sign-flip over so many seeds can give, however large the family of contrasts is: all seeds flip
 * together, so of 2^S equally likely patterns two are as extreme as what was seen.
 */
export function smallestP(seeds: number): number {
  return Math.min(1, 2 ** (1 - seeds));
}

/** How many seeds a claim about a method needs, so that any outcome of them could be significant. */
export const METHOD_SEEDS_MIN = ((): number => {
  let seeds = 1;
  while (smallestP(seeds) > 1 - CONFIDENCE) seeds += 1;
  return seeds;
})();

/** Every rule that the declared contrast breaks. */
export function claimFaults(request: RobustnessRequest, path: Path): AssayError[] {
  const { contrast, methods, spuriousness, seeds } = request;
  if (contrast === null) return [];
  const { method, from, to, task, artifact, scope } = contrast;
  const rates = plannedRates(spuriousness);
  const trained = methods.filter(isTrained);
  const wantedRate = `one of the rates ${rates.join(", ")}`;
  const families = familiesOf(request);
  const known = families.some((family) => family.task === task && family.artifact === artifact);
  const names = families.map((family) => (family.task === null ? "no task" : `${family.task} with ${family.artifact}`));
  return [
    ...unless(
      isTrained(method) && trained.includes(method),
      [...path, "method"],
      `one of ${trained.join(", ")}`,
      method,
    ),
    ...unless(rates.includes(from), [...path, "from"], wantedRate, from),
    ...unless(rates.includes(to), [...path, "to"], wantedRate, to),
    ...unless(from !== to, [...path, "to"], "a rate other than `from`", to),
    ...unless(known, [...path, "task"], names.join(" or "), `${task ?? "no task"} with ${artifact ?? "no artifact"}`),
    ...(scope === "METHOD" && seeds.length < METHOD_SEEDS_MIN ? [tooFewSeeds(seeds.length, path)] : []),
  ];
}

function tooFewSeeds(seeds: number, path: Path): AssayError {
  const message =
    `${path.join(".")}.scope: wanted at least ${METHOD_SEEDS_MIN} seeds for a claim about the method, but got ${seeds}, whose smallest ` +
    `possible p is ${smallestP(seeds)}; add seeds, or claim CHECKPOINT`;
  const detail = { seedsNeeded: METHOD_SEEDS_MIN, seedsGiven: seeds, smallestP: smallestP(seeds) };
  return new AssayError("CLAIM_UNSUPPORTED", message, { path: [...path, "scope"], detail });
}
