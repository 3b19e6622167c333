import { existsSync, readFileSync } from "node:fs";

/** What was seen on the bus, which the database does not keep. */
export type Observation =
  /** A record was put on the bus. */
  | { readonly kind: "PUBLISHED"; readonly eventId: string }
  /** A record lies before what the consumer's group has done with; the inbox counts how often it came. */
  | { readonly kind: "DELIVERED"; readonly eventId: string; readonly consumer: string };

/** The ids of the records that were put on the bus, one for each record. */
export function publishedIds(observations: readonly Observation[]): string[] {
  return observations.flatMap(({ kind, eventId }) => (kind === "PUBLISHED" ? [eventId] : []));
}

/** Reads observations, one JSON object a line; a last line that a crash cut short is left out. */
export function readObservations(path: string): Observation[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line): Observation => JSON.parse(line));
}

/** How often something was seen again beyond its first time. */
export function repeatsOf(names: Iterable<string>): number {
  const seen = new Set<string>();
  let repeats = 0;
  for (const name of names) {
    if (seen.has(name)) repeats += 1;
    seen.add(name);
  }
  return repeats;
}
