import { sentenceOf, type Verdict } from "./checker.js";
import { addFacts, type Facts } from "./facts.js";
import { World } from "./seeded-world.js";

/** What came of many seeds. */
export interface SeedsOutcome {
  /** Sentences about what was broken, by seed. */
  readonly failures: ReadonlyMap<number, string>;
  /** What all scenes saw together; null when none came to its end. */
  readonly facts: Facts | null;
  readonly played: number;
}

/** How seeds are played. */
export interface SeedsOptions {
  /** Worlds side by side. */
  readonly worlds: number;
  /** No seed is begun after so long. */
  readonly boundMs: number;
}

/** Plays the seeds in a few worlds side by side; a world in which something broke is given up. */
export async function playSeeds(seeds: readonly number[], { worlds, boundMs }: SeedsOptions): Promise<SeedsOutcome> {
  const waiting = [...seeds];
  const enough = setTimeout(() => waiting.splice(0), boundMs);
  let played = 0;
  const failures = new Map<number, string>();
  const facts: Facts[] = [];
  const playAll = async (): Promise<void> => {
    while (waiting.length > 0) {
      const world = await World.open();
      const last = await playIn(world, waiting, (seed, broken) => {
        played += 1;
        if (broken !== "") failures.set(seed, broken);
      });
      if (last !== null) facts.push(last.facts);
      await world.close();
    }
  };
  await Promise.all(Array.from({ length: worlds }, playAll));
  clearTimeout(enough);
  return { played, failures, facts: facts.length === 0 ? null : addFacts(facts) };
}

/** Plays seeds until none waits or one fails; gives the last verdict, which counts all of them. */
async function playIn(
  world: World,
  waiting: number[],
  tell: (seed: number, broken: string) => void,
): Promise<Verdict | null> {
  let last: Verdict | null = null;
  for (let seed = waiting.shift(); seed !== undefined; seed = waiting.shift()) {
    last = await world.play(seed);
    tell(seed, last.breaches.map(sentenceOf).join("\n"));
    if (last.breaches.length > 0) break;
  }
  return last;
}
