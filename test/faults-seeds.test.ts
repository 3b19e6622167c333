import assert from "node:assert/strict";
import { it } from "node:test";
import { type Facts, missingFacts } from "./faults/facts.js";
import { playSeeds } from "./faults/seeded.js";
import { leaveAfterTests } from "./support/leave.js";
import { testSeed } from "./support/seed.js";

leaveAfterTests();

const SEEDS = 200;
/** On a machine that is busy with other things as many are played as there is time for. */
const AT_LEAST = 10;
const BOUND_MS = 300_000;

/** What the scenes together must have seen, or they have shown nothing. */
const sometimes: readonly (keyof Facts)[] = [
  ...(["succeeded", "rejectedZombies", "leaseExpiries", "lostAttempts", "refusals", "retries", "resumes"] as const),
  ...(["checkpoints", "releases", "cancels", "pauses", "replays", "stagesOpened", "deadLetters", "reuses"] as const),
  ...(["duplicatesDropped", "republished", "adoptions", "resubmits", "contestedClaims"] as const),
];

it(`seeds of faults (${SEEDS}, or as many as five minutes allow) in bus, pods, links, dispatchers and database break no invariant, and see every fault`, {
  timeout: 800_000,
}, async () => {
  const first = testSeed("seeded faults") % 1_000_000;
  const seeds = Array.from({ length: SEEDS }, (_, i) => first + i);
  const { failures, facts, played } = await playSeeds(seeds, { worlds: 3, boundMs: BOUND_MS });
  process.stderr.write(`seeded faults: ${played} of ${SEEDS} seeds\n`);
  const program = "node dist/test/support/run-with-postgres.js node dist/test/faults/seeds-main.js";
  const told = [...failures].map(([seed, broken]) => `play it again by: ${program} ${seed}\n${broken}`);
  assert.equal(told.length, 0, told.join("\n"));
  assert.ok(played >= AT_LEAST, `${played} seeds were played`);
  assert.ok(facts !== null);
  assert.deepEqual(missingFacts(facts, sometimes), []);
});
