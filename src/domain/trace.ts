import { randomBytes } from "node:crypto";

// version "-" trace id "-" parent id "-" flags; a later version may have more behind it.
const form = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/**
 * The W3C trace context that a request carries in its `traceparent` header. What is absent or malformed is replaced by a new
 * trace, as the recommendation asks; of a later version what version 00 knows is kept.
 */
export function traceparentOf(header: string | undefined): string {
  const [, version, traceId, parentId, flags, rest] = form.exec(header ?? "") ?? [];
  if (traceId === undefined || (version === "00" && rest !== undefined)) return newTraceparent();
  return `00-${traceId}-${parentId}-${flags}`;
}

/** A trace that begins here; nobody decided to record it. */
function newTraceparent(): string {
  return `00-${randomBytes(16).toString("hex")}-${randomBytes(8).toString("hex")}-00`;
}

/** The trace's id, by which lines of several programs about one request are found. */
export function traceIdOf(traceparent: string): string {
  return traceparent.slice(3, 35);
}
