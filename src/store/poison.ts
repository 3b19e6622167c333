import { newId } from "../domain/digest.js";
import { statement, type Transaction } from "./transaction.js";

/** A record on a topic that nobody can read. */
export interface PoisonMessage {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  /** The group that could not read it. */
  readonly consumer: string;
  readonly reason: string;
  /** Its value, as far as it is kept. */
  readonly raw: Buffer | null;
  /** Bytes of the whole value. */
  readonly bytes: number;
}

const keep = statement(
  "poison-keep",
  `insert into poison_message (id, topic, partition, message_offset, consumer, reason, raw, bytes)
   values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing`,
);

/** Keeps the record for operators; one that comes again to the same group is kept once. */
export async function keepPoison(tx: Transaction, message: PoisonMessage): Promise<void> {
  const { topic, partition, offset, consumer, reason, raw, bytes } = message;
  await tx.run(keep, [newId(), topic, partition, offset, consumer, storable(reason), raw, bytes]);
}

/** The reason quotes what came, which may hold what PostgreSQL's text cannot. */
function storable(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\ufffd");
}
