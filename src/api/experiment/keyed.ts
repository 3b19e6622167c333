import { digestOf, type Json } from "../../domain/digest.js";
import { idempotencyKeyFault } from "../../domain/options.js";
import type { KeyedRequest } from "../../store/idempotency.js";
import type { Context } from "../context.js";

/** The request that an input makes under its key. Throws what is wrong with the key. */
export function keyed(
  operation: string,
  { idempotencyKey }: { readonly idempotencyKey: string },
  { context, body }: { readonly context: Context; readonly body: Json },
): KeyedRequest {
  const fault = idempotencyKeyFault(idempotencyKey, ["input", "idempotencyKey"]);
  if (fault !== null) throw fault;
  return { caller: context.caller, operation, idempotencyKey, requestSha256: digestOf(body) };
}
