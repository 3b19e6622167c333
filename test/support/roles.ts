import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import pg from "pg";
import { AssayClient, AssayRequestError, type RobustnessSpec } from "../../clients/typescript/index.js";
import type { KafkaSettings } from "../../src/bus/kafka-client.js";
import { catalogue } from "../../src/errors.js";
import { assertHolds, check, type Verdict } from "../faults/checker.js";
import { folderLook } from "../faults/files.js";
import { Cluster } from "./cluster.js";
import { freshDatabase, type TestAccess } from "./database.js";
import { eventually } from "./eventually.js";
import { modelFolder } from "./model-folder.js";
import { Processes, type TestProcess } from "./processes.js";

/** Brokers that nobody runs: every role goes on without a bell, and looks by itself. */
export const noBrokers: KafkaSettings = { brokers: ["127.0.0.1:1"], tls: false, prefix: "" };

/** A migrated database and the roles of one service as processes, for one test file. */
export interface RolesRig {
  readonly cluster: Cluster;
  readonly access: TestAccess;
  /** The key that clients use. */
  readonly key: string;
  /** Runs SQL as the administrator, who sees every tenant's rows. */
  readonly query: <Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]) => Promise<Row[]>;
  /** A client of the gateway. */
  readonly client: (gateway: TestProcess) => AssayClient;
  /** What a small experiment is asked with, of runs that no other one has; each seed is six of them. */
  readonly spec: (client: AssayClient, seeds: number) => Promise<RobustnessSpec>;
  /** Every experiment has ended: checks all invariants, but for those about messages where no broker takes them. */
  readonly checked: () => Promise<Verdict>;
}

/** Opens it; every process is killed and every file removed after the file's last test. Call it at the top of the file. */
export async function openRoles(kafka: KafkaSettings): Promise<RolesRig> {
  const folder = mkdtempSync(join(tmpdir(), "assay-roles-"));
  const [dataDir, logs] = [join(folder, "data"), join(folder, "logs")];
  for (const made of [dataDir, logs]) mkdirSync(made);
  const access = await freshDatabase();
  const processes = new Processes(logs);
  const cluster = new Cluster({ processes, access, kafka, dataDir });
  const migrated = cluster.migrate().launch();
  assert.deepEqual(await migrated.whenEnded(), { code: 0, signal: null }, migrated.said());
  const admin = new pg.Client(access.admin);
  admin.on("error", () => undefined);
  await admin.connect();
  after(async () => {
    await processes.close();
    await admin.end();
    rmSync(folder, { recursive: true, force: true });
  });
  const key = readFileSync(cluster.keyFile, "utf8").trim();
  return {
    cluster,
    access,
    key,
    query: async (text, values = []) => (await admin.query(text, [...values])).rows,
    client: (gateway) => new AssayClient({ url: gateway.where.url ?? "", key }),
    spec: smallSpec,
    checked: async () => {
      const look = (): Promise<Verdict> =>
        check({
          login: access.admin,
          atRest: kafka !== noBrokers,
          stubAnswers: true,
          look: folderLook(cluster.artifactsDir),
          logs: [logs],
          canaries: [key, access.app.password, access.work.password, access.owner.password],
        });
      // The last messages are still being published, and files of checkpoints removed, when the last run has ended.
      const isAtRest = async (): Promise<boolean> => (await look()).breaches.length === 0;
      await eventually("rest", isAtRest, REST_MS).catch(() => undefined); // what is still broken is told below
      const verdict = await look();
      assertHolds(verdict);
      return verdict;
    },
  };
}

const REST_MS = 30_000;

let lastSeed = 100;

async function smallSpec(client: AssayClient, seeds: number): Promise<RobustnessSpec> {
  const project = await client.project();
  const model = await client.registerModel(project.id, `tiny ${randomUUID()}`, { path: modelFolder() });
  return {
    projectId: project.id,
    name: "roles",
    modelId: model.id,
    methods: ["SFT", "DPO"],
    tasks: ["KEYWORD_INCLUSION"],
    artifacts: ["FEATURE_AMBIGUITY"],
    spuriousness: [0.1, 0.9],
    seeds: Array.from({ length: seeds }, () => {
      lastSeed += 1;
      return lastSeed;
    }),
  };
}

/** Submits until an answer comes, with one key, at one client after the other: what a client does whose connection broke. */
export async function submitUntilAnswered(clients: readonly AssayClient[], spec: RobustnessSpec): Promise<string> {
  const key = randomUUID();
  let tries = 0;
  return eventually("a submission to be answered", async () => {
    const client = clients[tries % clients.length];
    tries += 1;
    try {
      return (await client?.submitRobustnessExperiment(spec, key))?.id;
    } catch (error) {
      if (!isRetriable(error)) throw error;
      return undefined;
    }
  });
}

/** Whether a client may just ask again: no answer came, or one that says so. */
export function isRetriable(error: unknown): boolean {
  if (!(error instanceof AssayRequestError)) return false;
  const codes = new Map<string, { readonly retriable: boolean }>(Object.entries(catalogue));
  return error.code === "UNREACHABLE" || codes.get(error.code)?.retriable === true;
}

/** The log lines of a process's whole history that carry this message. */
export function logLines(process: TestProcess, message: string): Record<string, unknown>[] {
  return readFileSync(process.log, "utf8")
    .split("\n")
    .filter((line) => line.includes(`"message":"${message}"`))
    .map((line): Record<string, unknown> => JSON.parse(line));
}

/** Waits until every experiment has ended and gives how many runs there are. */
export async function allEnded({ query }: Pick<RolesRig, "query">, experiments: number): Promise<void> {
  await eventually(
    `${experiments} experiments to end`,
    async () => {
      const [row] = await query<{ ended: number }>(
        "select count(*)::int as ended from experiment where ended_at is not null",
      );
      return row?.ended === experiments;
    },
    300_000,
  );
}
