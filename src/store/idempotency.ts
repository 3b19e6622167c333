import type { Caller } from "../domain/tenant.js";
import { AssayError } from "../errors.js";
import { statement, type Transaction } from "./transaction.js";

/** A request that may be sent again under the same key. */
export interface KeyedRequest {
  readonly caller: Caller;
  /** The mutation's name: keys of different operations never meet. */
  readonly operation: string;
  readonly idempotencyKey: string;
  /** Digest of the request: the same key with another digest is a conflict. */
  readonly requestSha256: string;
}

const take = statement(
  "idempotency-take",
  `insert into idempotency (tenant_id, project_id, operation, key, request_sha256, answer_id) values ($1, $2, $3, $4, $5, $6)
   on conflict do nothing`,
);

const read = statement(
  "idempotency-read",
  `select request_sha256, answer_id, created_at from idempotency
   where tenant_id = $1 and project_id = $2 and operation = $3 and key = $4`,
);

/**
 * Takes a key for the request that this transaction does; null when it was free. Where it was used for the same request before,
 * the id of what was answered then. A request that is being done under the key is waited for. Throws IDEMPOTENCY_CONFLICT.
 */
export async function takeKey(tx: Transaction, request: KeyedRequest, answerId: string): Promise<string | null> {
  const { caller, operation, idempotencyKey, requestSha256 } = request;
  const name = [caller.tenantId, caller.projectId, operation, idempotencyKey];
  if ((await tx.run(take, [...name, requestSha256, answerId])) === 1) return null;
  const [row] = await tx.rows<{ request_sha256: string; answer_id: string; created_at: Date }>(read, name);
  if (row === undefined)
    throw new AssayError("INTERNAL", "wanted the idempotency key that is in use, but it is not there");
  if (row.request_sha256 === requestSha256) return row.answer_id;
  throw keyConflict(idempotencyKey, row.created_at);
}

/** The refusal of a key that was used for another request. */
export function keyConflict(idempotencyKey: string, firstSeenAt: Date): AssayError {
  return new AssayError(
    "IDEMPOTENCY_CONFLICT",
    `input.idempotencyKey: ${JSON.stringify(idempotencyKey)} was used at ${firstSeenAt.toISOString()} for another request`,
    { path: ["input", "idempotencyKey"], detail: { firstSeenAt: firstSeenAt.toISOString() } },
  );
}
