import type { Message, Topic } from "../domain/messages.js";

/** A record on a topic that is no message of ours, as operators get to see it. */
export interface Buried {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  /** The group that could not read it. */
  readonly consumer: string;
  readonly reason: string;
  /** Its value, as far as it is kept; null where it has none. */
  readonly raw: Buffer | null;
  /** Bytes of the whole value. */
  readonly bytes: number;
}

/** Works on one message. Must be quick: it only notes that there is work. When it throws, the message
 * comes again; when it resolves, the message is forgotten. Messages of different keys may be handled side by side. */
export type Handler = (message: Message) => Promise<void>;

/** One member of a consumer group. */
export interface Subscription {
  /** Leaves the group; a message that was not handled goes to another member. */
  close(): Promise<void>;
}

/**
 * Carries messages from the relay to whoever must hear them. At least once: a message may come again, so consumers keep
 * an inbox or do only what may be done twice. It is a bell, not a ledger: what it loses, PostgreSQL still knows.
 */
export interface Bus {
  /** Connects. Nothing else may be called before. */
  start(): Promise<void>;
  /** Resolves once the messages are taken; those of one key keep their order. */
  publish(messages: readonly Message[]): Promise<void>;
  /**
   * Hears the topic's messages from now on. Each group hears every message, by one of its members; a group that was there
   * before goes on behind what it has handled. `null` is a group of its own, which is forgotten when the subscription closes.
   */
  subscribe(topic: Topic, group: string | null, handler: Handler): Promise<Subscription>;
  /** How many messages of the topic the group has still to handle. */
  lag(topic: Topic, group: string): Promise<number>;
  /** Leaves every group, waiting for handlers that are at work. */
  close(): Promise<void>;
}
