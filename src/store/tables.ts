import { EntitySchema, type EntitySchemaColumnOptions } from "typeorm";
import type { Dataset, DatasetUpload, DatasetVersion } from "../domain/dataset.js";
import type { DeadLetter } from "../domain/dead-letter.js";
import type { Experiment, ExperimentEvent } from "../domain/experiment.js";
import type { Model } from "../domain/model.js";
import type { Attempt, Run } from "../domain/run.js";
import type { ApiKey, Project, Tenant } from "../domain/tenant.js";
import type { Artifact, Result, RunArtifact, Usage } from "./rows.js";

type Columns<T> = { readonly [P in keyof T]: EntitySchemaColumnOptions };

/** Maps a plain interface onto a table of the migrations; the compiler asks for every field. */
function table<T extends object>(name: string, columns: Columns<T>): EntitySchema<T> {
  return new EntitySchema<T>({ name, tableName: name, columns });
}

const key = (name: string): EntitySchemaColumnOptions => ({ name, type: "uuid", primary: true });
const uuid = (name: string): EntitySchemaColumnOptions => ({ name, type: "uuid" });
const text = (name: string): EntitySchemaColumnOptions => ({ name, type: "text" });
const int = (name: string): EntitySchemaColumnOptions => ({ name, type: "int" });
const json = (name: string): EntitySchemaColumnOptions => ({ name, type: "jsonb" });
const time = (name: string): EntitySchemaColumnOptions => ({ name, type: "timestamptz" });
/** Set by the database when a row is inserted without it. */
const created = (name: string): EntitySchemaColumnOptions => ({ name, type: "timestamptz", default: () => "now()" });
const maybe = (column: EntitySchemaColumnOptions): EntitySchemaColumnOptions => ({ ...column, nullable: true });
/** The driver gives bigint as text unless it is told otherwise; sizes and sequences fit a number. */
const bigint = (name: string): EntitySchemaColumnOptions => ({
  name,
  type: "bigint",
  transformer: { to: (value: number) => value, from: (value: string | number) => Number(value) },
});

/** Organisations. */
export const tenantTable = table<Tenant>("tenant", {
  tenantId: key("tenant_id"),
  name: text("name"),
  createdAt: created("created_at"),
});

/** Projects. */
export const projectTable = table<Project>("project", {
  tenantId: key("tenant_id"),
  id: key("id"),
  slug: text("slug"),
  name: text("name"),
  createdAt: created("created_at"),
});

/** API keys, without their secrets. */
export const apiKeyTable = table<ApiKey>("api_key", {
  tenantId: key("tenant_id"),
  id: key("id"),
  projectId: uuid("project_id"),
  publicId: text("public_id"),
  secretSha256: { name: "secret_sha256", type: "bytea" },
  name: text("name"),
  scopes: { name: "scopes", type: "text", array: true },
  createdAt: created("created_at"),
  expiresAt: maybe(time("expires_at")),
  revokedAt: maybe(time("revoked_at")),
});

/** Files in the artifact store. */
export const artifactTable = table<Artifact>("artifact", {
  tenantId: key("tenant_id"),
  sha256: { ...text("sha256"), primary: true },
  sizeBytes: bigint("size_bytes"),
  createdAt: created("created_at"),
});

/** Registered models. */
export const modelTable = table<Model>("model", {
  tenantId: key("tenant_id"),
  id: key("id"),
  projectId: uuid("project_id"),
  name: text("name"),
  revision: text("revision"),
  digest: text("digest"),
  source: json("source"),
  createdAt: created("created_at"),
});

/** Data sets. */
export const datasetTable = table<Dataset>("dataset", {
  tenantId: key("tenant_id"),
  id: key("id"),
  projectId: uuid("project_id"),
  name: text("name"),
  kind: text("kind"),
  createdAt: created("created_at"),
});

/** Immutable versions of data sets. */
export const datasetVersionTable = table<DatasetVersion>("dataset_version", {
  tenantId: key("tenant_id"),
  id: key("id"),
  datasetId: uuid("dataset_id"),
  digest: text("digest"),
  rows: int("rows"),
  sizeBytes: bigint("size_bytes"),
  findings: maybe(json("findings")),
  createdAt: created("created_at"),
});

/** Uploads that were begun. */
export const datasetUploadTable = table<DatasetUpload>("dataset_upload", {
  tenantId: key("tenant_id"),
  id: key("id"),
  projectId: uuid("project_id"),
  name: text("name"),
  kind: text("kind"),
  sizeBytes: bigint("size_bytes"),
  digest: text("digest"),
  createdAt: created("created_at"),
  completedAt: maybe(time("completed_at")),
});

