import type { Log, LogFields } from "../log.js";

/** The address in the line that a pod prints once it listens: `{"event":"listening","address":"127.0.0.1:41234",…}`. */
export function addressIn(line: string): string | undefined {
  const address = fieldsIn(line)?.get("address");
  return typeof address === "string" ? address : undefined;
}

/** Hands a line of the pod's log on; a line that is no JSON object, for instance a crash's last words, is kept as text. */
export function relayLine(line: string, log: Log): void {
  const fields = fieldsIn(line);
  const message = fields?.get("event");
  if (fields === undefined || typeof message !== "string") {
    if (line.trim() !== "") log.warn(line);
    return;
  }
  const level = fields.get("level");
  const rest = [...fields].filter(([name]) => !["at", "level", "event", "part", "message"].includes(name));
  const kept: LogFields = Object.fromEntries(rest.map(([name, value]) => [name, plain(value)]));
  if (level === "error" || level === "critical") log.error(message, kept);
  else if (level === "warning") log.warn(message, kept);
  else log.info(message, kept);
}

function fieldsIn(line: string): Map<string, unknown> | undefined {
  try {
    const said: unknown = JSON.parse(line);
    return typeof said === "object" && said !== null ? new Map(Object.entries(said)) : undefined;
  } catch {
    return undefined; // text of some library
  }
}

function plain(value: unknown): string | number | boolean | null {
  if (value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean")
    return value;
  return JSON.stringify(value);
}
