import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import pg from "pg";
import { KafkaBus } from "../src/bus/kafka.js";
import { createTopics } from "../src/bus/kafka-topics.js";
import { Inbox } from "../src/dispatch/inbox.js";
import { topics } from "../src/domain/messages.js";
import { EmbeddedPostgres } from "../src/embedded/postgres.js";
import { projectFolder } from "../src/embedded/project.js";
import { Relay } from "../src/relay/relay.js";
import { WorkDatabase } from "../src/store/database.js";
import { migrate } from "../src/store/migrate.js";
import { RUNS_QUEUED } from "../src/store/outbox.js";
import { quietLog } from "../test/support/store.js";
import { median } from "./load.js";

// Messages from the outbox through a real broker into an inbox: how many a relay publishes and a consumer notes in a second.

const { values } = parseArgs({
  options: {
    messages: { type: "string", default: "20000" },
    experiments: { type: "string", default: "500" },
    rounds: { type: "string", default: "3" },
  },
});
const [messages, experiments, rounds] = [Number(values.messages), Number(values.experiments), Number(values.rounds)];

interface Parts {
  readonly database: WorkDatabase;
  readonly bus: KafkaBus;
  readonly client: pg.Client;
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "assay-bench-"));
  const server = await EmbeddedPostgres.start({ dataDir: folder });
  const broker = spawn(process.execPath, [join(projectFolder(), "scripts", "kafka.mjs")], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  try {
    const [line] = await once(createInterface(broker.stdout), "line");
    const settings = { brokers: [String(JSON.parse(String(line)).brokers)], tls: false, prefix: "" };
    await createTopics(settings, { partitions: 6, replication: 1 }, quietLog);
    await migrate(server.access().owner, join(projectFolder(), "migrations"));
    const database = await WorkDatabase.open({ login: server.access().work, log: quietLog });
    const bus = new KafkaBus({ ...settings, log: quietLog });
    await bus.start();
    const client = new pg.Client(server.access().work);
    await client.connect();
    await contest({ database, bus, client });
    await client.end();
    await bus.close();
    await database.close();
  } finally {
    broker.stdin.end();
    await once(broker, "exit");
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The first round warms up and is not counted. */
async function contest(parts: Parts): Promise<void> {
  const [published, noted]: [number[], number[]] = [[], []];
  for (let round = 0; round <= rounds; round += 1) {
    await plant(parts.client);
    const relayed = await relayAll(parts);
    const heard = await hearAll(parts, `round-${round}`);
    if (round === 0) continue;
    published.push(relayed);
    noted.push(heard / (round + 1)); // each group hears the earlier rounds' messages too
  }
  const shown = (name: string, seconds: readonly number[]): string => {
    const rates = seconds.map((s) => Math.round(messages / s)).toSorted((a, b) => a - b);
    return `${name.padEnd(40)} ${median(rates)} messages/s (${rates.join(", ")})\n`;
  };
  process.stdout.write(
    `${cpus()[0]?.model}, ${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}, durable commits\n`,
  );
  process.stdout.write(`${messages} messages of ${experiments} experiments, ${rounds} rounds\n`);
  process.stdout.write(shown("outbox to broker, one relay", published));
  process.stdout.write(shown("broker to inbox, one consumer", noted));
}

async function plant(client: pg.Client): Promise<void> {
  await client.query(
    `insert into outbox (tenant_id, event_id, topic, key, type, payload)
     select '00000000-0000-7000-8000-000000000001', gen_random_uuid(), $1, 'tenant:' || n % $2::int, $3,
            jsonb_build_object('experimentId', n % $2::int)
     from generate_series(1, $4::int) n`,
    [topics.runsQueued, experiments, RUNS_QUEUED, messages],
  );
}

async function relayAll({ database, bus }: Parts): Promise<number> {
  const relay = new Relay({ database, bus, log: quietLog });
  const started = performance.now();
  let count = 0;
  while (count < messages) count += await relay.publishBatch();
  return (performance.now() - started) / 1000;
}

async function hearAll({ database, bus }: Parts, group: string): Promise<number> {
  const inbox = new Inbox(database, group);
  const started = performance.now();
  const subscription = await bus.subscribe(topics.runsQueued, group, async (message) => {
    await inbox.note(message);
  });
  while ((await bus.lag(topics.runsQueued, group)) > 0) await pause(20);
  const seconds = (performance.now() - started) / 1000;
  await subscription.close();
  return seconds;
}

await main();