/** Experiments. The next event's sequence is not mapped: only `events.ts` counts it up. */
export const experimentTable = table<Experiment>("experiment", {
  tenantId: key("tenant_id"),
  id: key("id"),
  projectId: uuid("project_id"),
  capability: text("capability"),
  name: text("name"),
  spec: json("spec"),
  specSha256: text("spec_sha256"),
  stage: int("stage"),
  stageCount: int("stage_count"),
  openRuns: int("open_runs"),
  totalRuns: int("total_runs"),
  createdBy: uuid("created_by"),
  createdAt: created("created_at"),
  cancelMode: maybe(text("cancel_mode")),
  cancelReason: maybe(text("cancel_reason")),
  cancelRequestedAt: maybe(time("cancel_requested_at")),
  cancelledBy: maybe(uuid("cancelled_by")),
  pausedAt: maybe(time("paused_at")),
  endedAt: maybe(time("ended_at")),
});

/** Runs. */
export const runTable = table<Run>("run", {
  tenantId: key("tenant_id"),
  id: key("id"),
  experimentId: uuid("experiment_id"),
  position: int("position"),
  stage: int("stage"),
  step: text("step"),
  cell: maybe(json("cell")),
  seed: maybe(int("seed")),
  digest: text("digest"),
  spec: text("spec"),
  specSha256: text("spec_sha256"),
  inputs: json("inputs"),
  state: text("state"),
  stateReason: maybe(text("state_reason")),
  partial: { name: "partial", type: "boolean" },
  priority: int("priority"),
  epoch: int("epoch"),
  attempt: int("attempt"),
  maxAttempts: int("max_attempts"),
  disruptions: int("disruptions"),
  microBatchDivisor: int("micro_batch_divisor"),
  leaseOwner: maybe(uuid("lease_owner")),
  leaseUntil: maybe(time("lease_until")),
  notBefore: time("not_before"),
  cancelMode: maybe(text("cancel_mode")),
  errorClass: maybe(text("error_class")),
  errorCode: maybe(text("error_code")),
  errorMessage: maybe(text("error_message")),
  errorStage: maybe(text("error_stage")),
  progress: maybe(json("progress")),
  acceptedAt: created("accepted_at"),
  terminalAt: maybe(time("terminal_at")),
  supersededBy: maybe(uuid("superseded_by")),
  reusedFrom: maybe(uuid("reused_from")),
});

/** Tries of runs. */
export const attemptTable = table<Attempt>("attempt", {
  tenantId: key("tenant_id"),
  runId: key("run_id"),
  epoch: { ...int("epoch"), primary: true },
  dispatcherId: uuid("dispatcher_id"),
  podId: maybe(text("pod_id")),
  podAddress: maybe(text("pod_address")),
  startedAt: created("started_at"),
  endedAt: maybe(time("ended_at")),
  outcome: maybe(text("outcome")),
  errorClass: maybe(text("error_class")),
  errorCode: maybe(text("error_code")),
  errorMessage: maybe(text("error_message")),
  lastStep: maybe(bigint("last_step")),
  resumedFromStep: maybe(bigint("resumed_from_step")),
});

/** Results of runs, one for each that succeeded. */
export const resultTable = table<Result>("result", {
  tenantId: key("tenant_id"),
  runId: key("run_id"),
  epoch: int("epoch"),
  contentSha256: text("content_sha256"),
  metrics: json("metrics"),
  at: created("at"),
});

/** Files that attempts made. */
export const runArtifactTable = table<RunArtifact>("run_artifact", {
  tenantId: key("tenant_id"),
  runId: key("run_id"),
  epoch: { ...int("epoch"), primary: true },
  name: { ...text("name"), primary: true },
  kind: text("kind"),
  sha256: text("sha256"),
  id: uuid("id"),
});

/** What attempts used. */
export const usageTable = table<Usage>("usage", {
  tenantId: key("tenant_id"),
  runId: key("run_id"),
  epoch: { ...int("epoch"), primary: true },
  kind: { ...text("kind"), primary: true },
  amount: { name: "amount", type: "double precision" },
});

/** What happened to experiments. */
export const eventTable = table<ExperimentEvent>("event", {
  tenantId: key("tenant_id"),
  experimentId: key("experiment_id"),
  seq: { ...bigint("seq"), primary: true },
  runId: maybe(uuid("run_id")),
  kind: text("kind"),
  body: json("body"),
  at: created("at"),
});

/** What is kept of runs that were given up. */
export const deadLetterTable = table<DeadLetter>("dead_letter", {
  tenantId: key("tenant_id"),
  id: key("id"),
  experimentId: uuid("experiment_id"),
  runId: uuid("run_id"),
  epoch: int("epoch"),
  reason: text("reason"),
  errorClass: maybe(text("error_class")),
  errorCode: maybe(text("error_code")),
  lastError: maybe(text("last_error")),
  logTail: maybe(text("log_tail")),
  at: created("at"),
  replayedAt: maybe(time("replayed_at")),
  purgedAt: maybe(time("purged_at")),
});

/** Every mapped table. */
export const tables = [
  tenantTable,
  projectTable,
  apiKeyTable,
  artifactTable,
  modelTable,
  datasetTable,
  datasetVersionTable,
  datasetUploadTable,
  experimentTable,
  runTable,
  attemptTable,
  resultTable,
  runArtifactTable,
  usageTable,
  eventTable,
  deadLetterTable,
] as const;
