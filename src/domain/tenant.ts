/** What a key may do. */
export const scopes = ["READ", "SUBMIT", "CANCEL_ANY", "DATASET_WRITE"] as const;
export type Scope = (typeof scopes)[number];

/** An organisation; nothing of one is ever visible to another. */
export interface Tenant {
  readonly tenantId: string;
  readonly name: string;
  readonly createdAt: Date;
}

/** Holds everything else of a tenant. */
export interface Project {
  readonly tenantId: string;
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly createdAt: Date;
}

/** A key as it is stored: never the secret, only its SHA-256. */
export interface ApiKey {
  readonly tenantId: string;
  readonly id: string;
  readonly projectId: string;
  readonly publicId: string;
  readonly secretSha256: Buffer;
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
}

/** Who makes a request, as far as rules care. */
export interface Caller {
  readonly tenantId: string;
  readonly projectId: string;
  readonly keyId: string;
  readonly scopes: readonly Scope[];
}
