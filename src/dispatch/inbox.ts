import type { Message } from "../domain/messages.js";
import { AssayError } from "../errors.js";
import { Batcher } from "../store/batcher.js";
import type { WorkDatabase } from "../store/database.js";
import { receiveMessages } from "../store/outbox.js";

/** Notes what a consumer has heard. Messages that come while others are being committed share the next transaction. */
export class Inbox {
  private readonly batcher: Batcher<Message, boolean | AssayError>;

  constructor(database: WorkDatabase, consumer: string) {
    this.batcher = new Batcher((_consumer, messages) => noteAll(database, consumer, messages));
  }

  /** Resolves once the note is committed: true the first time that the message came, false for a duplicate. */
  async note(message: Message): Promise<boolean> {
    const answer = await this.batcher.add("", message);
    if (answer instanceof AssayError) throw answer;
    return answer;
  }
}

async function noteAll(
  database: WorkDatabase,
  consumer: string,
  messages: readonly Message[],
): Promise<(boolean | AssayError)[]> {
  try {
    const fresh = new Set(await database.transaction((tx) => receiveMessages(tx, consumer, messages)));
    return messages.map((message) => fresh.has(message));
  } catch (error) {
    // A database that is away is away for each of them: to try them one by one would only take longer to say so.
    if (error instanceof AssayError && error.retriable) return messages.map(() => error);
    throw error;
  }
}
