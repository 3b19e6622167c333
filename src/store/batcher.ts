/** Does the work of several items at once and gives their answers in the same order. */
export type BatchWork<Item, Answer> = (key: string, items: readonly Item[]) => Promise<readonly Answer[]>;

interface Waiting<Item, Answer> {
  readonly item: Item;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (reason: unknown) => void;
}

/** How items are gathered. */
export interface BatchLimits {
  /** Items of one batch. Default 100. */
  readonly itemsMax?: number;
  /** Batches of one key that may be at work at once. Default 1, which keeps the order of the items. */
  readonly inFlightMax?: number;
}

interface Queue<Item, Answer> {
  readonly waiting: Waiting<Item, Answer>[];
  inFlight: number;
}

/**
 * Gathers items with the same key while batches of that key are in flight, so that one transaction serves many callers
 * under load and a lone caller waits for nobody. When a batch fails, its items are tried one by one: no item can make its
 * neighbours fail.
 */
export class Batcher<Item, Answer> {
  private readonly queues = new Map<string, Queue<Item, Answer>>();

  constructor(
    private readonly work: BatchWork<Item, Answer>,
    private readonly limits: BatchLimits = {},
  ) {}

  /** Adds an item and gives its own answer or error. */
  add(key: string, item: Item): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const queue = this.queues.get(key) ?? { waiting: [], inFlight: 0 };
      this.queues.set(key, queue);
      queue.waiting.push({ item, resolve, reject });
      if (queue.inFlight < (this.limits.inFlightMax ?? 1)) void this.drain(key, queue);
    });
  }

  /** Works until nothing of the key waits. Never rejects: every error goes to the item's own caller. */
  private async drain(key: string, queue: Queue<Item, Answer>): Promise<void> {
    queue.inFlight += 1;
    while (queue.waiting.length > 0) {
      const batch = queue.waiting.splice(0, this.limits.itemsMax ?? 100);
      if (!(await this.attempt(key, batch))) {
        for (const waiting of batch) await this.attempt(key, [waiting]);
      }
    }
    queue.inFlight -= 1;
    if (queue.inFlight === 0) this.queues.delete(key);
  }

  /** Whether the batch is settled; a failed batch of more than one is not. */
  private async attempt(key: string, batch: readonly Waiting<Item, Answer>[]): Promise<boolean> {
    try {
      const answers = await this.work(
        key,
        batch.map((waiting) => waiting.item),
      );
      batch.forEach((waiting, i) => {
        const answer = answers[i];
        if (answer === undefined) waiting.reject(new RangeError(`wanted an answer for item ${i}, but got none`));
        else waiting.resolve(answer);
      });
      return true;
    } catch (error) {
      const [only, ...others] = batch;
      if (only === undefined || others.length > 0) return false;
      only.reject(error);
      return true;
    }
  }
}
