import { randomUUID } from "node:crypto";
import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { ArtifactFolder } from "../../src/artifacts/folder.js";
import type { Caller } from "../../src/domain/tenant.js";
import { migrate } from "../../src/store/migrate.js";
import { openDatabase, type TestAccess } from "../support/database.js";
import { eventually } from "../support/eventually.js";
import { type Random, seeded } from "../support/seed.js";
import { migrationsFolder, seedTenant } from "../support/store.js";
import { check, type Verdict } from "./checker.js";
import { folderLook } from "./files.js";
import type { Observation } from "./observations.js";
import type { Query } from "./rule.js";
import { disturb, submitOne } from "./seeded-faults.js";
import { filesAt, Scene } from "./seeded-scene.js";

const DRAIN_BOUND_MS = 90_000;

/** A database with tenants in which one scene after the other plays. What a checker reads is all of them so far. */
export class World {
  private readonly observations: Observation[] = [];
  /** Where the files of its scenes lie. */
  readonly files: ReturnType<typeof filesAt>;
  /** Runs SQL as the administrator. */
  readonly asAdmin: Query;

  private constructor(
    readonly access: TestAccess,
    private readonly folder: string,
    readonly tenants: readonly Caller[],
    private readonly admin: pg.Client,
    private readonly drop: () => Promise<void>,
  ) {
    this.files = filesAt(folder);
    let last: Promise<unknown> = Promise.resolve();
    this.asAdmin = (text, values = []) => {
      const next = last.then(() => admin.query(text, [...values]));
      last = next.catch(() => undefined); // told to whoever asked
      return next.then(({ rows }) => rows);
    };
  }

  /** Makes it. */
  static async open(): Promise<World> {
    const { access, drop } = await openDatabase();
    await migrate(access.owner, migrationsFolder);
    const tenants: Caller[] = [];
    for (let i = 0; i < 3; i += 1) tenants.push(await seedTenant(access, randomUUID()));
    const admin = new pg.Client(access.admin);
    admin.on("error", () => undefined); // told by the query that it breaks
    await admin.connect();
    return new World(access, mkdtempSync(join(tmpdir(), "assay-world-")), tenants, admin, drop);
  }

  /** Plays the seed's scene to its end and checks the world. */
  async play(seed: number): Promise<Verdict> {
    // Streams of chance of their own: what happens by chance of time in one must not change the others.
    await this.perform(seeded(3 * seed), async (scene) => {
      await this.act(scene, seeded(3 * seed + 1));
      await scene.calm();
      await this.drain(scene);
      // What failed in earnest is tried again, now that nothing else goes wrong.
      for (const key of scene.client.experiments) await scene.client.retry(key);
      await this.drain(scene);
    });
    return this.verdict();
  }

  /** Opens a scene, lets it be played, and closes it whatever comes of it. */
  async perform(random: Random | null, play: (scene: Scene) => Promise<void>): Promise<void> {
    const { access, observations, files } = this;
    const lines: string[] = [];
    const say = (line: string): void => void lines.push(`${line}\n`);
    const artifacts = new ArtifactFolder(files.artifacts);
    const scene = await Scene.open({ access, observations, clientLog: files.clientLog, artifacts, say }, random);
    try {
      await play(scene);
    } finally {
      await scene.close();
      appendFileSync(files.log, lines.join(""));
    }
  }

  /** Checks everything that has been played so far. */
  verdict(): Promise<Verdict> {
    const { access, observations, files } = this;
    return check({
      login: access.admin,
      atRest: true,
      look: folderLook(files.artifacts),
      clientLogs: [files.clientLog],
      logs: [files.log],
      observations,
      canaries: [access.app.password, access.work.password],
      stubAnswers: true,
    });
  }

  /** Drops everything. */
  async close(): Promise<void> {
    await this.admin.end();
    await this.drop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async act(scene: Scene, random: Random): Promise<void> {
    const tenants = this.tenants.slice(0, 2 + random.below(2));
    const setting = { scene, random, tenants, asAdmin: this.asAdmin };
    for (let i = 2 + random.below(2); i > 0; i -= 1)
      await scene.addPod({ zombie: random.chance(0.5), slots: 1 + random.below(3) });
    for (let i = 2 + random.below(2); i > 0; i -= 1) await scene.addDispatcher();
    for (let i = 1 + random.below(3); i > 0; i -= 1) await submitOne(setting);
    await disturb(setting, 8 + random.below(8));
  }

  /** Lets what is open end: no fault happens any more, and nobody waits out a pause between two tries. */
  async drain(scene: Scene, boundMs = DRAIN_BOUND_MS): Promise<void> {
    for (const key of scene.client.experiments) {
      await eventually(`experiment ${key.experimentId} to go on`, () => scene.client.resume(key));
    }
    await eventually(
      "all runs to end and all messages to be published",
      async () => {
        await this.asAdmin(
          "update run set not_before = now() where state in ('QUEUED', 'RETRY_WAIT') and not_before > now()",
        );
        const [open] = await this.asAdmin<{ runs: number }>(
          `select (select count(*) from run where terminal_at is null)::int
                  + (select count(*) from outbox where published_at is null)::int as runs`,
        );
        return open?.runs === 0;
      },
      boundMs,
    ).catch((error: unknown) => process.stderr.write(`${String(error)}\n`)); // the checker says what is open
  }
}
