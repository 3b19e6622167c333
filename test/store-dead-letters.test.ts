import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { newId } from "../src/domain/digest.js";
import type { Caller } from "../src/domain/tenant.js";
import { AssayError } from "../src/errors.js";
import { cancelExperiment } from "../src/store/cancel.js";
import { listDeadLetters } from "../src/store/dead-letter-reads.js";
import { type LetterChoice, purgeLetters, replayable, replayLetters } from "../src/store/dead-letter-replay.js";
import { LOG_TAIL_BYTES } from "../src/store/dead-letters.js";
import type { ExperimentKey, NewEvent } from "../src/store/events.js";
import { noteNews } from "../src/store/leases.js";
import { assertInvariants } from "./faults/checker.js";
import { testDatabases } from "./support/databases.js";
import { LeaseRig } from "./support/lease-rig.js";

const databases = await testDatabases();
const rig = new LeaseRig(databases);
const { app, caller, query } = databases;

const all: LetterChoice = { ids: null, filter: {} };
const says = (runId: string, message: string, kind: "LOG" | "WARNING" = "LOG"): NewEvent => ({
  runId,
  kind,
  body: { message },
});

/** An experiment of one run that dies of its third failure; the last one says this. */
async function dead(who: Caller = caller, last: readonly string[] = []): Promise<ExperimentKey> {
  const key = await rig.submit([{ stage: 0 }], who);
  for (let tries = 1; tries <= 3; tries += 1) {
    await query("update run set not_before = now() where experiment_id = $1", [key.experimentId]);
    const [run] = await rig.start(key);
    assert.ok(run !== undefined);
    const events = tries === 3 ? last.map((message) => says(run.runId, message)) : [];
    await rig.fail(run, "TRANSIENT", { events });
  }
  assert.deepEqual(await rig.states(key), ["DEAD"]);
  return key;
}

async function letterOf({
  experimentId,
}: ExperimentKey): Promise<{ id: string; log_tail: string | null; last_error: string | null }> {
  const [row] = await query<{ id: string; log_tail: string | null; last_error: string | null }>(
    "select id, log_tail, last_error from dead_letter where experiment_id = $1",
    [experimentId],
  );
  assert.ok(row !== undefined);
  return row;
}

function replay(choice: LetterChoice, who: Caller = caller, idempotencyKey = newId()) {
  const request = {
    caller: who,
    operation: "replayDeadLetters",
    idempotencyKey,
    requestSha256: JSON.stringify(choice),
  };
  return app.withTenant(who.tenantId, (tx) => replayLetters(tx, request, choice));
}

const wouldReplay = (choice: LetterChoice, who: Caller = caller): Promise<string[]> =>
  app.withTenant(who.tenantId, (tx) => replayable(tx, who, choice));

afterEach(() => assertInvariants(databases));

describe("a dead letter", () => {
  it("holds the last error and the end of the log, whole lines, 64 KiB at most", async () => {
    const key = await rig.submit([{ stage: 0 }]);
    const [run] = await rig.start(key);
    assert.ok(run !== undefined);
    const lines = Array.from({ length: 40 }, (_, i) => `line ${i} ${"ä".repeat(1_000)}`);
    const events = [...lines.map((line) => says(run.runId, line)), says(run.runId, "beware", "WARNING")];
    await rig.write(key, (scope) =>
      noteNews(scope, [{ runId: run.runId, epoch: 1, sequence: 1, progress: null, events }]),
    );
    await rig.fail(run, "UNKNOWN", { events: [says(run.runId, "first try")] });
    await query("update run set not_before = now() where experiment_id = $1", [key.experimentId]);
    const [again] = await rig.start(key);
    assert.ok(again !== undefined);
    await rig.fail(again, "UNKNOWN", { message: "broken for good", events: [says(run.runId, "last words")] });
    const { log_tail, last_error } = await letterOf(key);
    assert.equal(last_error, "broken for good");
    const said = [...lines, "WARNING: beware", "first try", "last words"];
    const ends = said.map((_, i) => said.slice(i).join("\n"));
    assert.equal(
      log_tail,
      ends.find((end) => Buffer.byteLength(end) <= LOG_TAIL_BYTES),
    );
    assert.notEqual(log_tail, ends[0], "the log was too short to be cut");
  });

  it("of one endless line holds its end, cut between characters", async () => {
    const key = await dead(caller, [`${"ä".repeat(40_000)}!`]);
    const { log_tail } = await letterOf(key);
    assert.match(log_tail ?? "", /^ä+!$/);
    assert.ok(Buffer.byteLength(log_tail ?? "") > LOG_TAIL_BYTES - 4);
  });

  it("is listed in its project alone, by what is asked for", async () => {
    const who = await databases.newTenant();
    const key = await dead(who);
    const list = (filter: object, { tenantId, projectId }: Caller = who): Promise<string[]> =>
      app.withTenant(tenantId, async (tx) =>
        (await listDeadLetters(tx, { projectId, ...filter }, { first: 10 })).items.map((letter) => letter.id),
      );
    const { id } = await letterOf(key);
    for (const filter of [{}, { reason: "TRANSIENT" }, { code: "TEST" }, { replayed: false }, { purged: false }]) {
      assert.deepEqual(await list(filter), [id], JSON.stringify(filter));
    }
    for (const filter of [
      { reason: "POISON" },
      { diedBefore: new Date(0) },
      { replayed: true },
      { experimentId: newId() },
    ]) {
      assert.deepEqual(await list(filter), [], JSON.stringify(filter));
    }
    assert.deepEqual(await list({}, { ...who, projectId: newId() }), []);
    assert.deepEqual(await list({}, await databases.newTenant()), []);
  });
});

