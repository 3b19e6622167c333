import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { ErrorClass } from "../src/gen/assay/pod/v1/run.js";
import { DispatchRig } from "./support/dispatch.js";
import { eventually } from "./support/eventually.js";
import type { StubOutcome, StubTask } from "./support/stub-pod.js";

const rig = await DispatchRig.open();
const { query } = rig.databases;

describe("two runs whose processes died by a signal", () => {
  afterEach(() => rig.reset());

  it("are worked on by two pods, though the first one has a free slot for both", async () => {
    const release = Promise.withResolvers<void>();
    const work = async ({ epoch }: StubTask): Promise<StubOutcome> => {
      if (epoch === 1) return { errorClass: ErrorClass.ERROR_CLASS_POISON, code: "PROCESS_KILLED" };
      await release.promise;
      return { metrics: {} };
    };
    await rig.pod({ work, slots: 3 });
    await rig.pod({ work, slots: 3 });
    await rig.dispatcher();
    const experimentId = await rig.submit([{ stage: 0 }, { stage: 0 }]);
    await eventually("both to be worked on again", async () => {
      await query("update run set not_before = now() where state = 'RETRY_WAIT' and not_before > now()");
      const runs = await query<{ n: number }>(
        "select count(*)::int as n from run where experiment_id = $1 and state = 'RUNNING' and epoch = 2",
        [experimentId],
      );
      return runs[0]?.n === 2;
    });
    const again = await query<{ pods: number; tries: number }>(
      `select count(distinct a.pod_id)::int as pods, count(*)::int as tries from attempt a join run r on r.id = a.run_id
       where r.experiment_id = $1 and a.epoch = 2`,
      [experimentId],
    );
    assert.deepEqual(again, [{ pods: 2, tries: 2 }]);
    release.resolve();
    assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED", "SUCCEEDED"]);
  });
});
