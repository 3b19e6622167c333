import type { Settings } from "./settings.js";

/** Where Kafka is, and how to get in. */
export interface KafkaConfig {
  /** `ASSAY_KAFKA_BROKERS`: `host:port`, several with commas between. */
  readonly brokers: readonly string[];
  /** `ASSAY_KAFKA_TLS`: `true` for encrypted connections; `NODE_EXTRA_CA_CERTS` names an authority of your own. Default `false`. */
  readonly tls: boolean;
  /** A login, where the brokers want one; all three are given, or none. */
  readonly sasl: KafkaLogin | undefined;
  /** `ASSAY_KAFKA_PREFIX`: begins the names of topics and groups, so that installations can share brokers. Default empty. */
  readonly prefix: string;
}

/** A login by SASL. */
export interface KafkaLogin {
  /** `ASSAY_KAFKA_SASL_MECHANISM`: `plain`, `scram-sha-256` or `scram-sha-512`. */
  readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512";
  /** `ASSAY_KAFKA_SASL_USERNAME`. */
  readonly username: string;
  /** `ASSAY_KAFKA_SASL_PASSWORD`. */
  readonly password: string;
}

const names = {
  brokers: "ASSAY_KAFKA_BROKERS",
  tls: "ASSAY_KAFKA_TLS",
  prefix: "ASSAY_KAFKA_PREFIX",
  mechanism: "ASSAY_KAFKA_SASL_MECHANISM",
  username: "ASSAY_KAFKA_SASL_USERNAME",
  password: "ASSAY_KAFKA_SASL_PASSWORD",
} as const;

/** Reads where Kafka is; undefined where no brokers are named, which is a fault beside any other of its variables. */
export function readKafka(settings: Settings): KafkaConfig | undefined {
  const brokers = settings.text(names.brokers, "");
  if (brokers === "") {
    const idle = Object.values(names).filter((name) => settings.text(name, "") !== "");
    for (const name of idle) settings.faults.push(`${name}: wanted ${names.brokers} beside it, but got none`);
    return undefined;
  }
  const list = brokers.split(",").map((broker) => broker.trim());
  if (!list.every((broker) => /^([\w.-]+|\[[0-9a-fA-F:]+\]):\d{1,5}$/.test(broker))) {
    settings.fault(names.brokers, "host:port, several with commas between", brokers);
  }
  const prefix = settings.text(names.prefix, "");
  if (!/^[\w.-]{0,100}$/.test(prefix)) settings.fault(names.prefix, 'letters, digits, ".", "_" and "-"', prefix);
  return { brokers: list, tls: settings.flag(names.tls, false), sasl: readLogin(settings), prefix };
}

/** Kafka for a role that has siblings in other processes, which only a bus outside of them all can reach. */
export function requireKafka(settings: Settings): KafkaConfig {
  const kafka = readKafka(settings);
  if (kafka !== undefined) return kafka;
  const why = "wanted host:port of Kafka, for a role in a process of its own shares no other bus with its siblings";
  settings.faults.push(`${names.brokers}: ${why}, but got none`);
  return { brokers: [], tls: false, sasl: undefined, prefix: "" };
}

function readLogin(settings: Settings): KafkaLogin | undefined {
  const mechanism = settings.text(names.mechanism, "");
  const username = settings.text(names.username, "");
  const password = settings.text(names.password, "");
  if (mechanism === "" && username === "" && password === "") return undefined;
  if (mechanism !== "plain" && mechanism !== "scram-sha-256" && mechanism !== "scram-sha-512") {
    settings.fault(names.mechanism, "plain, scram-sha-256 or scram-sha-512", mechanism);
    return undefined;
  }
  // The password itself is never shown.
  settings.required(names.username, "the name of the login");
  settings.required(names.password, "the password of the login");
  return { mechanism, username, password };
}
