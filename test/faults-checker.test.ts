import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { promisify } from "node:util";
import pg from "pg";
import { newId } from "../src/domain/digest.js";
import { ErrorClass } from "../src/gen/assay/pod/v1/run.js";
import { cancelExperiment } from "../src/store/cancel.js";
import { assertHolds, check, checkSnapshot, type Verdict } from "./faults/checker.js";
import { ClientLog, readClientLog } from "./faults/client-log.js";
import { missingFacts } from "./faults/facts.js";
import { folderLook } from "./faults/files.js";
import type { Observation } from "./faults/observations.js";
import type { Query } from "./faults/rule.js";
import { deliveryRules } from "./faults/rules-delivery.js";
import { runRules } from "./faults/rules-runs.js";
import { DispatchRig } from "./support/dispatch.js";
import { eventually } from "./support/eventually.js";
import { answerOf, type StubOutcome, type StubTask } from "./support/stub-pod.js";

const rig = await DispatchRig.open();
const { query, access, app, caller } = rig.databases;
const folder = mkdtempSync(join(tmpdir(), "assay-checker-"));
const clientLog = join(folder, "client.jsonl");
const logFile = join(folder, "service.log");
const canary = "assay_live_canary_0123456789";
const observations: Observation[] = [];
after(() => rmSync(folder, { recursive: true, force: true }));

const admin = new pg.Client(access.admin);
admin.on("error", () => undefined); // the database may be dropped first
await admin.connect();
after(() => admin.end());
const asAdmin: Query = async (text, values = []) => (await admin.query(text, [...values])).rows;

await makeHistory();

/** Runs that succeed over two stages, that fail once, that fail for good and that are cancelled at work. */
async function makeHistory(): Promise<void> {
  const log = new ClientLog(clientLog);
  const work = async ({ spec, epoch, make, say, cancelled }: StubTask): Promise<StubOutcome> => {
    if (spec["what"] === "retry" && epoch === 1) return { errorClass: ErrorClass.ERROR_CLASS_TRANSIENT, code: "FIRST" };
    if (spec["what"] === "fail") return { errorClass: ErrorClass.ERROR_CLASS_BAD_INPUT, code: "DATASET_INVALID" };
    if (spec["what"] === "wait") {
      await cancelled;
      return "CANCELLED";
    }
    say({ $case: "log", value: { level: "info", message: "works" } });
    await make("items.jsonl", "ITEMS", answerOf(spec));
    return { metrics: { value: answerOf(spec) } };
  };
  await rig.pod({ slots: 4, work });
  await rig.dispatcher({ log: { info: logged, warn: logged, error: logged } });
  const submit = async (runs: Parameters<typeof rig.submit>[0]): Promise<string> => {
    const key = newId();
    const reply = log.send({ operation: "submitRobustnessExperiment", key });
    const id = await rig.submit(runs, { key });
    reply({ kind: "ACKNOWLEDGED", id });
    return id;
  };
  const staged = await submit([
    { stage: 0, spec: { what: "retry" } },
    { stage: 0 },
    { stage: 1, inputs: [{ from: 0, artifact: "items.jsonl", required: true }] },
  ]);
  const failed = await submit([{ stage: 0, spec: { what: "fail" } }]);
  const cancelled = await submit([{ stage: 0, spec: { what: "wait" } }, { stage: 1 }]);
  await eventually("the run that waits to be in work", async () => (await rig.states(cancelled))[0] === "RUNNING");
  const key = { tenantId: caller.tenantId, experimentId: cancelled };
  await app.withTenant(caller.tenantId, (tx) => cancelExperiment(tx, key, { mode: "GRACEFUL", reason: null }));
  assert.deepEqual(await rig.ended(staged), ["SUCCEEDED", "SUCCEEDED", "SUCCEEDED"]);
  assert.deepEqual(await rig.ended(failed), ["FAILED"]);
  assert.deepEqual(await rig.ended(cancelled), ["CANCELLED", "CANCELLED"]);
  await rig.reset();
  await eventually("every message to be published", async () => {
    return (await query("select 1 from outbox where published_at is null")).length === 0;
  });
  log.close();
}

