import assert from "node:assert/strict";
import { after } from "node:test";
import { Dispatcher } from "../../src/dispatch/dispatcher.js";
import { newId, sha256 } from "../../src/domain/digest.js";
import { ask, asOwner, type GraphqlAnswer, type Holder, idOf, type TestApi } from "./api.js";
import { eventually } from "./eventually.js";
import { jsonLines, preferenceRows } from "./preference-rows.js";
import { data, ERRORS, specFor, submit } from "./requests.js";
import { scoredRows } from "./scored-rows.js";
import { quietLog } from "./store.js";
import { type StubOutcome, StubPod, type StubPodOptions, type StubTask } from "./stub-pod.js";

/** Estimates that the stub's train runs answer. */
export const ESTIMATES = {
  aligned: { value: 1, low: 0.94, high: 1, n: 60 },
  conflicting: { value: 0.5, low: 0.377, high: 0.623, n: 60 },
};

/** Adds a dispatcher and a pod that works in no time, so that what is submitted is done. */
export async function startWork(
  { databases, bus, artifacts }: TestApi,
  work: NonNullable<StubPodOptions["work"]> = doRobustness,
): Promise<void> {
  const pod = await StubPod.start({ artifacts, slots: 4, work });
  const dispatcher = new Dispatcher({
    database: databases.work,
    bus,
    pods: { addresses: () => [pod.address] },
    artifacts,
    log: quietLog,
    pollMs: 50,
    newsMs: 50,
    times: { beatMs: 200 },
  });
  await dispatcher.start();
  after(async () => {
    await dispatcher.stop();
    pod.kill();
  });
}

/** The contract's files and metrics of each step of a robustness experiment, without any model. */
export async function doRobustness({ spec, say, make }: StubTask): Promise<StubOutcome> {
  const step = String(spec["step"]);
  say({ $case: "progress", value: { stage: step, completed: 1n, total: 2n } });
  say({ $case: "metric", value: { name: "loss", value: 0.25, step: 1n } });
  if (step === "prepare") {
    await make("records.jsonl", "DATASET", jsonLines(preferenceRows()));
    const { kind }: { kind: string } = JSON.parse(JSON.stringify(spec["trainer"]));
    const shared = kind === "TOP_BLOCKS" ? "trunk" : "reference";
    await make(`${shared}.safetensors`, "CACHE", shared);
    return { metrics: { step, seed: Number(spec["seed"]) } };
  }
  if (step === "warmup") {
    await make("start.safetensors", "WEIGHTS", "start");
    await make("start-reference.safetensors", "CACHE", "start-reference");
    return { metrics: { step, seed: Number(spec["seed"]) } };
  }
  if (step === "select") {
    await make("selection.json", "SELECTION", '{"learningRate":{"SFT":0.0001}}');
    return { metrics: { step } };
  }
  if (step === "train") {
    await make("items.jsonl", "ITEMS", jsonLines(scoredRows(preferenceRows(), spec)));
    return { metrics: { step, estimates: ESTIMATES } };
  }
  await make("report.json", "REPORT_JSON", '{"report":true}');
  await make("report.txt", "REPORT_TEXT", "A report.\n");
  return { metrics: { report: true } };
}

/** Waits until an experiment has ended and gives its state. */
export function ended(test: TestApi, holder: Holder, id: string): Promise<string> {
  return eventually(`experiment ${id} to end`, async () => {
    const { experiment } = await data(test, holder, "query ($id: ID!) { experiment(id: $id) { state endedAt } }", {
      id,
    });
    return experiment.endedAt === null ? null : String(experiment.state);
  });
}

const BEGIN = `mutation ($input: BeginDatasetUploadInput!) {
  beginDatasetUpload(input: $input) { uploadId parts { number url } existing { id digest rows } ${ERRORS} }
}`;
const COMPLETE = `mutation ($input: CompleteDatasetUploadInput!) {
  completeDatasetUpload(input: $input) {
    version { id digest rows bytes dataset { id name kind } validation { ok rows problemCount problems { row } leftOutCount leftOut { row column message } leakage { exactDuplicates nearDuplicates threshold complete examples { row split otherRow otherSplit similarity } } } } ${ERRORS}
  }
}`;

type Payload = GraphqlAnswer["body"]["data"];

/** Begins an upload of these bytes and gives the payload. */
export async function beginUpload(
  test: TestApi,
  { caller, key }: Holder,
  bytes: Buffer,
  wish: object = {},
): Promise<Payload> {
  const projectId = idOf("Project", caller.projectId);
  const file = { bytes: bytes.length, digest: sha256(bytes) };
  const input = { projectId, name: "pairs", kind: "PREFERENCE", ...file, ...wish };
  return (await data(test, { caller, key }, BEGIN, { input })).beginDatasetUpload;
}

/** Sends bytes to an upload's part. */
export async function putPart(
  { key }: Holder,
  url: string,
  body: Buffer,
): Promise<{ status: number; etag: string | null; text: string }> {
  const headers = { authorization: `Bearer ${key}` };
  const answer = await fetch(url, { method: "PUT", headers, body });
  return { status: answer.status, etag: answer.headers.get("etag"), text: await answer.text() };
}

