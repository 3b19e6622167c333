import type { ArtifactStore } from "../artifacts/store.js";
import { type Log, reasonOf } from "../log.js";
import {
  addCheckpoint,
  atTheBeginning,
  type Checkpoint,
  forgetCheckpoints,
  noteResumed,
  passOver,
  type ResumePoint,
  resumePoint,
} from "../store/checkpoints.js";
import type { Lease } from "../store/claims.js";
import type { WorkDatabase } from "../store/database.js";
import type { ExperimentWriter } from "./experiment-writer.js";

interface Parts {
  readonly database: WorkDatabase;
  readonly writer: ExperimentWriter;
  readonly artifacts: Pick<ArtifactStore, "verify" | "remove">;
  readonly log: Log;
}

/** Finds the checkpoint that an attempt goes on from, and keeps those that it writes. */
export class Checkpoints {
  private noted: Promise<void> = Promise.resolve();
  private any: boolean;

  constructor(
    private readonly parts: Parts,
    private readonly lease: Lease,
  ) {
    this.any = lease.epoch > 1;
  }

  /** Where the attempt begins. Its pod looks whether the file is still whole. */
  async resumePoint(): Promise<ResumePoint> {
    if (this.lease.epoch === 1) return atTheBeginning;
    return this.parts.database.transaction((tx) => resumePoint(tx, this.lease));
  }

  /** The pod goes on from there. */
  async resumed({ checkpoint }: ResumePoint): Promise<void> {
    if (checkpoint === null) return;
    const message = `goes on from the checkpoint at step ${checkpoint.step}`;
    await this.parts.writer.write(this.lease, async (scope) => {
      await noteResumed(scope.tx, this.lease, checkpoint.step);
      scope.tell([{ runId: this.lease.runId, kind: "LOG", body: { message } }]);
    });
  }

  /** The pod cannot go on from there: nobody is sent there again, and the user is told. */
  async passOver(checkpoint: Checkpoint, reason: string): Promise<void> {
    const { runId, epoch } = this.lease;
    this.parts.log.warn("checkpoint is passed over", { runId, epoch, step: checkpoint.step, reason });
    const message = `the checkpoint at step ${checkpoint.step} is passed over: ${reason}`;
    await this.parts.writer.write(this.lease, async (scope) => {
      await passOver(scope.tx, this.lease, checkpoint);
      scope.tell([{ runId, kind: "WARNING", body: { message } }]);
    });
  }

  /** Keeps what the pod wrote, one after the other and beside the attempt: hashing a large file must not hold up its beats. */
  keep(checkpoint: Checkpoint): void {
    this.noted = this.noted.then(() => this.note(checkpoint));
  }

  /** Resolves when all that was said is kept. */
  settled(): Promise<void> {
    return this.noted;
  }

  /** Forgets what the run needs no more, as far as it is known to have any. Never rejects. */
  async forget(): Promise<void> {
    if (!this.any) return;
    try {
      const digests = await this.parts.database.transaction((tx) => forgetCheckpoints(tx, this.lease));
      for (const digest of digests) await this.parts.artifacts.remove(digest);
    } catch (error) {
      this.warn("old checkpoints were not removed", reasonOf(error));
    }
  }

  /** Never rejects: without the checkpoint the run only has further to go. */
  private async note(checkpoint: Checkpoint): Promise<void> {
    const { database, artifacts } = this.parts;
    const { step, sha256, sizeBytes } = checkpoint;
    try {
      const makesSense = Number.isSafeInteger(step) && step >= 0 && /^[0-9a-f]{64}$/.test(sha256);
      if (!(makesSense && (await artifacts.verify(sha256, sizeBytes)))) {
        this.warn("announced checkpoint is not in the store", `step ${step}`);
        return;
      }
      if (!(await database.transaction((tx) => addCheckpoint(tx, this.lease, checkpoint)))) return;
      this.any = true;
      await this.forget();
    } catch (error) {
      this.warn("checkpoint was not kept", reasonOf(error));
    }
  }

  private warn(message: string, reason: string): void {
    const { runId, epoch } = this.lease;
    this.parts.log.warn(message, { runId, epoch, reason });
  }
}