function logged(message: string, fields?: object): void {
  writeFileSync(logFile, `${JSON.stringify({ message, ...fields })}\n`, { flag: "a" });
}

const sources = {
  atRest: true,
  look: folderLook(rig.artifactsFolder),
  clientLogs: [clientLog],
  logs: [logFile],
  observations,
  canaries: [canary],
  stubAnswers: true,
};

/** What the checker finds after these statements, all of which are taken back afterwards. */
async function planted(sql: string, differently: Partial<typeof sources> = {}): Promise<Verdict> {
  await admin.query("begin");
  try {
    // No trigger and no foreign key is in the way.
    await admin.query("set local session_replication_role = replica");
    await admin.query(sql);
    return await checkSnapshot(asAdmin, { ...sources, ...differently });
  } finally {
    await admin.query("rollback");
  }
}

const succeeded = "(select id from run where state = 'SUCCEEDED' order by id limit 1)";
const cancelledRun = "(select id from run where state = 'CANCELLED' order by position limit 1)";
const retried = "(select id from run where epoch = 2)";

/** Statements that break one rule, by the rule's sentence. */
const plants: Readonly<Record<string, string>> = {
  "every run has ended": `update run set terminal_at = null, state = 'QUEUED' where id = ${succeeded}`,
  "a run has a result if, and only if, it succeeded": `delete from result where run_id = ${succeeded}`,
  "a result comes from the run's own epoch, whose attempt succeeded or was answered from an equal run": `update result set epoch = 1 where run_id = ${retried}`,
  "a reused result is the whole result of a run of equal digest in the same project": `update run set reused_from = ${cancelledRun} where id = ${succeeded}`,
  "epochs run from 1 without a gap, and the run has the last one": `delete from attempt where run_id = ${retried} and epoch = 1`,
  "an attempt is open if, and only if, its run is live at that epoch": `update attempt set outcome = null, ended_at = null where run_id = ${succeeded}`,
  "an attempt begins only after the one before it has ended": `delete from run_event where run_id = ${retried} and to_state in ('RUNNING', 'RETRY_WAIT')`,
  "states change only along run_transition, each from where the one before ended, and begin WAITING or QUEUED": `update run_event set from_state = 'QUEUED' where run_id = ${succeeded} and to_state = 'RUNNING'`,
  "the epoch never falls, and rises by one with each lease and with nothing else": `update run_event set epoch = 5 where run_id = ${retried} and to_state = 'RETRY_WAIT'`,
  "the audit ends where the run is": `update run set state = 'FAILED' where id = ${succeeded}`,
  "a late writer had a lower epoch, or the run was not in work": lateWrite(succeeded, [1, 1], "RUNNING"),
  "a late writer changed nothing: what it wrote for is as it ended before, without result, files or usage of its own": `${lateWrite(retried, [1, 2], "RUNNING")};
    update attempt set outcome = 'LOST', error_code = 'LEASE_EXPIRED' where run_id = ${retried} and epoch = 1`,
  "tries are at most max_attempts, and those used up are the attempts since the last replay that count as tries": `update run set attempt = 1 where id = ${retried}`,
  "a run has one dead letter for each time that it became DEAD, and no other": `
    insert into dead_letter (tenant_id, id, experiment_id, run_id, epoch, reason)
    select tenant_id, '${newId()}', experiment_id, id, epoch, 'TRANSIENT' from run where id = ${succeeded}`,
  "disruptions count the attempts since the last replay that were lost": `update run set disruptions = 1 where id = ${succeeded}`,
  "a cancelled run has no result and never said that it succeeded": `
    insert into event (tenant_id, experiment_id, seq, run_id, kind, body)
    select tenant_id, experiment_id, 999, id, 'STATE', '{"state": "SUCCEEDED"}' from run where id = ${cancelledRun}`,
  "only a run that was asked to score what it had succeeds while it is being cancelled, and only then": `
    update run_event set from_state = 'CANCELLING' where run_id = ${succeeded} and to_state = 'SUCCEEDED'`,
  "files are those of attempts that succeeded": `update attempt set outcome = 'FAILED' where run_id = ${succeeded}`,
  "terminal_at is set if, and only if, the state is terminal": `update run set terminal_at = null where id = ${succeeded}`,
  "live runs, and no others, have a lease": `update run set lease_until = now() where id = ${succeeded}`,
  "an attempt has at most one line of usage of a kind": `alter table usage drop constraint usage_pkey; insert into usage select * from usage`,
  "an attempt that succeeded has each kind of seconds; one that no pod worked on has none; no amount is negative": `delete from usage where run_id = ${succeeded} and kind = 'CPU_SECONDS'`,
  "what an attempt reserved is settled or released once it has ended, to the last second, and not before": `delete from ledger where run_id = ${succeeded} and kind = 'SETTLE'`,
  "reserved - released = settled for every experiment that has ended": `
    update ledger set amount = amount + 3 where run_id = ${succeeded} and kind = 'RELEASE'`,
  "the seconds of a tenant's days, with those still to be counted, are what it settled": `
    with counted as (delete from cost_note) update compute_day set seconds = seconds - 0.5`,
  "every message is published":
    "update outbox set published_at = null where event_id = (select min(event_id::text)::uuid from outbox)",
  "every bell for dispatchers was heard by one, or its runs have ended": `delete from inbox; update run set terminal_at = null where id = ${succeeded}`,
  "a message is noted once for each consumer":
    "alter table inbox drop constraint inbox_pkey; insert into inbox select * from inbox",
  "a change of state is told once": `
    insert into event (tenant_id, experiment_id, seq, run_id, kind, body)
    select tenant_id, experiment_id, 1000 + seq, run_id, kind, body from event where run_id = ${succeeded} and kind = 'STATE'`,
  "files, results and checkpoints name registered artifacts only":
    "delete from artifact where sha256 = (select min(sha256) from run_artifact)",
  "open_runs counts the runs of the stage that have not ended": "update experiment set open_runs = 1",
  "an experiment has ended if, and only if, all its runs have": "update experiment set ended_at = null",
  "an experiment counts the runs that were not superseded": "update experiment set total_runs = total_runs + 1",
  "a superseded run is over or being stopped, and its successor is a run of the same step and experiment": `update run set superseded_by = ${cancelledRun} where id = ${succeeded}`,
  "what is in the queue or at work stands in the open stage, and what waits for its stage behind it": `update run set terminal_at = null, state = 'QUEUED', stage = 7 where id = ${succeeded}`,
  "a run is DEAD if, and only if, its last attempt left a dead letter that was not replayed": `update run set state = 'DEAD' where id = ${cancelledRun}`,
  "event sequences have no gap and end before the next one": "delete from event where seq = 2",
  "the last event of a run says its state": `
    delete from event where run_id = ${succeeded} and body ->> 'state' = 'SUCCEEDED'`,
  // Rules that are no single statement.
  "every id that a client was told of exists": `
    delete from run; delete from experiment where id = (select min(id::text)::uuid from experiment)`,
  "one idempotency key has one answer, and every client got it": `
    update idempotency set answer_id = (select max(answer_id::text)::uuid from idempotency)`,
  "what a key answers exists": `update idempotency set answer_id = '${newId()}'`,
  "every registered file is there, whole and of its digest": "update artifact set size_bytes = size_bytes + 1",
  "rows of usage are of the tenant of their run": `update usage set tenant_id = '${newId()}' where run_id = ${succeeded}`,
  "rows of event are of the tenant of their experiment": `update event set tenant_id = '${newId()}' where seq = 1`,
  "messages are of the tenant of their experiment, and their keys say so": "update outbox set key = 'somebody else''s'",
  "every result is the one of its own spec and attempt": `
    update result x set metrics = y.metrics, content_sha256 = y.content_sha256 from result y
    where y.run_id > x.run_id and x.run_id = (select min(run_id::text)::uuid from result)`,
  "no secret stands in any table or log": `
    update attempt set error_message = 'could not log in with ${canary}' where run_id = ${succeeded}`,
};

