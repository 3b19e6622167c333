import { randomInt } from "node:crypto";

/** Chance that the same seed repeats. */
export interface Random {
  readonly seed: number;
  /** From 0 to below 1. */
  next(): number;
  /** An integer from 0 to below `n`. */
  below(n: number): number;
  /** True with this probability. */
  chance(probability: number): boolean;
}

/** Chance from a seed (the generator is Mulberry32). */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return { seed, next, below: (n) => Math.floor(next() * n), chance: (probability) => next() < probability };
}

/** The seed that ASSAY_TEST_SEED names, or a new one; it is printed, so that what it shows can be shown again. */
export function testSeed(what: string): number {
  const named = process.env["ASSAY_TEST_SEED"];
  const seed = named === undefined ? randomInt(2 ** 32) : Number(named) >>> 0;
  process.stderr.write(`${what}: ASSAY_TEST_SEED=${seed}\n`);
  return seed;
}
