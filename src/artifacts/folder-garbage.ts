import { lstat, opendir, rm, rmdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { digestIn, GARBAGE_BATCH, type GarbageRule, type Removed } from "./garbage.js";

interface OldFile {
  readonly path: string;
  readonly sha256: string;
}

/** Removes unregistered files and what attempts left unfinished, both only when nothing was written there since. */
export async function collectFolderGarbage(root: string, rule: GarbageRule): Promise<Removed> {
  let files = 0;
  let batch: OldFile[] = [];
  for await (const file of oldFiles(join(root, "cas"), rule.olderThan)) {
    if (batch.push(file) < GARBAGE_BATCH) continue;
    files += await removeUnregistered(batch, rule);
    batch = [];
  }
  if (batch.length > 0) files += await removeUnregistered(batch, rule);
  return { files, leftovers: await removeOld(join(root, "tmp"), rule.olderThan) };
}

async function* oldFiles(cas: string, olderThan: Date): AsyncGenerator<OldFile, void, undefined> {
  for await (const folder of entriesOf(cas)) {
    for await (const name of entriesOf(join(cas, folder))) {
      const sha256 = digestIn(name);
      const path = join(cas, folder, name);
      if (sha256 !== null && (await isOlder(path, olderThan))) yield { path, sha256 };
    }
  }
}

async function removeUnregistered(old: readonly OldFile[], { olderThan, isRegistered }: GarbageRule): Promise<number> {
  const registered = await isRegistered(old.map(({ sha256 }) => sha256));
  let removed = 0;
  for (const { path, sha256 } of old) {
    // Somebody may have put it again since it was looked at, and be about to register it.
    if (registered.has(sha256) || !(await isOlder(path, olderThan))) continue;
    await rm(path, { force: true });
    removed += 1;
  }
  return removed;
}

/**
 * Removes what is old below a folder, from the leaves up: attempts leave `<run>/<epoch>/…`, uploads a single file. A folder goes
 * only when it was old and is empty. Links that a run made are not followed.
 */
async function removeOld(folder: string, olderThan: Date): Promise<number> {
  let removed = 0;
  for await (const name of entriesOf(folder)) {
    const path = join(folder, name);
    const found = await lstat(path).catch(gone);
    if (found === undefined) continue;
    if (found.isDirectory()) removed += await removeOld(path, olderThan);
    if (found.mtime >= olderThan) continue;
    removed += found.isDirectory() ? await removeEmpty(path) : await rm(path, { force: true }).then(() => 1);
  }
  return removed;
}

async function removeEmpty(path: string): Promise<number> {
  try {
    await rmdir(path);
    return 1;
  } catch (cause) {
    if (hasCode(cause, "ENOTEMPTY", "EEXIST", "ENOENT")) return 0;
    throw cause;
  }
}

/** Names in a folder; none when it is not there. */
async function* entriesOf(folder: string): AsyncGenerator<string, void, undefined> {
  try {
    for await (const { name } of await opendir(folder)) yield name;
  } catch (cause) {
    if (!hasCode(cause, "ENOENT", "ENOTDIR")) throw cause;
  }
}

async function isOlder(path: string, olderThan: Date): Promise<boolean> {
  const found = await stat(path).catch(gone);
  return found?.isFile() === true && found.mtime < olderThan;
}

function gone(cause: unknown): undefined {
  if (!hasCode(cause, "ENOENT")) throw cause;
}

function hasCode(thrown: unknown, ...codes: readonly string[]): boolean {
  return thrown instanceof Error && "code" in thrown && codes.some((code) => code === thrown.code);
}