function lateWrite(run: string, [seen, current]: [number, number], state: string): string {
  return `insert into late_write (tenant_id, id, run_id, epoch_seen, epoch_current, state_seen, what)
          select tenant_id, '${newId()}', id, ${seen}, ${current}, '${state}', 'SUCCEEDED' from run where id = ${run}`;
}

describe("the checker", () => {
  it("finds every invariant kept in a history that is right, and counts what happened in it", async () => {
    const { facts, ...verdict } = await check({ ...sources, login: access.admin });
    assertHolds({ facts, ...verdict });
    assert.equal(facts.succeeded, 3);
    assert.deepEqual(missingFacts(facts, ["attempts", "retries", "cancels", "stagesOpened"]), []);
    assert.deepEqual(missingFacts(facts, ["reuses", "runs"]), ["reuses"]);
  });

  for (const [says, sql] of Object.entries(plants)) {
    it(`catches what breaks this: ${says}`, async () => {
      const { breaches } = await planted(sql);
      const found = breaches.find((breach) => breach.says === says);
      assert.ok(found, `found only ${JSON.stringify(breaches.map((breach) => breach.says))}`);
      assert.ok(found.rows.length > 0);
    });
  }

  it("has a planted breach for every rule, and each of I1 to I18 has a rule", async () => {
    const rules = [...runRules, ...deliveryRules];
    assert.deepEqual(
      rules.map(({ says }) => says).filter((says) => plants[says] === undefined),
      [],
    );
    const seen = new Set<string>();
    for (const sql of Object.values(plants))
      for (const { invariant } of (await planted(sql)).breaches) seen.add(invariant);
    const all = Array.from({ length: 18 }, (_, i) => `I${i + 1}`);
    // I17 has planted histories of its own in faults-fairness.test.ts.
    assert.deepEqual(
      all.filter((name) => !seen.has(name)),
      ["I17"],
    );
  });

  it("catches a file that was cut short, changed or lost", async () => {
    const [row] = await query<{ sha256: string }>("select min(sha256) as sha256 from artifact");
    const path = join(rig.artifactsFolder, "cas", (row?.sha256 ?? "").slice(0, 2), row?.sha256 ?? "");
    const whole = readFileSync(path);
    const faults: string[] = [];
    for (const broken of [whole.subarray(1), Buffer.from(whole).fill("x", 0, 1), null]) {
      if (broken === null) rmSync(path);
      else writeFileSync(path, broken);
      const { breaches } = await planted("select 1");
      faults.push(...breaches.map(({ rows }) => JSON.stringify(rows)));
      writeFileSync(path, whole);
    }
    assert.equal(faults.length, 3);
    for (const [i, word] of ["bytes", "digest", "no file"].entries()) assert.match(faults[i] ?? "", new RegExp(word));
  });

  it("catches an acknowledged id that nobody stored, and a key that was answered twice differently", async () => {
    const path = join(folder, "other-client.jsonl");
    const log = new ClientLog(path);
    const call = { operation: "submitRobustnessExperiment", key: "twice" };
    log.send(call)({ kind: "ACKNOWLEDGED", id: newId() });
    log.send(call)({ kind: "ACKNOWLEDGED", id: Buffer.from(`Experiment:${newId()}`).toString("base64url") });
    log.send(call);
    log.close();
    const { breaches, facts } = await planted("select 1", { clientLogs: [path] });
    assert.deepEqual(
      breaches.map(({ invariant, count }) => [invariant, count]),
      [
        ["I1", 2],
        ["I6", 1],
      ],
    );
    assert.equal(facts.resubmits, 1);
    assert.equal(facts.lostReplies, 1);
  });

  it("catches a secret in a log, in bytes and in a message, and does not repeat it", async () => {
    const log = join(folder, "leak.log");
    writeFileSync(log, `{"message":"authorization: Bearer ${canary}"}\n`);
    const { breaches } = await planted(
      `update outbox set payload = payload || '{"note": "${canary}"}';
       insert into poison_message (id, topic, partition, message_offset, consumer, reason, raw, bytes)
       values ('${newId()}', 'assay.runs.queued', 0, 0, 'dispatcher', 'planted', '${canary}'::bytea, 28)`,
      { logs: [log] },
    );
    const rows = breaches.flatMap((breach) => breach.rows);
    assert.deepEqual(
      rows.map((row) => ("place" in row ? row.place : row)),
      ["table outbox", "table poison_message", `log ${log}`],
    );
    assert.ok(!JSON.stringify(rows).includes(canary));
  });

  it("counts what was published again and what the inbox dropped", async () => {
    const rows = await query<{ id: string }>("select event_id as id from outbox order by event_id limit 2");
    const [one, other] = rows.map(({ id }): Observation => ({ kind: "PUBLISHED", eventId: id }));
    assert.ok(one !== undefined && other !== undefined);
    const { facts } = await planted(
      "update inbox set copies = 3 where event_id = (select min(event_id::text)::uuid from inbox)",
      {
        observations: [one, other, one, one],
      },
    );
    assert.equal(facts.republished, 2);
    assert.equal(facts.duplicatesDropped, 2);
  });

  it("catches a message on the bus that nobody committed", async () => {
    const phantom: Observation = { kind: "PUBLISHED", eventId: newId() };
    const { breaches } = await planted("select 1", { observations: [phantom] });
    assert.deepEqual(
      breaches.map(({ invariant, rows }) => [invariant, rows]),
      [["I9", [{ event_id: phantom.eventId }]]],
    );
  });

  it("refuses a role that row-level security holds back, for which everything would look right", async () => {
    await assert.rejects(check({ ...sources, login: access.work }), /wanted a role that sees every tenant/);
  });
});

