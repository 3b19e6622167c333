import { Batcher } from "../store/batcher.js";
import type { Work, WorkDatabase } from "../store/database.js";
import type { ExperimentKey } from "../store/events.js";

type Step = Work<true>;

/**
 * Writes what pods say. All writes of one experiment take its row's lock, so they would only queue up for it: those that
 * come while one is being committed share the next transaction instead.
 */
export class ExperimentWriter {
  private readonly batcher: Batcher<Step, true>;

  constructor(database: WorkDatabase) {
    this.batcher = new Batcher(
      (_key, steps) =>
        database.transaction(async (tx) => {
          const answers: true[] = [];
          for (const step of steps) answers.push(await step(tx));
          return answers;
        }),
      20,
    );
  }

  /** Does the work in a transaction, perhaps together with others of the same experiment, and gives its answer. */
  async write<T>(key: ExperimentKey, work: Work<T>): Promise<T> {
    const kept: T[] = [];
    await this.batcher.add(`${key.tenantId}:${key.experimentId}`, async (tx) => {
      // A transaction may run twice; the last answer is the one that was committed.
      kept[0] = await work(tx);
      return true;
    });
    const [answer] = kept;
    return answer as T; // set above, else `add` has thrown
  }
}
