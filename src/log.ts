/** Fields of a log line; values must be plain JSON. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Where parts of the service say what happens. One JSON object a line, so that no text can forge a line of its own. */
export interface Log {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** A log that writes JSON lines through `write`, each with a time, a level and the part that speaks. */
export function jsonLog(part: string, write: (line: string) => void): Log {
  const line = (level: string, message: string, fields: LogFields = {}): void => {
    write(JSON.stringify({ at: new Date().toISOString(), level, part, message, ...fields }));
  };
  return {
    info: (message, fields) => line("info", message, fields),
    warn: (message, fields) => line("warn", message, fields),
    error: (message, fields) => line("error", message, fields),
  };
}

/** A short text for anything that was thrown, for log fields. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
}
