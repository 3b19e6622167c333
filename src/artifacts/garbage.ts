/** What may be removed. */
export interface GarbageRule {
  /** Nothing that was written since is touched, registered or not. */
  readonly olderThan: Date;
  /** Which of these files anybody knows. */
  readonly isRegistered: (sha256s: readonly string[]) => Promise<ReadonlySet<string>>;
}

/** What was removed. */
export interface Removed {
  /** Whole files that nobody had registered. */
  readonly files: number;
  /** Parts of files, and files of attempts that never ended in order. */
  readonly leftovers: number;
}

/** How many files are asked after at once. */
export const GARBAGE_BATCH = 1_000;

/** The words, unless they are no digest; then nobody can have registered them, and they are not ours to remove. */
export function digestIn(name: string): string | null {
  return /^[0-9a-f]{64}$/.test(name) ? name : null;
}
