import type { RecordReport } from "./upload-report.js";

/** What the rows of a data set are. */
export const datasetKinds = [
  "PREFERENCE",
  "GSM8K",
  "IFEVAL",
  "SQUAD",
  "CORPUS",
  "QUERIES",
  "QRELS",
  "EXPANSIONS",
] as const;
export type DatasetKind = (typeof datasetKinds)[number];

/** A named series of versions. */
export interface Dataset {
  readonly tenantId: string;
  readonly id: string;
  readonly projectId: string;
  readonly name: string;
  readonly kind: DatasetKind;
  readonly createdAt: Date;
}

/** Immutable rows; the digest is their identity. */
export interface DatasetVersion {
  readonly tenantId: string;
  readonly id: string;
  readonly datasetId: string;
  readonly digest: string;
  readonly rows: number;
  readonly sizeBytes: number;
  /** What checking its rows found; null for versions that are older than these findings. */
  readonly findings: DatasetFindings | null;
  readonly createdAt: Date;
}

/** What is worth knowing of rows that are in order. */
export type DatasetFindings = Pick<RecordReport, "leftOut" | "leftOutCount" | "leakage"> & {
  /** Absent from versions that are older than notes. */
  readonly notes?: RecordReport["notes"];
};

/** An upload that was begun; `completedAt` is set once its version stands. */
export interface DatasetUpload {
  readonly tenantId: string;
  readonly id: string;
  readonly projectId: string;
  readonly name: string;
  readonly kind: DatasetKind;
  readonly sizeBytes: number;
  readonly digest: string;
  readonly createdAt: Date;
  readonly completedAt: Date | null;
}