describe("the client's log", () => {
  it("keeps the calls of one log apart from those that an earlier log wrote to the same file", () => {
    const path = join(folder, "two-logs.jsonl");
    for (const key of ["first", "second"]) {
      const log = new ClientLog(path);
      log.send({ operation: "submit", key })({ kind: "ACKNOWLEDGED", id: key });
      log.close();
    }
    assert.deepEqual(
      readClientLog(path).map(({ key }) => key),
      ["first", "second"],
    );
  });

  it("knows what was sent though no answer came, and passes over a line that a crash cut short", () => {
    const path = join(folder, "crashed.jsonl");
    const log = new ClientLog(path);
    log.send({ operation: "submit", key: "a" })({ kind: "REFUSED", code: "QUEUE_FULL" });
    log.send({ operation: "submit", key: "b" });
    log.close();
    writeFileSync(path, '{"reply":"', { flag: "a" });
    assert.deepEqual(readClientLog(path), [
      { operation: "submit", key: "a", outcome: { kind: "REFUSED", code: "QUEUE_FULL" } },
      { operation: "submit", key: "b", outcome: null },
    ]);
  });
});

describe("the checker's command", () => {
  const run = promisify(execFile);
  const main = join(import.meta.dirname, "faults", "check-main.js");
  const { user, password, host, port, database } = access.admin;
  const url = `postgresql://${user}:${password}@${host}:${port}/${database}`;
  const args = [main, "--database", url, "--at-rest", "--stub-answers", "--artifacts", rig.artifactsFolder];

  it("ends with 0 and says that all hold", async () => {
    const { stdout } = await run(process.execPath, [
      ...args,
      "--client-log",
      clientLog,
      "--sometimes",
      "retries,cancels",
    ]);
    assert.match(stdout, /^retries +1$/m);
    assert.match(stdout, /I1-I18 hold\n$/);
  });

  it("ends with 1 and names what never happened", async () => {
    await assert.rejects(run(process.execPath, [...args, "--sometimes", "reuses"]), (error: Error) => {
      assert.ok("code" in error && error.code === 1 && "stdout" in error);
      assert.match(String(error.stdout), /reuses never happened/);
      return true;
    });
  });
});
