import type { DeadLetter, DeadLetterFilter } from "../domain/dead-letter.js";
import type { ExperimentPosition } from "./experiments.js";
import { type Page, type PageOrder, type PageRequest, readPage } from "./pages.js";
import { deadLetterTable } from "./tables.js";
import type { Transaction } from "./transaction.js";

const newestFirst: PageOrder<ExperimentPosition> = {
  columns: ["d.at", "d.id"],
  descending: true,
  valuesAt: ({ createdAt, id }) => [createdAt, id],
};

/** Dead letters of a project, the newest first. */
export function listDeadLetters(
  tx: Transaction,
  { projectId, ...filter }: DeadLetterFilter & { readonly projectId: string },
  page: PageRequest<ExperimentPosition>,
): Promise<Page<DeadLetter>> {
  const query = tx.manager
    .createQueryBuilder(deadLetterTable, "d")
    .where(
      "exists (select 1 from experiment e where e.tenant_id = d.tenantId and e.id = d.experimentId and e.project_id = :projectId)",
      { projectId },
    );
  const { experimentId, reason, code, diedBefore, replayed, purged } = filter;
  if (experimentId !== undefined) query.andWhere("d.experimentId = :experimentId", { experimentId });
  if (reason !== undefined) query.andWhere("d.reason = :reason", { reason });
  if (code !== undefined) query.andWhere("d.errorCode = :code", { code });
  if (diedBefore !== undefined) query.andWhere("d.at < :diedBefore", { diedBefore });
  if (replayed !== undefined) query.andWhere(`d.replayedAt is ${replayed ? "not " : ""}null`);
  if (purged !== undefined) query.andWhere(`d.purgedAt is ${purged ? "not " : ""}null`);
  return readPage(query, newestFirst, page);
}

/** The dead letters with these ids, in no order. */
export function deadLettersById(tx: Transaction, ids: readonly string[]): Promise<DeadLetter[]> {
  return tx.manager.createQueryBuilder(deadLetterTable, "d").where("d.id = any(:ids)", { ids }).getMany();
}
