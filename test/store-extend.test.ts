import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { newId } from "../src/domain/digest.js";
import { additionsIn, extended, extensionFaults, type GridAdditions, gridWith } from "../src/domain/extension.js";
import type { RobustnessRequest } from "../src/domain/robustness.js";
import { planRobustness } from "../src/domain/robustness-plan.js";
import { defaultTrainer } from "../src/domain/robustness-presets.js";
import { AssayError } from "../src/errors.js";
import { cancelExperiment } from "../src/store/cancel.js";
import type { ClaimedRun } from "../src/store/claims.js";
import type { ExperimentKey } from "../src/store/events.js";
import { type Extended, extendExperiment } from "../src/store/extend.js";
import { setPriority } from "../src/store/priority.js";
import { Submitter } from "../src/store/submit.js";
import { assertInvariants } from "./faults/checker.js";
import { testDatabases } from "./support/databases.js";
import { LeaseRig } from "./support/lease-rig.js";
import { planContext, smokeRequest } from "./support/robustness.js";
import { submission } from "./support/store.js";

const databases = await testDatabases();
const rig = new LeaseRig(databases);
const { app, caller, query } = databases;

const context = planContext();
const request: RobustnessRequest = {
  ...smokeRequest,
  name: "extend",
  methods: ["SFT"],
  spuriousness: [0.5],
  seeds: [1],
  // Its train runs need one file alone of what their prepare run made.
  trainer: { ...defaultTrainer, kind: "TRL_LORA" },
};
const planned = planRobustness(request, context);

async function submit(): Promise<ExperimentKey> {
  const submitted = submission(caller, planRobustness(request, context));
  const { experimentId } = await new Submitter(app).submit(submitted);
  return { experimentId, tenantId: caller.tenantId };
}

function extend(
  { experimentId }: ExperimentKey,
  additions: Partial<GridAdditions>,
  idempotencyKey = newId(),
): Promise<Extended> {
  const whole = { addSeeds: [], addSpuriousness: [], ...additions };
  const keyed = { caller, operation: "extendExperiment", idempotencyKey, requestSha256: JSON.stringify(whole) };
  return app.withTenant(caller.tenantId, (tx) =>
    extendExperiment(tx, keyed, {
      experimentId,
      body: whole,
      plan: (earlier) => {
        const before = gridWith(
          planned,
          earlier.map((wave) => additionsIn(wave.body)),
        );
        return planRobustness(extended(before.request, whole), context);
      },
    }),
  );
}

async function work(key: ExperimentKey, act: (run: ClaimedRun) => Promise<unknown> = succeed): Promise<number> {
  let worked = 0;
  for (let runs = await rig.start(key); runs.length > 0; runs = await rig.start(key)) {
    worked += runs.length;
    for (const run of runs) await act(run);
  }
  return worked;
}

// The files that train and report runs read.
const succeed = (run: ClaimedRun): Promise<unknown> =>
  rig.complete(run, run.spec.includes('"step":"prepare"') ? "records.jsonl" : "items.jsonl");

const counting = async (key: ExperimentKey): Promise<string[]> =>
  (
    await query<{ digest: string }>("select digest from run where experiment_id = $1 and superseded_by is null", [
      key.experimentId,
    ])
  ).map((run) => run.digest);

afterEach(() => assertInvariants(databases));

describe("extending an experiment", () => {
  it("that has ended works on the new cells alone, and reports over all", async () => {
    const key = await submit();
    assert.equal(await work(key), planned.runs.length);
    assert.deepEqual(await extend(key, { addSpuriousness: [0.9] }), { replayed: false });
    assert.equal(await work(key), 2, "one new cell and the report");
    assert.equal((await rig.heard(key)).at(-1), "SUCCEEDED");
    const larger = planRobustness(extended(request, { addSeeds: [], addSpuriousness: [0.9] }), context);
    assert.deepEqual((await counting(key)).sort(), larger.runs.map((run) => run.digest).sort());
  });

  it("twice adds to what was added before, and under one key once", async () => {
    const key = await submit();
    await extend(key, { addSeeds: [2] }, "two");
    assert.deepEqual(await extend(key, { addSeeds: [2] }, "two"), { replayed: true });
    await extend(key, { addSeeds: [3], addSpuriousness: [0.9] });
    const larger = planRobustness(extended(request, { addSeeds: [2, 3], addSpuriousness: [0.9] }), context);
    assert.deepEqual((await counting(key)).sort(), larger.runs.map((run) => run.digest).sort());
    assert.equal(await work(key), larger.runs.length);
    assert.equal((await rig.heard(key)).at(-1), "SUCCEEDED");
  });

  it("tries cells anew that failed, and what waits for them", async () => {
    const key = await submit();
    await work(key, (run) => (run.spec.includes('"step":"prepare"') ? rig.fail(run, "BAD_INPUT") : succeed(run)));
    assert.equal((await rig.heard(key)).at(-1), "FAILED");
    await extend(key, { addSeeds: [2] });
    const larger = planRobustness(extended(request, { addSeeds: [2], addSpuriousness: [] }), context);
    assert.equal(await work(key), larger.runs.length);
    assert.equal((await rig.heard(key)).at(-1), "SUCCEEDED");
  });

  it("keeps its priority, also for what is added", async () => {
    const key = await submit();
    assert.equal(await app.withTenant(key.tenantId, (tx) => setPriority(tx, key, 7)), true);
    assert.equal(await app.withTenant(key.tenantId, (tx) => setPriority(tx, key, 7)), false);
    await extend(key, { addSeeds: [2] });
    const rows = await query<{ priority: number; rank: number }>(
      "select distinct priority, round(extract(epoch from accepted_at) - queue_rank)::int as rank from run where experiment_id = $1 and superseded_by is null",
      [key.experimentId],
    );
    assert.deepEqual(rows, [{ priority: 7, rank: 4200 }]);
    await work(key);
  });

  it("is refused when it was cancelled", async () => {
    const key = await submit();
    await app.withTenant(key.tenantId, (tx) => cancelExperiment(tx, key, { mode: "GRACEFUL", reason: null }));
    await assert.rejects(
      extend(key, { addSeeds: [2] }),
      (error) =>
        error instanceof AssayError && error.code === "STATE_CONFLICT" && error.detail["currentState"] === "CANCELLED",
    );
  });
});

describe("what may be added", () => {
  const faults = (additions: Partial<GridAdditions>): string[] =>
    extensionFaults(request, { addSeeds: [], addSpuriousness: [], ...additions }, ["input"]).map(
      ({ code, path }) => `${code} ${path.join(".")}`,
    );

  it("is something, new, in range, and not too much", () => {
    assert.deepEqual(faults({}), ["INVALID_INPUT input"]);
    assert.deepEqual(
      faults({ addSeeds: [2, 1, 2, -1, 1.5] }),
      [1, 2, 3, 4].map((i) => `INVALID_INPUT input.addSeeds.${i}`),
    );
    assert.deepEqual(
      faults({ addSpuriousness: [0.9, 0, 0.5, 1.1] }),
      [1, 2, 3].map((i) => `INVALID_INPUT input.addSpuriousness.${i}`),
    );
    assert.deepEqual(faults({ addSeeds: [2], addSpuriousness: [1] }), []);
    assert.deepEqual(faults({ addSeeds: Array.from({ length: 3_000 }, (_, i) => i + 2) }), [
      "UNSUPPORTED_COMBINATION input",
    ]);
  });
});
