/** What the rows of a data set are. */
export const datasetKinds = ["PREFERENCE"] as const;
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
  readonly createdAt: Date;
}

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
