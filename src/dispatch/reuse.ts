import type { ArtifactStore } from "../artifacts/store.js";
import type { Lease } from "../store/claims.js";
import type { ExperimentKey } from "../store/events.js";
import {
  type Answer,
  answerRuns,
  filesOfSources,
  findAnswers,
  noteFilesGone,
  type ReuseHints,
  type SourceFile,
} from "../store/reuse.js";
import type { AttemptParts } from "./attempt.js";

/** Runs answered in one look; a longer list is answered look by look. */
const BATCH = 500;

/** What answering works with. */
export interface ReuseParts extends Pick<AttemptParts, "dispatcherId" | "database" | "writer" | "log"> {
  readonly artifacts: Pick<ArtifactStore, "has">;
}

/** Answers runs in the queue from equal runs of their project, so that no pod works twice on the same. */
export class Reuse {
  private experimentIds = new Set<string>();
  private runs: ReuseHints["runs"][number][] = [];

  constructor(private readonly parts: ReuseParts) {}

  /** Runs of the experiment came into the queue. */
  queued({ experimentId }: Pick<ExperimentKey, "experimentId">): void {
    this.experimentIds.add(experimentId);
  }

  /** The run has ended, and equals of it may wait. */
  ended({ tenantId, runId }: Pick<Lease, "tenantId" | "runId">): void {
    this.runs.push({ tenantId, runId });
  }

  /**
   * Answers whatever may be answered; true when the files of an equal run were gone, so that a run which this kept from the
   * pods may be claimed now.
   */
  async look(): Promise<boolean> {
    const hints = { experimentIds: [...this.experimentIds], runs: this.runs };
    this.experimentIds = new Set();
    this.runs = [];
    let anyLost = false;
    for (;;) {
      const { found, answered, lost } = await this.lookOnce(hints);
      anyLost ||= lost > 0;
      // A run whose equal lost its files may have another equal.
      if (lost === 0 && (found < BATCH || answered === 0)) return anyLost;
    }
  }

  private async lookOnce(hints: ReuseHints): Promise<{ found: number; answered: number; lost: number }> {
    const { database } = this.parts;
    const { answers, files } = await database.transaction(async (tx) => {
      const found = await findAnswers(tx, hints, BATCH);
      return { answers: found, files: found.length === 0 ? [] : await filesOfSources(tx, found) };
    });
    if (answers.length === 0) return { found: 0, answered: 0, lost: 0 };
    const lost = await this.lostOf(files);
    const lostSources = new Set(lost.map((file) => file.sourceId));
    const sound = answers.filter((answer) => !lostSources.has(answer.sourceId));
    const answered = await this.answer(sound, files);
    if (lost.length > 0) await database.transaction((tx) => noteFilesGone(tx, lost));
    return { found: answers.length, answered, lost: lost.length };
  }

  /** The files that the artifact store does not hold any more. */
  private async lostOf(files: readonly SourceFile[]): Promise<SourceFile[]> {
    const there = new Map<string, boolean>();
    for (const { sha256 } of files) {
      if (!there.has(sha256)) there.set(sha256, await this.parts.artifacts.has(sha256));
    }
    const lost = files.filter((file) => there.get(file.sha256) !== true);
    for (const { sourceId, name, sha256 } of lost) {
      this.parts.log.warn("a run answers no others any more: a file of it is gone", { runId: sourceId, name, sha256 });
    }
    return lost;
  }

  private async answer(answers: readonly Answer[], files: readonly SourceFile[]): Promise<number> {
    const { dispatcherId, writer, log } = this.parts;
    let count = 0;
    for (const [first, ...rest] of Map.groupBy(answers, (answer) => answer.experimentId).values()) {
      if (first === undefined) continue;
      const { tenantId, experimentId } = first;
      const all = [first, ...rest];
      const done = await writer.write({ tenantId, experimentId }, (scope) =>
        answerRuns(scope, all, { dispatcherId, files }),
      );
      count += done.length;
      if (done.length > 0) log.info("runs answered from earlier ones", { experimentId, runs: done.length });
    }
    return count;
  }
}
