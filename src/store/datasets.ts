import type { Dataset, DatasetKind, DatasetUpload, DatasetVersion } from "../domain/dataset.js";
import { newId } from "../domain/digest.js";
import type { RecordReport } from "../domain/upload-report.js";
import { invalidInput } from "../errors.js";
import { statement, type Transaction } from "./database.js";
import { artifactTable, datasetTable, datasetUploadTable, datasetVersionTable } from "./tables.js";

const insertUpload = statement(
  "datasets-insert-upload",
  `insert into dataset_upload (tenant_id, id, project_id, name, kind, size_bytes, digest) values ($1, $2, $3, $4, $5, $6, $7)`,
);
const insertArtifact = statement(
  "datasets-insert-artifact",
  "insert into artifact (tenant_id, sha256, size_bytes) values ($1, $2, $3) on conflict do nothing",
);
const insertDataset = statement(
  "datasets-insert",
  `insert into dataset (tenant_id, id, project_id, name, kind) values ($1, $2, $3, $4, $5)
   on conflict (tenant_id, project_id, name) do nothing`,
);
const insertVersion = statement(
  "datasets-insert-version",
  `insert into dataset_version (tenant_id, id, dataset_id, digest, rows, size_bytes, findings) values ($1, $2, $3, $4, $5, $6, $7)
   on conflict (tenant_id, dataset_id, digest) do nothing`,
);
const completeUploadRow = statement(
  "datasets-complete-upload",
  "update dataset_upload set completed_at = coalesce(completed_at, now()) where tenant_id = $1 and id = $2",
);
const findVersion = statement(
  "datasets-find-version",
  `select v.id from dataset_version v join dataset d on d.tenant_id = v.tenant_id and d.id = v.dataset_id
    where d.tenant_id = $1 and d.project_id = $2 and d.name = $3 and v.digest = $4 and d.kind = $5`,
);

/** Notes that an upload was begun. Throws INVALID_INPUT where the project's data set of this name has rows of another kind. */
export async function beginUpload(
  tx: Transaction,
  upload: Omit<DatasetUpload, "createdAt" | "completedAt">,
): Promise<void> {
  const { tenantId, id, projectId, name, kind, sizeBytes, digest } = upload;
  const dataset = await tx.manager.findOneBy(datasetTable, { tenantId, projectId, name });
  if (dataset !== null) checkKind(dataset, kind);
  await tx.run(insertUpload, [tenantId, id, projectId, name, kind, sizeBytes, digest]);
}

/** An upload of the tenant, or null. */
export function uploadById(tx: Transaction, tenantId: string, id: string): Promise<DatasetUpload | null> {
  return tx.manager.findOneBy(datasetUploadTable, { tenantId, id });
}

/**
 * Notes that the tenant itself sent these bytes. The store of files is shared, so that a file is there proves nothing
 * about who may read it; this row does.
 */
export async function receiveFile(
  tx: Transaction,
  file: { tenantId: string; sha256: string; sizeBytes: number },
): Promise<void> {
  await tx.run(insertArtifact, [file.tenantId, file.sha256, file.sizeBytes]);
}

/** Whether the tenant has these bytes, by an upload or from a run; a digest with another size names no bytes at all. */
export function hasFile(
  tx: Transaction,
  { tenantId, digest: sha256, sizeBytes }: Pick<DatasetUpload, "tenantId" | "digest" | "sizeBytes">,
): Promise<boolean> {
  return tx.manager.existsBy(artifactTable, { tenantId, sha256, sizeBytes });
}

/** Makes the version of an upload whose rows were found to be in order, and its data set where there is none of the name. */
export async function completeUpload(
  tx: Transaction,
  upload: DatasetUpload,
  { rows, leftOut, leftOutCount, notes, leakage }: RecordReport,
): Promise<DatasetVersion> {
  const { tenantId, projectId, name, kind, digest, sizeBytes } = upload;
  await tx.run(insertDataset, [tenantId, newId(), projectId, name, kind]);
  const dataset = await tx.manager.findOneByOrFail(datasetTable, { tenantId, projectId, name });
  checkKind(dataset, kind);
  await tx.run(insertVersion, [
    tenantId,
    newId(),
    dataset.id,
    digest,
    rows,
    sizeBytes,
    JSON.stringify({ leftOut, leftOutCount, notes, leakage }),
  ]);
  await tx.run(completeUploadRow, [tenantId, upload.id]);
  return tx.manager.findOneByOrFail(datasetVersionTable, { tenantId, datasetId: dataset.id, digest });
}

function checkKind({ name, kind }: Dataset, wanted: DatasetKind): void {
  if (kind === wanted) return;
  throw invalidInput(["input", "kind"], `${kind}, as the other versions of data set ${JSON.stringify(name)}`, wanted);
}

/** The version with these bytes of the project's data set of this name and kind, or null. */
export async function versionOf(
  tx: Transaction,
  wanted: Pick<DatasetUpload, "tenantId" | "projectId" | "name" | "kind" | "digest">,
): Promise<DatasetVersion | null> {
  const { tenantId, projectId, name, kind, digest } = wanted;
  const [found] = await tx.rows<{ id: string }>(findVersion, [tenantId, projectId, name, digest, kind]);
  return found === undefined ? null : tx.manager.findOneBy(datasetVersionTable, { tenantId, id: found.id });
}

/** The data sets with these ids, in no order. */
export function datasetsById(tx: Transaction, tenantId: string, ids: readonly string[]): Promise<Dataset[]> {
  return tx.manager
    .createQueryBuilder(datasetTable, "d")
    .where("d.tenantId = :tenantId and d.id = any(:ids)", { tenantId, ids })
    .getMany();
}

/** The versions with these ids, in no order. */
export function versionsById(tx: Transaction, tenantId: string, ids: readonly string[]): Promise<DatasetVersion[]> {
  return tx.manager
    .createQueryBuilder(datasetVersionTable, "v")
    .where("v.tenantId = :tenantId and v.id = any(:ids)", { tenantId, ids })
    .getMany();
}
