import { factNames } from "./facts.js";
import { playSeeds } from "./seeded.js";

// seeds-main.js FIRST [COUNT [WORLDS]]: plays the seeds from FIRST on, says what broke and what was seen, and ends with 1 when
// anything broke.

const [first = 1, count = 1, worlds = 1] = process.argv.slice(2).map(Number);
const seeds = Array.from({ length: count }, (_, i) => first + i);
const { failures, facts } = await playSeeds(seeds, { worlds, boundMs: 3_600_000 });
for (const [seed, broken] of failures) process.stdout.write(`seed ${seed}:\n${broken}\n`);
if (facts !== null) for (const name of factNames(facts)) process.stdout.write(`${name.padEnd(20)} ${facts[name]}\n`);
process.exitCode = failures.size === 0 ? 0 : 1;
