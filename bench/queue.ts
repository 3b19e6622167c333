import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type DatabaseAccess, EmbeddedPostgres } from "../src/embedded/postgres.js";
import type { Connection } from "../src/embedded/postgres-cluster.js";
import { endChild, type Player, playWith, startPlayer } from "./contestant.js";
import { median } from "./load.js";

// No-op runs from end to end, ours against two job queues: all on one database server with the same durability, round about
// in one run, so that whatever else the machine does hits them alike.

const { values } = parseArgs({
  options: {
    jobs: { type: "string", default: "500" },
    rounds: { type: "string", default: "7" },
    slots: { type: "string", default: "8" },
    callers: { type: "string", default: "8" },
  },
});
const [jobs, rounds, callers] = [Number(values.jobs), Number(values.rounds), Number(values.callers)];
const { slots } = values;

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "assay-bench-"));
  const server = await EmbeddedPostgres.start({ dataDir: join(folder, "data") });
  const players: Player[] = [];
  try {
    for (const name of ["assay", "graphile", "pgboss"]) await server.createDatabase(`bench_${name}`);
    const access = (name: string): DatabaseAccess => server.access(`bench_${name}`);
    players.push(
      await startPlayer("assay", "queue-assay.js", [JSON.stringify(access("assay")), slots, join(folder, "files")]),
      await startPlayer("graphile-worker", "queue-graphile.js", [ownerOf(access("graphile")), slots]),
      await startPlayer("pg-boss", "queue-pgboss.js", [ownerOf(access("pgboss")), slots]),
    );
    await contest(players);
    print(players);
  } finally {
    for (const { child } of players) await endChild(child);
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function ownerOf({ owner }: DatabaseAccess): string {
  return JSON.stringify(owner satisfies Connection);
}

/** Who goes first changes from round to round; a first round that is not counted warms everybody up. */
async function contest(players: readonly Player[]): Promise<void> {
  for (const player of players) await playWith(player, { jobs, callers });
  for (let round = 0; round < rounds; round += 1) {
    for (let i = 0; i < players.length; i += 1) {
      const player = players[(round + i) % players.length];
      player?.seconds.push(await playWith(player, { jobs, callers }));
    }
  }
}

function print(players: readonly Player[]): void {
  const out = (line: string): void => void process.stdout.write(`${line}\n`);
  const [cpu] = cpus();
  out(
    `No-op runs from submission to stored end, one by one: ${jobs} a round from ${callers} callers, ${slots} at work at once, ` +
      `${rounds} rounds in turn; ${cpus().length} cores (${cpu?.model.trim()}) shared by all, load ${loadavg()[0]?.toFixed(1)}`,
  );
  for (const { name, seconds } of players) {
    const rates = seconds.map((each) => jobs / each).sort((a, b) => a - b);
    out(
      `${name.padEnd(16)} ${median(rates).toFixed(0).padStart(6)} /s   ` +
        `from ${rates.at(0)?.toFixed(0)} to ${rates.at(-1)?.toFixed(0)}   rounds: ${seconds.map((each) => (jobs / each).toFixed(0)).join(" ")}`,
    );
  }
  const [ours, ...others] = players;
  for (const other of others) {
    const ratios = other.seconds.map((each, round) => each / (ours?.seconds[round] ?? Number.NaN));
    out(
      `assay : ${other.name}, median of the rounds' ratios: ${median(ratios).toFixed(2)}; ` +
        `rounds: ${ratios.map((ratio) => ratio.toFixed(2)).join(" ")}`,
    );
  }
}

await main();
