import { Batcher } from "../store/batcher.js";
import { ExperimentScope } from "../store/closing.js";
import type { WorkDatabase } from "../store/database.js";
import type { ExperimentKey } from "../store/events.js";

/** Writes something of one experiment, whose row is locked. It may run again after a deadlock. */
export type Write<T> = (scope: ExperimentScope) => Promise<T>;

interface Step {
  readonly key: ExperimentKey;
  readonly write: Write<true>;
}

/**
 * Writes what pods say. All writes of one experiment take its row's lock, so they would only queue up for it: those that
 * come while one is being committed share the next transaction, its lock and its batch of events instead.
 */
export class ExperimentWriter {
  private readonly batcher: Batcher<Step, true>;

  constructor(database: WorkDatabase) {
    this.batcher = new Batcher((_key, steps) => database.transaction((tx) => writeAll(tx, steps)), { itemsMax: 50 });
  }

  /** Does the work in a transaction, perhaps together with others of the same experiment, and gives its answer. */
  async write<T>(key: ExperimentKey, work: Write<T>): Promise<T> {
    const kept: T[] = [];
    const write: Write<true> = async (scope) => {
      // A transaction may run twice; the last answer is the one that was committed.
      kept[0] = await work(scope);
      return true;
    };
    await this.batcher.add(`${key.tenantId}:${key.experimentId}`, { key, write });
    const [answer] = kept;
    return answer as T; // set above, else `add` has thrown
  }
}

async function writeAll(tx: Parameters<typeof ExperimentScope.within>[0], steps: readonly Step[]): Promise<true[]> {
  const [first] = steps;
  if (first === undefined) return [];
  return ExperimentScope.within(tx, first.key, async (scope) => {
    const answers: true[] = [];
    for (const step of steps) answers.push(await step.write(scope));
    return answers;
  });
}
