import type { Json } from "../domain/digest.js";

/** A file in the artifact store that a tenant may read. */
export interface Artifact {
  readonly tenantId: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly createdAt: Date;
}

/** What a run that succeeded answered. */
export interface Result {
  readonly tenantId: string;
  readonly runId: string;
  readonly epoch: number;
  readonly contentSha256: string;
  readonly metrics: Json;
  readonly at: Date;
}

/** A file that one attempt of a run made. */
export interface RunArtifact {
  readonly tenantId: string;
  readonly runId: string;
  readonly epoch: number;
  readonly name: string;
  readonly kind: string;
  readonly sha256: string;
  readonly id: string;
}

/** What is counted of an attempt. */
export const usageKinds = [
  "WALL_SECONDS",
  "CPU_SECONDS",
  "GPU_SECONDS",
  "PROMPT_TOKENS",
  "COMPLETION_TOKENS",
  "QUERIES",
] as const;
export type UsageKind = (typeof usageKinds)[number];

/** One line of the usage ledger. */
export interface Usage {
  readonly tenantId: string;
  readonly runId: string;
  readonly epoch: number;
  readonly kind: UsageKind;
  readonly amount: number;
}
