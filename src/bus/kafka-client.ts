import { createRequire } from "node:module";
import { Kafka, type KafkaConfig, type logCreator, logLevel } from "kafkajs";
import { AssayError } from "../errors.js";
import { type Log, reasonOf } from "../log.js";

calmRequestQueues();

/** Where Kafka is, and how to get in. */
export interface KafkaSettings {
  /** `host:port` of one or more brokers; they tell of the others. */
  readonly brokers: readonly string[];
  /** Whether connections are encrypted; the broker's certificate is checked against Node's authorities. */
  readonly tls: boolean;
  /** Name and password, where the brokers want them. */
  readonly sasl?: KafkaLogin | undefined;
  /** Begins the names of all topics and groups, so that installations can share brokers. Usually empty. */
  readonly prefix: string;
}

/** A login by SASL. */
export interface KafkaLogin {
  readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512";
  readonly username: string;
  readonly password: string;
}

/** A client of the brokers. It connects nowhere until a producer, consumer or admin of it does. */
export function kafkaClient(settings: KafkaSettings, log: Log): Kafka {
  return new Kafka({
    clientId: "assay",
    brokers: [...settings.brokers],
    ssl: settings.tls,
    ...(settings.sasl === undefined ? {} : { sasl: loginOf(settings.sasl) }),
    connectionTimeout: 3_000,
    requestTimeout: 15_000,
    // Whoever uses the bus tries again by itself; many tries in here would only hold the relay's transaction open.
    retry: { retries: 3, initialRetryTime: 100, maxRetryTime: 1_000 },
    logLevel: logLevel.ERROR,
    logCreator: logTo(log),
  });
}

function loginOf({ mechanism, username, password }: KafkaLogin): NonNullable<KafkaConfig["sasl"]> {
  // The library's type is a union over the mechanism, so each needs its own literal.
  switch (mechanism) {
    case "plain":
      return { mechanism, username, password };
    case "scram-sha-256":
      return { mechanism, username, password };
    case "scram-sha-512":
      return { mechanism, username, password };
  }
}

/** The library calls an error what it then tries again; for us that is a warning. */
function logTo(log: Log): logCreator {
  return () =>
    ({ namespace, log: { message, groupId, broker, error } }) =>
      log.warn(`kafka: ${message}`, {
        namespace,
        ...textOf("groupId", groupId),
        ...textOf("broker", broker),
        ...textOf("error", error),
      });
}

function textOf(name: string, value: unknown): { [name: string]: string } {
  return typeof value === "string" ? { [name]: value } : {};
}

/**
 * Version 2.2.4 sets a timer of a negative time after every check of a connection's queue, which checks it again a millisecond
 * later: some per cent of a core for an idle service, and a warning of Node. With nothing to send there is nothing to check.
 */
function calmRequestQueues(): void {
  const queue: unknown = createRequire(import.meta.url)("kafkajs/src/network/requestQueue/index.js");
  const name = "scheduleCheckPendingRequests";
  if (typeof queue !== "function") return;
  const schedule: unknown = Reflect.get(queue.prototype, name);
  if (typeof schedule !== "function") return;
  const scheduleWhereNeeded = function (this: { pending: readonly unknown[]; throttledUntil: number }): void {
    if (this.pending.length > 0 || this.throttledUntil > Date.now()) Reflect.apply(schedule, this, []);
  };
  Reflect.set(queue.prototype, name, scheduleWhereNeeded);
}

/** What the brokers refused or did not answer, as one of our errors. */
export function busUnavailable(settings: KafkaSettings, thrown: unknown): AssayError {
  if (thrown instanceof AssayError) return thrown;
  const text = `wanted Kafka at ${settings.brokers.join(", ")}, but got ${reasonOf(thrown)}`;
  return new AssayError("BUS_UNAVAILABLE", text, { cause: thrown });
}