/** Completes an upload and gives the payload. */
export async function completeUpload(test: TestApi, holder: Holder, input: object): Promise<Payload> {
  return (await data(test, holder, COMPLETE, { input })).completeDatasetUpload;
}

/** Begins, sends and completes, and gives the last payload. */
export async function upload(test: TestApi, holder: Holder, bytes: Buffer, name = "pairs"): Promise<Payload> {
  const begun = await beginUpload(test, holder, bytes, { name });
  assert.deepEqual(begun.errors, []);
  const sent = await putPart(holder, begun.parts[0].url, bytes);
  assert.equal(sent.status, 200, sent.text);
  return completeUpload(test, holder, { uploadId: begun.uploadId, partTags: [sent.etag] });
}

/** One id of every kind of thing that a tenant can have. */
export type TenantIds = Readonly<Record<string, string>>;

/** Gives a tenant one of everything. Needs `startWork`. */
export async function fullTenant(test: TestApi, holder: Holder): Promise<TenantIds> {
  const spec = await specFor(test, holder);
  const { version } = await upload(test, holder, Buffer.from(jsonLines(preferenceRows())));
  const begun = await beginUpload(test, holder, Buffer.from("begun only"), { name: "begun" });
  const { experiment } = await submit(test, holder, { spec, idempotencyKey: "full tenant" });
  assert.equal(await ended(test, holder, experiment.id), "SUCCEEDED");
  const found = await data(
    test,
    holder,
    `query ($id: ID!) { viewer { actor { id } } experiment(id: $id) {
      report { id } runs(first: 1) { edges { node { id events(first: 1) { edges { node { id } } } } } } } }`,
    { id: experiment.id },
  );
  const run = found.experiment.runs.edges[0].node;
  const letterId = newId();
  await asOwner(test.databases, holder.caller.tenantId, (client) =>
    client.query(
      `insert into dead_letter (tenant_id, id, experiment_id, run_id, epoch, reason, last_error, replayed_at)
       select tenant_id, $1, experiment_id, id, 0, 'POISON', 'It died before it was tried again.', now() from run where id = $2`,
      [letterId, Buffer.from(run.id, "base64url").toString("utf8").split(":")[1]],
    ),
  );
  const compared = await firstFlip(test, holder, experiment.id);
  return {
    Artifact: found.experiment.report.id,
    Dataset: version.dataset.id,
    DatasetVersion: version.id,
    DeadLetter: idOf("DeadLetter", letterId),
    Experiment: experiment.id,
    Flip: compared.id,
    ItemResult: compared.baseline.id,
    Model: String(spec["modelId"]),
    Project: idOf("Project", holder.caller.projectId),
    Run: run.id,
    RunEvent: run.events.edges[0].node.id,
    ServiceAccount: found.viewer.actor.id,
    Upload: begun.uploadId,
  };
}

/** Runs of an experiment that score items, in the order of its plan. */
export async function trainRuns(test: TestApi, holder: Holder, experimentId: string): Promise<TrainRun[]> {
  const query = `query ($id: ID!) { experiment(id: $id) { runs(first: 100) { edges { node { id step seed partial
    cell { ... on RobustnessCell { method spuriousness } } } } } } }`;
  const { experiment } = await data(test, holder, query, { id: experimentId });
  const runs: (TrainRun & { step: string })[] = experiment.runs.edges.map((edge: { node: object }) => edge.node);
  return runs.filter(({ step }) => step === "train");
}

/** A run that scores items. */
export interface TrainRun {
  readonly id: string;
  readonly seed: number;
  readonly partial: boolean;
  readonly cell: { readonly method: string; readonly spuriousness: number | null };
}

/** The first item that SFT at the two rates answered differently. */
async function firstFlip(test: TestApi, holder: Holder, experimentId: string): Promise<Payload> {
  const runs = (await trainRuns(test, holder, experimentId)).filter(({ cell }) => cell.method === "SFT");
  const query = `query ($baseline: [ID!]!, $candidates: [[ID!]!]!) {
    compareRuns(baseline: $baseline, candidates: $candidates, metric: "conflicting") {
      comparisons { flips(first: 1) { edges { node { id baseline { id } } } } } ${ERRORS} } }`;
  const [baseline, ...others] = runs.map(({ id }) => [id]);
  const { compareRuns } = await data(test, holder, query, { baseline, candidates: others });
  assert.deepEqual(compareRuns.errors, []);
  return compareRuns.comparisons.flatMap((one: Payload) => one.flips.edges)[0].node;
}

/** The global id of the same kind that names nothing. */
export function strangerOf(id: string): string {
  const text = Buffer.from(id, "base64url").toString("utf8");
  return Buffer.from(text.replace(/:[0-9a-f-]{36}/, ":00000000-0000-7000-8000-000000000000")).toString("base64url");
}

/** An answer with every occurrence of an id masked, so that answers for two ids can be compared. */
export async function maskedAnswer(
  { api }: TestApi,
  { key }: Holder,
  [query, variables]: readonly [string, object],
  id: string,
): Promise<string> {
  const { status, body } = await ask({ api, key }, query, { ...variables });
  return `${status} ${JSON.stringify(body)}`.replaceAll(id, "<id>").replaceAll(/"traceId":"[0-9a-f]+"/g, "");
}
