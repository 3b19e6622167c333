/** Ways to find documents for a query that a report holds against one another. */
export const retrievalSystems = [
  "BM25",
  "BM25_EXPANDED",
  "BASE",
  "BASE_EXPANDED",
  "VECTOR_PRF",
  "RRF",
  "RIDGE",
  "RIDGE_SHUFFLED",
  "SOFTQE",
  "SOFTQE_MIXED",
  "CONTRASTIVE",
  "SHUFFLED",
] as const;
export type RetrievalSystem = (typeof retrievalSystems)[number];

/** A row of a leaderboard: a system and, of SOFTQE_MIXED, which of several. */
export interface RetrievalRow {
  readonly system: RetrievalSystem;
  /** The weight of distillation in the loss, 0 to 1; null of what is not trained by it. */
  readonly alpha: number | null;
}

/** What names a row in files: its system, and where one system has several rows their alpha behind it. */
export function systemKey({ system, alpha }: RetrievalRow): string {
  return system === "SOFTQE_MIXED" ? `${system}@${alpha}` : system;
}

/** The row that a key names, or null. */
export function rowOfKey(key: string): RetrievalRow | null {
  const [name = "", alpha, ...rest] = key.split("@");
  const system = retrievalSystems.find((known) => known === name);
  if (system === undefined || rest.length > 0 || (system === "SOFTQE_MIXED") !== (alpha !== undefined)) return null;
  if (alpha !== undefined) return Number(alpha) > 0 && Number(alpha) < 1 ? { system, alpha: Number(alpha) } : null;
  return { system, alpha: system === "SOFTQE" ? 1 : system === "CONTRASTIVE" ? 0 : null };
}
