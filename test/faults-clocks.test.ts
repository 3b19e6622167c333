import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { assertInvariants } from "./faults/checker.js";
import { DispatchRig } from "./support/dispatch.js";
import { eventually } from "./support/eventually.js";
import { answerOf, type StubOutcome, type StubTask } from "./support/stub-pod.js";

const rig = await DispatchRig.open();
const { query, access } = rig.databases;

afterEach(async () => {
  await rig.reset();
  await assertInvariants(rig.databases);
});

/** A module that moves a process's wall clock by so much, and by as much again whenever it is looked at for the 500th time. */
const shifted = (ms: number): string => {
  const text = `let looks = 0; const now = Date.now.bind(Date); const Real = Date;
    Date.now = () => now() + ${ms} * (1 + Math.floor(++looks / 500));
    globalThis.Date = class extends Real { constructor(...at) { at.length === 0 ? super(Real.now()) : super(...at); } static now() { return Real.now(); } };`;
  return `data:text/javascript,${encodeURIComponent(text)}`;
};

describe("F19: a dispatcher whose clock", () => {
  for (const [what, ms] of [
    ["is an hour fast and jumps on", 3_600_000],
    ["is an hour slow and falls back", -3_600_000],
  ] as const) {
    it(`${what} keeps its leases by the database's clock, and its run is done in one attempt`, async () => {
      const gate = Promise.withResolvers<void>();
      const work = async ({ spec }: StubTask): Promise<StubOutcome> => {
        await gate.promise;
        return { metrics: { value: answerOf(spec) } };
      };
      const pod = await rig.pod({ work });
      const settings = { login: access.work, address: pod.address, artifacts: rig.artifactsFolder };
      const program = join(import.meta.dirname, "support", "dispatcher-process.js");
      const child = spawn(process.execPath, ["--import", shifted(ms), program, JSON.stringify(settings)], {
        stdio: ["ignore", "inherit", "inherit"],
      });
      try {
        const experimentId = await rig.submit([{ stage: 0 }]);
        const lease = `select extract(epoch from lease_until - now())::float8 as left, lease_until::text as until
                       from run where experiment_id = $1 and state = 'RUNNING'`;
        const first = await eventually(
          "a lease",
          async () => (await query<{ left: number; until: string }>(lease, [experimentId]))[0],
        );
        assert.ok(first.left > 0 && first.left <= 30, `${first.left} s`);
        const renewed = await eventually("its renewal", async () => {
          const [row] = await query<{ left: number; until: string }>(lease, [experimentId]);
          return row !== undefined && row.until !== first.until ? row : null;
        });
        assert.ok(renewed.left > 0 && renewed.left <= 30, `${renewed.left} s`);
        gate.resolve();
        assert.deepEqual(await rig.ended(experimentId), ["SUCCEEDED"]);
        const attempts = await query<{ outcome: string; age: number }>(
          `select a.outcome, abs(extract(epoch from now() - a.started_at))::float8 as age
           from attempt a join run r on r.id = a.run_id where r.experiment_id = $1`,
          [experimentId],
        );
        assert.deepEqual(
          attempts.map(({ outcome }) => outcome),
          ["SUCCEEDED"],
        );
        assert.ok((attempts[0]?.age ?? 3_600) < 600);
      } finally {
        gate.resolve();
        child.kill("SIGKILL");
        await once(child, "exit");
      }
    });
  }
});
