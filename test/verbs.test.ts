import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  AssayClient,
  AssayRequestError,
  type Experiment,
  type ExperimentState,
  type RobustnessSpec,
} from "../clients/typescript/index.js";
import { openService, type Service } from "../src/cli/service.js";
import { eventually } from "./support/eventually.js";
import { writeTinyModel } from "./support/tiny-model.js";

// Everything that a user can do to an experiment after submitting it, over GraphQL, on one embedded service with a real pod of
// one slot, which trains a tiny model. Bounds catch hangs only: loading torch alone can take a minute on a busy machine.
const BOUND_MS = 600_000;
const bound = { timeout: BOUND_MS };

const folder = mkdtempSync(join(tmpdir(), "assay-verbs-"));
const dataDir = join(folder, "data");
const model = join(folder, "tiny");
let service: Service;
let client: AssayClient;

before(async () => {
  process.env["ASSAY_POD_SLOTS"] = "1";
  process.env["ASSAY_BEAT_MS"] = "500";
  process.env["ASSAY_MODEL_CACHE"] = join(folder, "models");
  writeTinyModel(model);
  service = await openService({ dataDir });
  client = new AssayClient(service);
});

after(async () => {
  await service.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** An experiment of five runs: prepare, the untrained base, SFT at the rates 0 and 1, and the report. */
async function submit(name: string, epochs: number, wish: Partial<RobustnessSpec> = {}): Promise<string> {
  const project = await client.project();
  const { id: modelId } = await client.registerModel(project.id, "tiny", { path: model });
  const spec: RobustnessSpec = {
    projectId: project.id,
    name,
    modelId,
    methods: ["SFT"],
    tasks: ["KEYWORD_INCLUSION"],
    spuriousness: [1],
    seeds: [7],
    trainer: { kind: "TOP_BLOCKS", blocks: 1, epochs },
    size: { trainPairs: 32, validationPairs: 6, testPairs: 8, generationItems: 2 },
    ...wish,
    // Every run is to be worked on, whatever was before.
    options: { reuse: "NEVER", ...wish.options },
  };
  return (await client.submitRobustnessExperiment(spec, randomUUID())).id;
}

const LONG = 100;

async function inState(id: string, state: ExperimentState): Promise<Experiment> {
  return eventually(
    `experiment ${id} to be ${state}`,
    async () => {
      const experiment = await client.experiment(id);
      if (experiment.endedAt !== null) assert.equal(experiment.state, state, JSON.stringify(experiment.runs));
      return experiment.state === state && experiment;
    },
    BOUND_MS,
  );
}

/** Waits until a run trains, and gives its id. */
async function training(id: string): Promise<string> {
  for await (const { progress, run } of client.experimentEvents(id)) {
    if (progress?.stage === "training" && progress.completed > 0 && run !== null) return run.id;
  }
  throw new RangeError("wanted a run that trains, but the experiment ended");
}

interface SeenAttempt {
  readonly outcome: string | null;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly resumedFromStep: number | null;
}

/** The attempts of each of an experiment's runs that count, by step, method and rate. */
async function attempts(id: string): Promise<Map<string, readonly SeenAttempt[]>> {
  const query = `query ($id: ID!) { experiment(id: $id) { runs(first: 100) { edges { node {
    step supersededBy { id } cell { ... on RobustnessCell { method spuriousness } }
    attempts { outcome startedAt endedAt resumedFromStep } } } } } }`;
  const { experiment } = await ask<{ experiment: { runs: { edges: { node: SeenRun }[] } } }>(query, { id });
  const counting = experiment.runs.edges.map(({ node }) => node).filter((run) => run.supersededBy === null);
  return new Map(counting.map(({ step, cell, attempts }) => [nameOf(step, cell), attempts]));
}

interface SeenRun {
  readonly step: string;
  readonly supersededBy: object | null;
  readonly cell: { readonly method: string; readonly spuriousness: number | null } | null;
  readonly attempts: readonly SeenAttempt[];
}

function nameOf(step: string, cell: SeenRun["cell"]): string {
  return cell === null ? step : `${cell.method} ${cell.spuriousness ?? "-"}`;
}

const outcomes = (of: readonly SeenAttempt[] | undefined): (string | null)[] =>
  (of ?? []).map(({ outcome }) => outcome);

async function ask<Data>(query: string, variables: object): Promise<Data> {
  const answer = await fetch(new URL("/graphql", service.url), {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${service.key}` },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors }: { data: Data; errors?: unknown } = JSON.parse(await answer.text());
  assert.equal(errors, undefined, JSON.stringify(errors));
  return data;
}

/** The report without what differs between equal runs: times and the machine's description. */
async function report({ artifacts, runs }: Experiment): Promise<unknown> {
  const file = artifacts.findLast(({ kind }) => kind === "REPORT_JSON");
  assert.ok(file !== undefined, JSON.stringify(runs));
  return JSON.parse(await client.artifactText(file), (key, value: unknown) =>
    ["seconds", "hardware"].includes(key) ? undefined : value,
  );
}

function refusal(code: string) {
  return (error: unknown): boolean => error instanceof AssayRequestError && error.code === code;
}

let extendable: string;

test("retry does again what failed, and what was given up for it, once its cause is mended", bound, async () => {
  const id = await submit("retried", 2);
  renameSync(model, `${model}-away`);
  const failed = await inState(id, "FAILED");
  assert.deepEqual(
    failed.runs.map((run) => run.state),
    ["FAILED", "CANCELLED", "CANCELLED", "CANCELLED", "CANCELLED"],
  );
  assert.equal(failed.runs[0]?.failure?.code, "MODEL_NOT_FOUND");
  await assert.rejects(client.retryRuns(id, "mended"), refusal("STATE_CONFLICT"));
  renameSync(`${model}-away`, model);
  const first = await client.retryRuns(id, "mended", { onlyRetryable: false });
  assert.deepEqual([first.runCount, first.replayed, first.runs[0]?.id], [1, false, failed.runs[0]?.id]);
  assert.equal((await client.retryRuns(id, "mended", { onlyRetryable: false })).replayed, true);
  await assert.rejects(client.retryRuns(id, "mended"), refusal("IDEMPOTENCY_CONFLICT"));
  const { progress } = await inState(id, "SUCCEEDED");
  assert.deepEqual([progress.completed, progress.total], [5, 5]);
  const tries = await attempts(id);
  assert.deepEqual(outcomes(tries.get("prepare")), ["FAILED", "SUCCEEDED"]);
  assert.deepEqual(outcomes(tries.get("report")), ["SUCCEEDED"]);
  await assert.rejects(client.retryRuns(id, "nothing"), refusal("STATE_CONFLICT"));
  extendable = id;
});

test(
  "extend works on the new cells alone, and reports as the larger grid does when it is submitted whole",
  bound,
  async () => {
    const before = await attempts(extendable);
    assert.deepEqual(await client.extendExperiment(extendable, "more", { addSpuriousness: [0.5] }), {
      replayed: false,
    });
    assert.deepEqual(await client.extendExperiment(extendable, "more", { addSpuriousness: [0.5] }), { replayed: true });
    await assert.rejects(
      client.extendExperiment(extendable, "again", { addSpuriousness: [0.5] }),
      (error) => error instanceof AssayRequestError && error.path.join(".") === "input.addSpuriousness.0",
    );
    const extended = await inState(extendable, "SUCCEEDED");
    const now = await attempts(extendable);
    for (const name of ["prepare", "BASE -", "SFT 0", "SFT 1"]) assert.deepEqual(now.get(name), before.get(name), name);
    assert.deepEqual(outcomes(now.get("SFT 0.5")), ["SUCCEEDED"]);
    const { experiment } = await ask<{ experiment: { grid: object; waves: object[] } }>(
      `query ($id: ID!) { experiment(id: $id) {
       ... on RobustnessExperiment { grid { spuriousness seeds } } waves { kind retriedRuns addedSpuriousness } } }`,
      { id: extendable },
    );
    assert.deepEqual(experiment, {
      grid: { spuriousness: [1, 0.5], seeds: [7] },
      waves: [
        { kind: "RETRY", retriedRuns: 1, addedSpuriousness: [] },
        { kind: "EXTENSION", retriedRuns: 0, addedSpuriousness: [0.5] },
      ],
    });
    const whole = await inState(await submit("retried", 2, { spuriousness: [1, 0.5] }), "SUCCEEDED");
    assert.deepEqual(await report(extended), await report(whole));
  },
);

let undisturbed: unknown;

test("a paused run stops, gives its slot back, and goes on from its checkpoint when it is resumed", bound, async () => {
  const id = await submit("long", LONG);
  await training(id);
  assert.deepEqual([await client.pause(id), await client.pause(id)], [true, false]);
  const paused = await inState(id, "PAUSED");
  assert.ok(paused.runs.some((run) => run.state === "PAUSED"));
  await eventually("the run's process to be gone", () => runProcesses().length === 0);
  const other = await inState(await submit("beside", 1, { spuriousness: [0] }), "SUCCEEDED");
  assert.equal((await client.experiment(id)).state, "PAUSED", `while ${other.id} ran in the free slot`);
  assert.deepEqual([await client.resume(id), await client.resume(id)], [true, false]);
  undisturbed = await report(await inState(id, "SUCCEEDED"));
  const released = [...(await attempts(id)).values()].filter((of) => of.length > 1);
  assert.deepEqual(released.map(outcomes), [["RELEASED", "SUCCEEDED"]]);
  assert.ok((released[0]?.[1]?.resumedFromStep ?? 0) > 0, "it began at the beginning");
  await assert.rejects(client.pause(id), refusal("STATE_CONFLICT"));
});

test("a run whose process is killed leaves a dead letter, which can be replayed, and then purged", bound, async () => {
  const id = await submit("long", LONG, { options: { reuse: "NEVER", maxAttempts: 1 } });
  const victim = await training(id);
  for (const pid of runProcesses()) process.kill(pid, "SIGKILL");
  await inState(id, "PARTIAL");
  const [letter, ...others] = await client.deadLetters({ experimentId: id });
  assert.ok(letter !== undefined && others.length === 0);
  assert.deepEqual(
    [letter.run, letter.reason, letter.failure.code, letter.replayedAt],
    [{ id: victim, state: "DEAD" }, "POISON", "PROCESS_KILLED", null],
  );
  assert.deepEqual(await client.deadLetter(letter.id), letter);
  const before = await attempts(id);
  const all = { filter: { experimentId: id } };
  const dry = await client.replayDeadLetters(all);
  assert.deepEqual([dry.dryRun, dry.count, dry.deadLetters[0]?.id], [true, 1, letter.id]);
  assert.deepEqual(await attempts(id), before, "a dry run did something");
  const done = await client.replayDeadLetters(all, "replay");
  assert.deepEqual([done.dryRun, done.count, done.replayed], [false, 1, false]);
  assert.notEqual(done.deadLetters[0]?.replayedAt, null);
  assert.equal((await client.replayDeadLetters(all, "replay")).replayed, true);
  await assert.rejects(client.replayDeadLetters({ ids: [letter.id] }), refusal("STATE_CONFLICT"));
  const ended = await inState(id, "SUCCEEDED");
  assert.deepEqual(await report(ended), undisturbed, "the report differs from the one of the run that was not killed");
  const again = [...(await attempts(id)).values()].filter((of) => of.length > 1);
  assert.deepEqual(again.map(outcomes), [["FAILED", "SUCCEEDED"]]);
  assert.equal((await client.purgeDeadLetters(all)).count, 1);
  assert.equal((await client.deadLetters({ experimentId: id }))[0]?.purgedAt, null);
  const purged = await client.purgeDeadLetters(all, { dryRun: false });
  assert.deepEqual([purged.count, purged.deadLetters[0]?.logTail], [1, null]);
  assert.notEqual(purged.deadLetters[0]?.purgedAt, null);
  assert.deepEqual(await client.deadLetter(letter.id), purged.deadLetters[0]);
  assert.equal((await client.purgeDeadLetters(all, { dryRun: false })).count, 0);
});

test("a raised priority overtakes what was in the queue before", bound, async () => {
  const slow = await submit("slow", LONG);
  await training(slow);
  const quick = await submit("quick", 1, { spuriousness: [0] });
  await assert.rejects(client.setPriority(quick, 101), refusal("INVALID_INPUT"));
  assert.deepEqual([await client.setPriority(quick, 50), await client.setPriority(quick, 50)], [true, false]);
  // What had not begun when the priority was raised has to wait. Of later stages of the quick one that cannot be said: a slot
  // may be free for a moment before its next stage opens.
  const waited = [...(await attempts(slow))].flatMap(([name, tries]) => (tries.length === 0 ? [name] : []));
  assert.ok(waited.includes("SFT 1"), waited.join());
  await inState(quick, "SUCCEEDED");
  await inState(slow, "SUCCEEDED");
  const first = (await attempts(quick)).get("prepare")?.[0];
  assert.ok(first !== undefined);
  const served = [...(await attempts(slow))].filter(([name]) => waited.includes(name));
  assert.ok(
    startsOf(new Map(served)).every((start) => start > Date.parse(first.startedAt)),
    "a run of less priority was served first",
  );
});

test("a graceful cancel says what it stopped, what that cost and what came back", bound, async () => {
  const slow = await submit("graceful", LONG);
  const trained = await training(slow);
  assert.equal(await client.cancel(slow, "GRACEFUL", "enough seen"), true);
  assert.equal(await client.cancel(slow, "GRACEFUL"), false);
  await inState(slow, "CANCELLED");
  const receipt = await client.cancellation(slow);
  assert.ok(receipt !== null);
  assert.deepEqual(
    [receipt.mode, receipt.reason, receipt.complete, receipt.filesKept],
    ["GRACEFUL", "enough seen", true, 0],
  );
  const stopped = receipt.runs.find(({ run }) => run.id === trained);
  assert.ok(
    stopped !== undefined && stopped.state === "CANCELLED" && (stopped.lastStep ?? 0) > 0,
    JSON.stringify(stopped),
  );
  assert.ok(stopped.secondsUsed > 0, "what was used is not counted");
  assertAddsUp(receipt);
  await assertReleased();
  for (const { run, lastStep, secondsUsed } of receipt.runs) {
    if (run.id !== trained)
      assert.deepEqual([lastStep, secondsUsed], [null, 0], "a run that no pod had cost something");
  }
});

test("a cancel that scores what there is keeps the files of a partial result", bound, async () => {
  const id = await submit("partial", LONG);
  const trained = await training(id);
  await client.cancel(id, "SCORE_PARTIAL");
  await inState(id, "CANCELLED");
  const receipt = await client.cancellation(id);
  const scored = receipt?.runs.find(({ run }) => run.id === trained);
  assert.ok(receipt?.complete === true && scored !== undefined);
  assert.deepEqual([scored.state, (scored.lastStep ?? 0) > 0], ["SUCCEEDED", true]);
  assert.deepEqual([...new Set(scored.files.map((file) => file.kind))].sort(), ["ITEMS", "RESULT", "WEIGHTS"]);
  const { run } = await ask<{ run: { partial: boolean; metrics: unknown[] } }>(
    "query ($id: ID!) { run(id: $id) { partial metrics { name } } }",
    { id: trained },
  );
  assert.equal(run.partial, true);
  assert.ok(run.metrics.length > 0);
  assertAddsUp(receipt);
  await assertReleased();
});

test("an immediate cancel ends the process at once, and takes the place of a gentler one", bound, async () => {
  const id = await submit("immediate", LONG);
  const trained = await training(id);
  await client.cancel(id, "GRACEFUL");
  await client.cancel(id, "IMMEDIATE", "now");
  await inState(id, "CANCELLED");
  await assertReleased();
  const receipt = await client.cancellation(id);
  assert.ok(receipt !== null);
  assert.deepEqual([receipt.mode, receipt.reason, receipt.complete], ["IMMEDIATE", "now", true]);
  const stopped = receipt.runs.find(({ run }) => run.id === trained);
  assert.ok(stopped !== undefined && stopped.state === "CANCELLED" && (stopped.lastStep ?? 0) > 0);
  assertAddsUp(receipt);
  await assert.rejects(client.retryRuns(id, "late"), refusal("STATE_CONFLICT"));
  await assert.rejects(client.extendExperiment(id, "late", { addSeeds: [8] }), refusal("STATE_CONFLICT"));
  await assert.rejects(client.resume(id), refusal("STATE_CONFLICT"));
});

function startsOf(of: ReadonlyMap<string, readonly SeenAttempt[]>): number[] {
  return [...of.values()].flat().map(({ startedAt }) => Date.parse(startedAt));
}

interface Sums {
  readonly secondsReserved: number;
  readonly secondsUsed: number;
  readonly secondsReturned: number;
}

/** What was reserved was used or came back, for each run and in the sums. */
function assertAddsUp(receipt: Sums & { readonly runs: readonly Sums[] }): void {
  for (const { secondsReserved, secondsUsed, secondsReturned } of [receipt, ...receipt.runs]) {
    assert.ok(Math.abs(secondsReserved - secondsUsed - secondsReturned) < 1e-6, JSON.stringify(receipt));
  }
  for (const name of ["secondsReserved", "secondsUsed", "secondsReturned"] as const) {
    const sum = receipt.runs.reduce((total, run) => total + run[name], 0);
    assert.ok(Math.abs(receipt[name] - sum) < 1e-6, name);
  }
}

/** Waits until nothing that was cancelled has a process, and holds that nothing of the tenant's quota is taken any more. */
async function assertReleased(): Promise<void> {
  await eventually("the run's process to be gone", () => runProcesses().length === 0);
  const { id } = await client.project();
  const query = `query ($id: ID!) { project(id: $id) { quota {
    queuedRuns { used } concurrentRuns { used } computeSeconds { reserved } } } }`;
  const { project } = await ask<{ project: { quota: object } }>(query, { id });
  const nothing = { queuedRuns: { used: 0 }, concurrentRuns: { used: 0 }, computeSeconds: { reserved: 0 } };
  assert.deepEqual(project.quota, nothing);
}

/** Processes of runs: the children of the pod's fork server. */
function runProcesses(): number[] {
  const parents = new Map(
    readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => {
        const fields = statOf(name);
        return fields === null || fields[0] === "Z" ? [] : [[Number(name), Number(fields[1])] as const];
      }),
  );
  const pod = podPid();
  return [...parents].filter(([, parent]) => parent !== pod && parents.get(parent) === pod).map(([pid]) => pid);
}

/** State and parent of a process; null when it is gone. */
function statOf(pid: string): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return null; // it ended between the two looks
  }
}

/** The pod's pid, as the service's log tells. */
function podPid(): number {
  const lines = readFileSync(join(dataDir, "service.log"), "utf8").trimEnd().split("\n");
  const { pid }: { pid: number } = JSON.parse(lines.findLast((line) => line.includes('"the pod listens"')) ?? "{}");
  return pid;
}
