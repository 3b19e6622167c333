import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { ErrorClass } from "../src/gen/assay/pod/v1/run.js";
import { usageOfExperiments } from "../src/store/runs.js";
import { assertInvariants } from "./faults/checker.js";
import { DispatchRig } from "./support/dispatch.js";
import type { StubOutcome, StubTask } from "./support/stub-pod.js";

const rig = await DispatchRig.open();
const { app, caller } = rig.databases;

afterEach(async () => {
  await rig.reset();
  await assertInvariants(rig.databases);
});

const ends: readonly StubOutcome[] = [
  { metrics: {} },
  { errorClass: ErrorClass.ERROR_CLASS_BAD_INPUT, code: "TEACHER_REFUSED" },
];

describe("the usage ledger", () => {
  for (const end of ends) {
    it(`counts what language models read, wrote and answered in an attempt with ${JSON.stringify(end)}`, async () => {
      const work = async (task: StubTask): Promise<StubOutcome> => {
        task.say({ $case: "modelCalls", value: { promptTokens: 100n, completionTokens: 20n, queries: 1n } });
        task.say({ $case: "modelCalls", value: { promptTokens: 150n, completionTokens: 27n, queries: 2n } });
        return end;
      };
      await rig.pod({ work });
      await rig.dispatcher();
      const experimentId = await rig.submit([{ stage: 0 }]);
      await rig.ended(experimentId);
      const used = await app.withTenant(caller.tenantId, (tx) => usageOfExperiments(tx, [experimentId]));
      const { PROMPT_TOKENS, COMPLETION_TOKENS, QUERIES } = used.get(experimentId) ?? {};
      assert.deepEqual([PROMPT_TOKENS, COMPLETION_TOKENS, QUERIES], [150, 27, 2]);
    });
  }
});
