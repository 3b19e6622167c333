/** Does the work of several items at once and gives their answers in the same order. */
export type BatchWork<Item, Answer> = (key: string, items: readonly Item[]) => Promise<readonly Answer[]>;

interface Waiting<Item, Answer> {
  readonly item: Item;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Gathers items with the same key while a batch of that key is in flight, so that one transaction serves many callers
 * under load and a lone caller waits for nobody. When a batch fails, its items are tried one by one: no item can make its
 * neighbours fail.
 */
export class Batcher<Item, Answer> {
  private readonly queues = new Map<string, Waiting<Item, Answer>[]>();

  constructor(
    private readonly work: BatchWork<Item, Answer>,
    private readonly maxItems = 100,
  ) {}

  /** Adds an item and gives its own answer or error. */
  add(key: string, item: Item): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const waiting = { item, resolve, reject };
      const queue = this.queues.get(key);
      if (queue !== undefined) {
        queue.push(waiting);
        return;
      }
      this.queues.set(key, [waiting]);
      void this.drain(key);
    });
  }

  /** Works until nothing of the key waits. Never rejects: every error goes to the item's own caller. */
  private async drain(key: string): Promise<void> {
    for (;;) {
      const batch = this.queues.get(key)?.splice(0, this.maxItems) ?? [];
      if (batch.length === 0) {
        this.queues.delete(key);
        return;
      }
      if (!(await this.attempt(key, batch))) {
        for (const waiting of batch) await this.attempt(key, [waiting]);
      }
    }
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
