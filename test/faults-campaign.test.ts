import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe } from "node:test";
import { campaign } from "./faults/campaign.js";
import { assertHolds } from "./faults/checker.js";
import { missingFacts } from "./faults/facts.js";
import { sometimes } from "./faults/sometimes.js";
import { brokerLane, testBroker } from "./support/kafka.js";
import { leaveAfterTests } from "./support/leave.js";
import { testSeed } from "./support/seed.js";

leaveAfterTests();
const broker = await testBroker();
const it = brokerLane(broker);

describe("a whole service of processes under random faults", () => {
  it("keeps invariants I1 to I18, and has seen everything that a fault run must see", async () => {
    assert.ok("brokers" in broker);
    const seed = testSeed("campaign");
    const folder = mkdtempSync(join(tmpdir(), "assay-faults-"));
    const say = (line: string): void => void process.stderr.write(`${line}\n`);
    const verdict = await campaign({ seed, faultSeconds: 60, folder, broker, say });
    say(JSON.stringify(verdict.facts));
    assertHolds(verdict);
    assert.deepEqual(missingFacts(verdict.facts, sometimes), []);
    rmSync(folder, { recursive: true, force: true }); // kept where something is broken
  });
});
