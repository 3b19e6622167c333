import { newId } from "../domain/digest.js";
import type { Lease } from "./claims.js";
import type { ExperimentScope } from "./closing.js";
import type { NewEvent } from "./events.js";
import { statement } from "./transaction.js";

/** So much of what a run said last is kept with its dead letter. */
export const LOG_TAIL_BYTES = 65_536;

/** What is known of a run that became DEAD. */
export interface Death {
  /** The class of its last error, or POD_LOST. */
  readonly reason: string;
  readonly errorClass: string | null;
  readonly code: string;
  readonly message: string;
}

// The limit bounds what is read of a talkative run; a line has at most 4,000 characters, so 64 KiB are seldom more lines.
const readTail = statement(
  "dead-letter-tail",
  `select string_agg(line, E'\\n' order by seq) as text from (
     select seq, line, sum(octet_length(line) + 1) over (order by seq desc) as bytes from (
       select seq, case kind when 'WARNING' then 'WARNING: ' else '' end || (body ->> 'message') as line from event
       where tenant_id = $1 and run_id = $2 and kind in ('LOG', 'WARNING') order by seq desc limit 5000
     ) latest
   ) counted where bytes <= $3`,
);

const write = statement(
  "dead-letter-write",
  `insert into dead_letter (tenant_id, id, experiment_id, run_id, epoch, reason, error_class, error_code, last_error, log_tail)
   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, nullif($10, ''))`,
);

/** Keeps what a run that is DEAD now said last, which the scope was told of already, for whoever looks into it. */
export async function writeDeadLetter(scope: ExperimentScope, lease: Lease, death: Death): Promise<void> {
  const { tenantId, runId, experimentId, epoch } = lease;
  const [stored] = await scope.tx.rows<{ text: string | null }>(readTail, [tenantId, runId, LOG_TAIL_BYTES]);
  const said = scope.toldOf(runId).flatMap(lineOf);
  const tail = lastBytes([...(stored?.text ? [stored.text] : []), ...said].join("\n"));
  const { reason, errorClass, code, message } = death;
  await scope.tx.run(write, [tenantId, newId(), experimentId, runId, epoch, reason, errorClass, code, message, tail]);
}

function lineOf({ kind, body }: NewEvent): string[] {
  if (kind !== "LOG" && kind !== "WARNING") return [];
  return [`${kind === "WARNING" ? "WARNING: " : ""}${String(body["message"])}`];
}

/** The end of a text, cut at a line or, where one line fills it, at a character. */
function lastBytes(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= LOG_TAIL_BYTES) return text;
  const rest = bytes.subarray(bytes.length - LOG_TAIL_BYTES);
  const line = rest.indexOf("\n");
  // Cut within a character, the bytes that are left of it would not be text.
  return line >= 0 ? rest.subarray(line + 1).toString("utf8") : rest.toString("utf8").replace(/^\ufffd+/, "");
}
