import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { newId } from "../src/domain/digest.js";
import type { Caller } from "../src/domain/tenant.js";
import { type DatabaseAccess, EmbeddedPostgres } from "../src/embedded/postgres.js";
import { databasePasswords } from "../src/embedded/secrets.js";
import { cancelExperiment } from "../src/store/cancel.js";
import { AppDatabase, WorkDatabase } from "../src/store/database.js";
import { migrate } from "../src/store/migrate.js";
import { Delivery } from "../test/support/delivery.js";
import { migrationsFolder, quietLog, seedTenant } from "../test/support/store.js";
import { endChild, type Player, playWith, startPlayer } from "./contestant.js";
import { fill } from "./growth-fill.js";
import { median } from "./load.js";

// Whether claims, no-op runs and large submissions stay as quick while ended runs pile up: one server, a database for each number
// of ended runs, round about, with the least as the measure of the others.

const { values } = parseArgs({
  options: {
    sizes: { type: "string", default: "100,10000,1000000" },
    rounds: { type: "string", default: "5" },
    queued: { type: "string", default: "10000" },
    claims: { type: "string", default: "200" },
    jobs: { type: "string", default: "300" },
  },
});
const sizes = values.sizes.split(",").map(Number);
const [rounds, queued, claims, jobs] = [
  Number(values.rounds),
  Number(values.queued),
  Number(values.claims),
  Number(values.jobs),
];
const CALLERS = 8;
const SLOTS = "8";

/** A database with so many ended runs, and what was measured in it. */
interface Stock {
  readonly size: number;
  readonly access: DatabaseAccess;
  readonly caller: Caller;
  /** Milliseconds of each claim of one run, from its begin to its commit. */
  readonly claimsMs: number[];
  readonly submitsMs: number[];
  player: Player | undefined;
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "assay-bench-"));
  const dataDir = join(folder, "data");
  const server = await EmbeddedPostgres.start({ dataDir });
  const stocks: Stock[] = [];
  try {
    for (const size of sizes) stocks.push(await stockUp(server, dataDir, size));
    await inTurns(stocks, claimRound);
    for (const stock of stocks) {
      const args = [JSON.stringify(stock.access), SLOTS, join(folder, "files")];
      stock.player = await startPlayer(String(stock.size), "queue-assay.js", args);
    }
    await inTurns(stocks, playRound);
    print(stocks);
  } finally {
    for (const { player } of stocks) if (player !== undefined) await endChild(player.child);
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Who goes first changes from round to round; the round before the first warms everybody up and is not counted. */
async function inTurns(
  stocks: readonly Stock[],
  play: (stock: Stock, counted: boolean) => Promise<void>,
): Promise<void> {
  for (let round = -1; round < rounds; round += 1) {
    const first = (round + stocks.length) % stocks.length;
    for (const stock of [...stocks.slice(first), ...stocks.slice(0, first)]) await play(stock, round >= 0);
  }
}

async function playRound({ player }: Stock, counted: boolean): Promise<void> {
  if (player === undefined) return;
  const seconds = await playWith(player, { jobs, callers: CALLERS });
  if (counted) player.seconds.push(seconds);
}

async function stockUp(server: EmbeddedPostgres, dataDir: string, size: number): Promise<Stock> {
  const name = `ended_${size}`;
  await server.createDatabase(name);
  const access = server.access(name);
  await migrate(access.owner, migrationsFolder);
  const caller = await seedTenant(access, newId());
  const admin = { ...access.owner, user: "assay_admin", password: databasePasswords(dataDir).assay_admin };
  const started = performance.now();
  await fill(admin, caller, size);
  process.stdout.write(`${size} ended runs stored in ${((performance.now() - started) / 1000).toFixed(0)} s\n`);
  return { size, access, caller, claimsMs: [], submitsMs: [], player: undefined };
}

/** Submits a large experiment, claims some of its runs one by one, ends them and cancels the rest. */
async function claimRound({ access, caller, claimsMs, submitsMs }: Stock, counted: boolean): Promise<void> {
  const app = await AppDatabase.open({ login: access.app, log: quietLog });
  const work = await WorkDatabase.open({ login: access.work, log: quietLog });
  try {
    const delivery = new Delivery({ app, work, access });
    await delivery.quota(caller, { queued_max: queued });
    const { answer: key, ms } = await timed(() => delivery.submit(caller, queued));
    if (counted) submitsMs.push(ms);
    for (let i = 0; i < claims; i += 1) {
      const claim = await timed(() => delivery.claim());
      if (counted) claimsMs.push(claim.ms);
      for (const run of claim.answer) await delivery.complete(run, 0.01);
    }
    await delivery.fold();
    await app.withTenant(caller.tenantId, (tx) => cancelExperiment(tx, key, { mode: "IMMEDIATE", reason: null }));
  } finally {
    await app.close();
    await work.close();
  }
}

async function timed<T>(act: () => Promise<T>): Promise<{ answer: T; ms: number }> {
  const started = performance.now();
  const answer = await act();
  return { answer, ms: performance.now() - started };
}

function quantile(numbers: readonly number[], q: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

function print(stocks: readonly Stock[]): void {
  const out = (line: string): void => void process.stdout.write(`${line}\n`);
  const [cpu] = cpus();
  out(
    `${claims} claims of one run each with ${queued} queued, and ${jobs} no-op runs one by one (${CALLERS} callers, ${SLOTS} slots), ` +
      `${rounds} rounds in turn; ${cpus().length} cores (${cpu?.model.trim()}) shared by all, load ${loadavg()[0]?.toFixed(1)}`,
  );
  const lines = stocks.map(({ size, claimsMs, submitsMs, player }) => ({
    size,
    p50: quantile(claimsMs, 0.5),
    p99: quantile(claimsMs, 0.99),
    submit: median(submitsMs),
    rate: median((player?.seconds ?? []).map((seconds) => jobs / seconds)),
  }));
  const [least] = lines;
  for (const { size, p50, p99, submit, rate } of lines) {
    const to = (value: number, of: number | undefined): string => `(x${(value / (of ?? Number.NaN)).toFixed(2)})`;
    out(
      `${String(size).padStart(8)} ended runs: claim p50 ${p50.toFixed(1)} ms ${to(p50, least?.p50)}, p99 ${p99.toFixed(1)} ms ${to(p99, least?.p99)}; ` +
        `no-op runs ${rate.toFixed(0)} /s ${to(rate, least?.rate)}; ${queued} runs submitted in ${(submit / 1000).toFixed(2)} s ${to(submit, least?.submit)}`,
    );
  }
}

await main();
