const socketCodes = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
]);

/** What pg says when the time for an answer is over; the connection itself it leaves as it is. */
const NO_ANSWER = "Query read timeout";

/** Sentences of pg and pg-pool that come without any code. */
const connectionSentences = [
  "Connection terminated",
  "timeout exceeded when trying to connect",
  "Client has encountered a connection error",
  "Client was closed and is not queryable",
  "Query runner already released",
  NO_ANSWER,
];

/** The SQLSTATE or socket code of what a query threw, or undefined. */
export function codeOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error)) return undefined;
  if ("driverError" in thrown && thrown.driverError instanceof Error) return codeOf(thrown.driverError);
  return "code" in thrown && typeof thrown.code === "string" ? thrown.code : undefined;
}

/** Whether the database could not be reached or went away: class 08, a server that starts or stops or
 * has no connection or no time left for us, or the socket. */
export function isConnectionFailure(thrown: unknown): boolean {
  const code = codeOf(thrown);
  if (code !== undefined) {
    return (
      socketCodes.has(code) || code.startsWith("08") || code.startsWith("57P0") || code === "53300" || code === "57014"
    );
  }
  return thrown instanceof Error && connectionSentences.some((sentence) => thrown.message.includes(sentence));
}

/** Whether no answer came in its time, so that the connection must be taken for dead. */
export function isSilence(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.message.includes(NO_ANSWER);
}

/** Whether the same transaction may succeed when it runs again: a deadlock or a serialisation failure. */
export function isRetriable(thrown: unknown): boolean {
  const code = codeOf(thrown);
  return code === "40001" || code === "40P01";
}

/** Whether a value was refused as data: text that PostgreSQL or jsonb cannot hold, a number out of range. */
export function isDataFailure(thrown: unknown): boolean {
  return codeOf(thrown)?.startsWith("22") ?? false;
}
