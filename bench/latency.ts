import "reflect-metadata";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import pg from "pg";
import { newId } from "../src/domain/digest.js";
import { EmbeddedPostgres } from "../src/embedded/postgres.js";
import type { Connection } from "../src/embedded/postgres-cluster.js";
import { submission, testPlan } from "../test/support/store.js";
import { endChild } from "./contestant.js";
import { startEmbedded } from "./embedded.js";

// From an accepted submission to the pod that gets the run, while nothing else is to be done; beside it the least that
// PostgreSQL allows: an insert with a notification, and a listener that takes the row. In turn, in one run.

const { values } = parseArgs({ options: { samples: { type: "string", default: "300" } } });
const samples = Number(values.samples);

/** Hands something over and gives its id; resolves when that is durable. */
type HandOver = () => Promise<string>;

/** Milliseconds from the accepted hand-over to the instant that the child tells of. */
async function sample(handOver: HandOver, child: ChildProcess): Promise<number> {
  const told = once(child, "message");
  const id = await handOver();
  const accepted = Number(process.hrtime.bigint());
  const [seen]: { id: string; at: number }[] = await told;
  if (seen?.id !== id) throw new RangeError(`wanted news of ${id}, but got ${seen?.id}`);
  return (seen.at - accepted) / 1e6;
}

async function bareHandOver(login: Connection): Promise<HandOver> {
  const client = new pg.Client({ ...login });
  client.on("error", () => undefined); // the server stops first
  await client.connect();
  await client.query("create table bare_job (id uuid primary key, at timestamptz default now(), taken_at timestamptz)");
  const text = "with made as (insert into bare_job (id) values ($1)) select pg_notify('bare_job', '')";
  return async () => {
    const id = newId();
    await client.query({ name: "hand-over", text, values: [id] });
    return id;
  };
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "assay-bench-"));
  const server = await EmbeddedPostgres.start({ dataDir: join(folder, "data") });
  const children: ChildProcess[] = [];
  try {
    await server.createDatabase("bench_assay");
    await server.createDatabase("bench_bare");
    const place = { access: server.access("bench_assay"), folder: join(folder, "files"), slots: "8", tell: true };
    const { submitter, caller, pod } = await startEmbedded(place);
    const { owner } = server.access("bench_bare");
    const bare = await bareHandOver(owner);
    const listener = fork(join(import.meta.dirname, "bare-listen.js"), [JSON.stringify(owner)]);
    children.push(pod, listener);
    await once(listener, "message");
    const ours: HandOver = async () => {
      const plan = testPlan([{ stage: 0, spec: { id: newId() } }]);
      await submitter.submit(submission(caller, plan));
      return plan.runs[0]?.id ?? "";
    };
    await pause(1_500); // the first look at the pod
    const seen: [number[], number[]] = [[], []];
    for (let i = -10; i < samples; i += 1) {
      const pair = [await sample(ours, pod), await sample(bare, listener)] as const;
      if (i >= 0) for (const k of [0, 1] as const) seen[k].push(pair[k]);
      await pause(50); // until everything is at rest again
    }
    print(seen);
  } finally {
    for (const child of children) await endChild(child);
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function print([ours, bare]: readonly [readonly number[], readonly number[]]): void {
  const out = (line: string): void => void process.stdout.write(`${line}\n`);
  const [cpu] = cpus();
  out(
    `From acceptance to the start on a pod, idle: ${samples} samples in turn; ${cpus().length} cores (${cpu?.model.trim()}), ` +
      `load ${loadavg()[0]?.toFixed(1)}; milliseconds`,
  );
  const line = (name: string, all: readonly number[]): void => {
    const sorted = [...all].sort((a, b) => a - b);
    const at = (q: number): string =>
      (sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0).toFixed(1);
    out(`${name.padEnd(34)} p50 ${at(0.5)}   p90 ${at(0.9)}   p99 ${at(0.99)}   from ${at(0)} to ${at(1)}`);
  };
  line("assay: submit -> StartRun", ours);
  line("bare: insert, notify, listen, take", bare);
}

await main();
process.exit();
