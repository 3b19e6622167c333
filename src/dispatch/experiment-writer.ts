import { ExperimentScope } from "../store/closing.js";
import type { WorkDatabase } from "../store/database.js";
import type { ExperimentKey } from "../store/events.js";

/** Writes something of one experiment, whose row is locked. It may run again after a deadlock. */
export type Write<T> = (scope: ExperimentScope) => Promise<T>;

interface Step {
  readonly write: (scope: ExperimentScope) => Promise<void>;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** What is to be written of one experiment, in its order. */
interface Desk {
  readonly key: ExperimentKey;
  readonly steps: Step[];
}

const STEPS_MAX = 50;
/** While one transaction waits for the disk, the next one is made. */
const IN_FLIGHT_MAX = 2;

/**
 * Writes what pods say. What comes while transactions are under way is gathered and shares the next one, its locks and its
 * events, whatever the experiment: a way to the disk costs more than what is written on it. The order within an experiment
 * holds; one whose row somebody else has locked waits by itself, and one that fails takes no other with it.
 */
export class ExperimentWriter {
  private readonly waiting = new Map<string, Desk>();
  private readonly busy = new Set<string>();
  private inFlight = 0;

  constructor(private readonly database: WorkDatabase) {}

  /** Does the work in a transaction, perhaps together with others, and gives its answer. */
  write<T>(key: ExperimentKey, work: Write<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let settle = (): void => undefined;
      const write = async (scope: ExperimentScope): Promise<void> => {
        const answer = await work(scope);
        // A transaction may run twice; the last answer is the one that was committed.
        settle = () => resolve(answer);
      };
      const name = `${key.tenantId}:${key.experimentId}`;
      const desk = this.waiting.get(name) ?? { key, steps: [] };
      this.waiting.set(name, desk);
      desk.steps.push({ write, resolve: () => settle(), reject });
      // What comes in the same turn of the loop goes together.
      if (desk.steps.length === 1) setImmediate(() => this.pump());
    });
  }

  private pump(): void {
    while (this.inFlight < IN_FLIGHT_MAX) {
      const batch = this.take();
      if (batch.size === 0) return;
      this.inFlight += 1;
      void this.commit([...batch.values()]).then((locked) => {
        this.inFlight -= 1;
        for (const [name, desk] of batch) {
          if (locked.has(desk)) void this.alone(desk).then(() => this.finished(name));
          else this.busy.delete(name);
        }
        this.pump();
      });
    }
  }

  private finished(name: string): void {
    this.busy.delete(name);
    this.pump();
  }

  /** Desks that nobody writes for, up to so many steps in all. */
  private take(): Map<string, Desk> {
    const taken = new Map<string, Desk>();
    let steps = 0;
    for (const [name, desk] of this.waiting) {
      if (steps >= STEPS_MAX) break;
      if (this.busy.has(name)) continue;
      taken.set(name, desk);
      steps += desk.steps.length;
      this.waiting.delete(name);
      this.busy.add(name);
    }
    return taken;
  }

  /** Writes several desks in one transaction and gives those that are still to be written alone. Never rejects. */
  private async commit(desks: readonly Desk[]): Promise<Set<Desk>> {
    const [only, ...others] = desks;
    if (only === undefined || others.length === 0) return new Set(desks);
    try {
      const written = await this.database.transaction((tx) =>
        ExperimentScope.withinFree(tx, desks, { keyOf: ({ key }) => key, work: writeDesk }),
      );
      for (const desk of written) resolveAll(desk);
      return new Set(desks.filter((desk) => !written.has(desk)));
    } catch {
      return new Set(desks); // each of them tells what was wrong
    }
  }

  /** Writes one desk, step by step where it fails as a whole. Never rejects. */
  private async alone({ key, steps }: Desk): Promise<void> {
    try {
      await this.database.transaction((tx) =>
        ExperimentScope.within(tx, key, (scope) => writeDesk(scope, { key, steps })),
      );
      resolveAll({ key, steps });
    } catch (error) {
      const [only, ...others] = steps;
      if (only !== undefined && others.length === 0) only.reject(error);
      else for (const step of steps) await this.alone({ key, steps: [step] });
    }
  }
}

async function writeDesk(scope: ExperimentScope, { steps }: Desk): Promise<void> {
  for (const step of steps) await step.write(scope);
}

function resolveAll({ steps }: Desk): void {
  for (const step of steps) step.resolve();
}
