import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe } from "node:test";
import { KafkaBus } from "../src/bus/kafka.js";
import { createTopics } from "../src/bus/kafka-topics.js";
import { topics } from "../src/domain/messages.js";
import { projectFolder } from "../src/embedded/project.js";
import { idOf, type TestApi, testApi } from "./support/api.js";
import { eventually } from "./support/eventually.js";
import { ended, startWork } from "./support/fixture.js";
import { brokerLane, freshSpace, testBroker } from "./support/kafka.js";
import { specFor, submit } from "./support/requests.js";
import { quietLog } from "./support/store.js";

const broker = await testBroker();
const it = brokerLane(broker);
const settings = freshSpace(broker);
const service = "brokers" in broker ? await openService() : undefined;
const folder = mkdtempSync(join(tmpdir(), "assay-examples-"));
const examples = join(projectFolder(), "examples");
after(() => rmSync(folder, { recursive: true, force: true }));

async function openService(): Promise<TestApi> {
  await createTopics(settings, { partitions: 3, replication: 1 }, quietLog);
  const opened = await testApi({ bus: new KafkaBus({ ...settings, log: quietLog }) });
  await startWork(opened);
  return opened;
}

/** An example at work, as its README tells to run it. */
class Example {
  private child: ChildProcess | undefined;
  private readonly file: string;
  private said = "";

  constructor(
    private readonly name: string,
    private readonly command: readonly [string, ...string[]],
    private readonly key: string,
  ) {
    this.file = join(folder, `${name}.jsonl`);
    after(() => this.kill());
  }

  start(url: string): void {
    const [program, ...args] = this.command;
    const child = spawn(program, args, {
      stdio: ["ignore", "ignore", "pipe"],
      env: {
        ...process.env,
        ASSAY_KAFKA_BROKERS: settings.brokers.join(","),
        ASSAY_KAFKA_PREFIX: settings.prefix,
        ASSAY_URL: url,
        ASSAY_API_KEY: this.key,
        EVENTS_GROUP: `${topics.events}.${this.name}`,
        EVENTS_FILE: this.file,
      },
    });
    child.stderr.on("data", (chunk) => {
      this.said += String(chunk);
    });
    this.child = child;
  }

  async kill(): Promise<void> {
    const { child } = this;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  }

  /** Asks it to end once it has said this, and gives its exit code. */
  async endAfter(words: RegExp): Promise<unknown> {
    const { child } = this;
    assert.ok(child);
    await eventually(String(words), () => words.test(this.said));
    child.kill("SIGTERM");
    const [code]: unknown[] = await once(child, "exit");
    return code;
  }

  /** What is in its file: `experiment sequence` of each event, in order. */
  events(): string[] {
    if (this.child?.exitCode) assert.fail(`${this.name} ended: ${this.said}`);
    const lines = existsSync(this.file) ? readFileSync(this.file, "utf8").split("\n").slice(0, -1) : [];
    return lines.map((line) => JSON.parse(line)).map(({ experimentId, sequence }) => `${experimentId} ${sequence}`);
  }
}

const python = (): string => {
  const script = join(projectFolder(), "scripts", "example-python.mjs");
  return execFileSync(process.execPath, [script], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }).trim();
};

const perExperiment = (events: readonly string[]): Record<string, number[]> => {
  const found: Record<string, number[]> = {};
  for (const event of events) {
    const [experimentId = "", sequence] = event.split(" ");
    found[experimentId] = [...(found[experimentId] ?? []), Number(sequence)];
  }
  return found;
};

describe("the example consumers in TypeScript and Python", () => {
  it("write every event of their key's experiments once and in order, also when they are killed and started again", async () => {
    assert.ok(service);
    const { databases, holder, api } = service;
    const consumers = [
      new Example("typescript", [process.execPath, join(examples, "events-typescript", "consumer.ts")], holder.key),
      new Example("python", [python(), join(examples, "events-python", "consumer.py")], holder.key),
    ];
    const spec = await specFor(service, holder);
    const stranger = await service.newHolder();
    const theirs = await specFor(service, stranger);
    let submitted = 0;
    const mine: string[] = [];
    const work = async (experiments: number): Promise<void> => {
      for (let n = 0; n < experiments; n += 1) {
        submitted += 1;
        const key = `example ${submitted}`;
        const { experiment } = await submit(service, holder, {
          spec: { ...spec, seeds: [submitted] },
          idempotencyKey: key,
        });
        await submit(service, stranger, { spec: { ...theirs, seeds: [submitted] }, idempotencyKey: key });
        mine.push(experiment.id);
      }
    };
    await work(3); // before anybody listens: a new group begins with the oldest record
    for (const consumer of consumers) consumer.start(api.url);
    await eventually("the first events", () => consumers.every((consumer) => consumer.events().length > 10));
    await work(4);
    for (const consumer of consumers) await consumer.kill();
    await work(3);
    for (const id of mine) assert.equal(await ended(service, holder, id), "SUCCEEDED");
    // Every bell rings a second time, with the same id.
    await databases.query("update outbox set published_at = null where topic = 'assay.events'");
    for (const consumer of consumers) consumer.start(api.url);
    await eventually("the outbox to be empty", async () => {
      const waiting = await databases.query("select 1 from outbox where published_at is null");
      return waiting.length === 0;
    });
    const wanted = await databases.query<{ id: string; last: number }>(
      "select experiment_id as id, max(seq)::int as last from event where tenant_id = $1 group by experiment_id",
      [holder.caller.tenantId],
    );
    assert.deepEqual(wanted.map(({ id }) => idOf("Experiment", id)).toSorted(), mine.toSorted());
    const total = wanted.reduce((sum, { last }) => sum + last, 0);
    for (const consumer of consumers) {
      await eventually("every event", () => consumer.events().length >= total, 120_000);
    }
    const { bus } = service;
    for (const group of ["typescript", "python"]) {
      await eventually("no lag", async () => (await bus.lag(topics.events, group)) === 0);
    }
    for (const consumer of consumers) {
      const seen = perExperiment(consumer.events());
      const whole = wanted.map(({ id, last }) => [id, Array.from({ length: last }, (_, i) => i + 1)]);
      assert.deepEqual(seen, Object.fromEntries(whole));
    }
  });

  it("end when they are asked to, also while the API is away", async () => {
    assert.ok(service);
    const nobody = "http://127.0.0.1:9";
    const consumers = [
      new Example("ts-away", [process.execPath, join(examples, "events-typescript", "consumer.ts")], "key"),
      new Example("py-away", [python(), join(examples, "events-python", "consumer.py")], "key"),
    ];
    for (const consumer of consumers) consumer.start(nobody);
    const codes = await Promise.all(
      consumers.map((consumer) => consumer.endAfter(/API is away|fetch failed|ECONNREFUSED/)),
    );
    assert.deepEqual(codes, [0, 0]);
    for (const consumer of consumers) assert.deepEqual(consumer.events(), []);
  });
});
