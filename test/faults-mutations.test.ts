import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { type Mutant, mutants, mutated } from "./faults/mutants.js";

const run = promisify(execFile);

/** What the scenario says when it is played by the code in this folder; empty when all is well. */
async function played(dist: string, { scenario }: Mutant): Promise<string> {
  try {
    const { stdout } = await run(process.execPath, [join(dist, "test", "faults", "scenario-main.js"), scenario], {
      timeout: 180_000,
    });
    return stdout;
  } catch (error) {
    // It ends with 1 where something is broken, and says what; anything else is a fault of the scenario.
    if (error instanceof Error && "code" in error && error.code === 1 && "stdout" in error && error.stdout !== "") {
      return String(error.stdout);
    }
    throw error;
  }
}

describe("the checker turns red when the service loses", () => {
  for (const mutant of mutants) {
    it(`${mutant.drops}; with it, the same history is green`, async () => {
      const clean = mutated([]);
      const broken = mutated(mutant.patches);
      try {
        assert.equal(await played(clean.dist, mutant), "");
        assert.match(await played(broken.dist, mutant), mutant.red);
      } finally {
        clean.remove();
        broken.remove();
      }
    });
  }

  it("and a patch that does not fit is an error, so that no mutant is the unchanged code", () => {
    assert.throws(
      () => mutated([{ file: "src/relay/relay.js", find: "not there", put: "" }]),
      /wanted src\/relay\/relay.js to hold once/,
    );
  });
});
