import type { Experiment, ExperimentEvent } from "../domain/experiment.js";
import type { Run } from "../domain/run.js";
import { type Page, type PageOrder, type PageRequest, readPage } from "./pages.js";
import { eventTable, experimentTable, runTable } from "./tables.js";
import type { Transaction } from "./transaction.js";

// Reads for the gateway, which asks for many things at once or for a page of them.

/** The experiments with these ids, in no order. */
export function experimentsById(tx: Transaction, ids: readonly string[]): Promise<Experiment[]> {
  return tx.manager.createQueryBuilder(experimentTable, "e").where("e.id = any(:ids)", { ids }).getMany();
}

/** The runs with these ids, in no order. */
export function runsById(tx: Transaction, ids: readonly string[]): Promise<Run[]> {
  return tx.manager.createQueryBuilder(runTable, "r").where("r.id = any(:ids)", { ids }).getMany();
}

/** The event of an experiment with this number, or null. */
export function eventAt(tx: Transaction, experimentId: string, seq: number): Promise<ExperimentEvent | null> {
  return tx.manager
    .createQueryBuilder(eventTable, "e")
    .where("e.experimentId = :experimentId and e.seq = :seq", { experimentId, seq })
    .getOne();
}

/** Which events are listed. */
export interface EventFilter {
  readonly experimentId: string;
  /** Only those of one run. */
  readonly runId?: string;
  /** Only later ones. */
  readonly afterSequence: number;
}

const bySequence: PageOrder<number> = { columns: ["e.seq"], descending: false, valuesAt: (seq) => [seq] };

/** Events of an experiment or one of its runs in their order; a page's position is an event's sequence. */
export function listEvents(
  tx: Transaction,
  { experimentId, runId, afterSequence }: EventFilter,
  page: PageRequest<number>,
): Promise<Page<ExperimentEvent>> {
  const query = tx.manager
    .createQueryBuilder(eventTable, "e")
    .where("e.experimentId = :experimentId and e.seq > :afterSequence", { experimentId, afterSequence });
  if (runId !== undefined) query.andWhere("e.runId = :runId", { runId });
  return readPage(query, bySequence, page);
}