describe("replaying", () => {
  it("takes all that wait, of several experiments, in one answer; what was cancelled or replayed is passed over", async () => {
    const who = await databases.newTenant();
    const [one, two, cancelled] = [
      await dead(who),
      await dead(who),
      await rig.submit([{ stage: 0 }, { stage: 0 }], who),
    ];
    const [run] = await rig.start(cancelled, 1);
    assert.ok(run !== undefined);
    await rig.fail(run, "UNKNOWN");
    await query("update run set not_before = now() where experiment_id = $1", [cancelled.experimentId]);
    for (const again of await rig.start(cancelled)) if (again.runId === run.runId) await rig.fail(again, "UNKNOWN");
    await app.withTenant(who.tenantId, (tx) => cancelExperiment(tx, cancelled, { mode: "IMMEDIATE", reason: null }));
    const wanted = [(await letterOf(one)).id, (await letterOf(two)).id];
    assert.deepEqual(await wouldReplay(all, who), wanted);
    assert.deepEqual(await rig.states(one), ["DEAD"], "a dry run did something");
    const answers = await Promise.all([replay(all, who, "all"), replay(all, who, "all")]);
    assert.deepEqual(answers.map((answer) => answer.replayed).sort(), [false, true]);
    for (const { letterIds } of answers) assert.deepEqual([...letterIds].sort(), [...wanted].sort());
    assert.deepEqual([await rig.states(one), await rig.states(two)], [["QUEUED"], ["QUEUED"]]);
    assert.deepEqual(await wouldReplay(all, who), []);
    await assert.rejects(replay(all, who), isConflict);
    await assert.rejects(replay({ ids: wanted, filter: {} }, who), isConflict);
    await assert.rejects(wouldReplay({ ids: [(await letterOf(cancelled)).id], filter: {} }, who), isConflict);
  });

  it("takes those of experiments alone that the key may control", async () => {
    const who = await databases.newTenant();
    const { id } = await letterOf(await dead(who));
    const another = { ...who, keyId: newId() };
    assert.deepEqual(await wouldReplay(all, another), []);
    assert.deepEqual(await wouldReplay(all, { ...another, scopes: ["CANCEL_ANY"] }), [id]);
    assert.deepEqual(await wouldReplay(all, { ...who, scopes: ["CANCEL_ANY"] }), []);
  });
});

describe("purging", () => {
  it("erases the error and the log, once, and leaves the run DEAD and ready to be replayed by name", async () => {
    const who = await databases.newTenant();
    const key = await dead(who, ["secret words"]);
    const { id } = await letterOf(key);
    const purge = (dryRun: boolean): Promise<string[]> =>
      app.withTenant(who.tenantId, (tx) => purgeLetters(tx, who, { ...all, dryRun }));
    assert.deepEqual(await purge(true), [id]);
    assert.equal((await letterOf(key)).log_tail, "secret words");
    assert.deepEqual(await purge(false), [id]);
    assert.deepEqual(await purge(false), []);
    assert.deepEqual(await letterOf(key), { id, log_tail: null, last_error: null });
    assert.deepEqual(await rig.states(key), ["DEAD"]);
    assert.deepEqual((await replay({ ids: [id], filter: {} }, who)).letterIds, [id]);
  });
});

function isConflict(error: unknown): boolean {
  return error instanceof AssayError && error.code === "STATE_CONFLICT";
}
