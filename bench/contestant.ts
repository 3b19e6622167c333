import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import type { Connection } from "../src/embedded/postgres-cluster.js";
import { AssayError } from "../src/errors.js";

/** One round: so many jobs are submitted one by one by so many callers at once, and all of them are done. */
export interface Round {
  readonly jobs: number;
  readonly callers: number;
}

/** A queue that takes part, in a process of its own. */
export interface Contestant {
  readonly submit: () => Promise<unknown>;
  /** SQL that gives one row with one boolean: whether anything is left to do. */
  readonly left: string;
  readonly login: Connection;
}

/** Plays rounds for the parent process, and answers each with its seconds from the first submission to the last end. */
export async function play(contestant: Contestant): Promise<void> {
  const client = new pg.Client({ ...contestant.login });
  client.on("error", () => undefined); // the server stops before the players do, or a query tells it
  await client.connect();
  const parent = process.send?.bind(process);
  if (parent === undefined) throw new AssayError("INTERNAL", "wanted a parent process to play for");
  process.on("message", (round: Round) => {
    void playRound(contestant, round, client).then((seconds) => parent({ seconds }));
  });
  parent("ready");
}

async function playRound(contestant: Contestant, { jobs, callers }: Round, client: pg.Client): Promise<number> {
  const started = performance.now();
  let begun = 0;
  const caller = async (): Promise<void> => {
    while (begun < jobs) {
      begun += 1;
      await contestant.submit();
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const isLeft = async (): Promise<boolean> => {
    const { rows } = await client.query<{ left: boolean }>({ name: "left", text: contestant.left });
    return rows[0]?.left !== false;
  };
  while (await isLeft()) await pause(5);
  return (performance.now() - started) / 1000;
}

/** A contestant as its parent sees it. */
export interface Player {
  readonly name: string;
  readonly child: ChildProcess;
  /** Seconds of each counted round. */
  readonly seconds: number[];
}

/** Starts a contestant's script beside this file. */
export async function startPlayer(name: string, script: string, args: readonly string[]): Promise<Player> {
  const child = fork(join(import.meta.dirname, script), [...args], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    env: { ...process.env, NODE_ENV: "production" },
  });
  await told(child);
  return { name, child, seconds: [] };
}

/** Plays one round and gives its seconds. */
export async function playWith({ child }: Player, round: Round): Promise<number> {
  child.send(round);
  const answer: { seconds: number } = await told(child);
  return answer.seconds;
}

/** The child's next message; fails when it ends first. */
async function told<T>(child: ChildProcess): Promise<T> {
  const stop = new AbortController();
  try {
    return await Promise.race([
      once(child, "message", stop).then(([message]): T => message),
      once(child, "exit", stop).then(([code]) => {
        throw new AssayError("INTERNAL", `wanted ${child.spawnfile} to play, but it ended with exit code ${code}`);
      }),
    ]);
  } finally {
    stop.abort();
  }
}

/** Ends a child and waits for its end. */
export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}
