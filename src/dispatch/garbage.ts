import type { ArtifactStore } from "../artifacts/store.js";
import type { Log } from "../log.js";
import { beginChore, knownFiles } from "../store/chores.js";
import type { WorkDatabase } from "../store/database.js";

/** When garbage is removed. */
export interface GarbageTimes {
  /** At most so often, by one dispatcher of all. */
  readonly everyMs: number;
  /** Nothing is removed that was written since. */
  readonly ageMs: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/**
 * Hourly, what is a day older than any run can be: the files of a run are registered with its end, and until then nobody but its
 * attempt knows of them. Null where runs have no bound, for then nothing is ever known to be left behind.
 */
export function garbageTimes(longestRunMs: number): GarbageTimes | null {
  return longestRunMs === 0 ? null : { everyMs: HOUR_MS, ageMs: DAY_MS + longestRunMs };
}

/** Removes files that no tenant knows and what dead attempts left, if no other dispatcher has done so lately. */
export async function removeGarbage(
  parts: { database: WorkDatabase; artifacts: Pick<ArtifactStore, "collectGarbage">; log: Log },
  { everyMs, ageMs }: GarbageTimes,
): Promise<void> {
  const { database, artifacts, log } = parts;
  if (!(await database.transaction((tx) => beginChore(tx, "remove garbage", everyMs)))) return;
  const removed = await artifacts.collectGarbage({
    olderThan: new Date(Date.now() - ageMs),
    isRegistered: (sha256s) => database.transaction((tx) => knownFiles(tx, sha256s)),
  });
  if (removed.files + removed.leftovers > 0) log.info("garbage was removed", { ...removed });
}
