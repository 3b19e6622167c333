import { type ExperimentState, experimentState, type RunCounts } from "../domain/experiment.js";
import type { CancelMode, RunState } from "../domain/run.js";
import { AssayError } from "../errors.js";
import { countDownAll } from "./count-down.js";
import { appendAllEvents, appendEvents, type ExperimentKey, type NewEvent, stateEvent } from "./events.js";
import { dispatchBell, RUNS_QUEUED, writeMessages } from "./outbox.js";
import { statement, type Transaction } from "./transaction.js";

// The rule of locks everywhere in the store: the experiment's row before the rows of its runs. Only the claim takes run
// rows alone; it skips those that are locked and so waits for nobody.

/** What the lock on an experiment shows. */
export interface LockedExperiment extends ExperimentKey {
  readonly stage: number;
  readonly stageCount: number;
  readonly openRuns: number;
  readonly totalRuns: number;
  readonly cancelMode: CancelMode | null;
  readonly cancelRequestedAt: Date | null;
  readonly pausedAt: Date | null;
  readonly endedAt: Date | null;
}

const COLUMNS = `stage, stage_count as "stageCount", open_runs as "openRuns", total_runs as "totalRuns",
  cancel_mode as "cancelMode", cancel_requested_at as "cancelRequestedAt", paused_at as "pausedAt", ended_at as "endedAt"`;

type LockedRow = Omit<LockedExperiment, keyof ExperimentKey>;

const lock = statement(
  "experiment-lock",
  `select ${COLUMNS} from experiment where tenant_id = $1 and id = $2 for no key update`,
);

const lockFree = statement(
  "experiments-lock",
  `select e.tenant_id as "tenantId", e.id as "experimentId", ${COLUMNS}
   from unnest($1::uuid[], $2::uuid[]) as wanted(tenant_id, id) join experiment e on e.tenant_id = wanted.tenant_id and e.id = wanted.id
   order by e.tenant_id, e.id for no key update of e skip locked`,
);

/** Locks the experiment until the commit; null when there is none. */
export async function lockExperiment(tx: Transaction, key: ExperimentKey): Promise<LockedExperiment | null> {
  const [row] = await tx.rows<LockedRow>(lock, [key.tenantId, key.experimentId]);
  return row === undefined ? null : { ...row, tenantId: key.tenantId, experimentId: key.experimentId };
}

/** Reads what the lock on an experiment shows again, after a change of our own. */
export async function relock(tx: Transaction, key: ExperimentKey): Promise<LockedExperiment> {
  const experiment = await lockExperiment(tx, key);
  if (experiment === null) throw missing(key);
  return experiment;
}

/** One transaction's work on a locked experiment: what it tells and which runs it ends is written once, when it closes. */
export class ExperimentScope implements ExperimentKey {
  readonly tenantId: string;
  readonly experimentId: string;
  private readonly events: NewEvent[] = [];
  private ended = 0;
  private left = 0;

  private constructor(
    readonly tx: Transaction,
    readonly experiment: LockedExperiment,
  ) {
    this.tenantId = experiment.tenantId;
    this.experimentId = experiment.experimentId;
  }

  /** Locks the experiment, does the work and writes what came of it. Nothing may follow in the transaction. */
  static async within<T>(
    tx: Transaction,
    key: ExperimentKey,
    work: (scope: ExperimentScope) => Promise<T>,
  ): Promise<T> {
    const experiment = await relock(tx, key);
    const scope = new ExperimentScope(tx, experiment);
    const answer = await work(scope);
    await ExperimentScope.close(tx, [scope]);
    return answer;
  }

  /**
   * The same for several experiments at once, which takes about as many ways to the server as for one. Those whose row
   * somebody else has locked are left out; gives the items whose experiments were not. Nothing may follow in the transaction.
   */
  static async withinFree<Item>(
    tx: Transaction,
    items: readonly Item[],
    {
      keyOf,
      work,
    }: { keyOf: (item: Item) => ExperimentKey; work: (scope: ExperimentScope, item: Item) => Promise<void> },
  ): Promise<Set<Item>> {
    const keys = items.map(keyOf);
    const rows = await tx.rows<LockedExperiment>(lockFree, [
      keys.map((key) => key.tenantId),
      keys.map((key) => key.experimentId),
    ]);
    const locked = new Map(rows.map((row) => [row.experimentId, new ExperimentScope(tx, row)]));
    const done = new Set<Item>();
    const works = items.map(async (item) => {
      const scope = locked.get(keyOf(item).experimentId);
      if (scope === undefined) return;
      done.add(item);
      await work(scope, item);
    });
    await Promise.all(works).finally(() => Promise.allSettled(works));
    await ExperimentScope.close(tx, [...locked.values()]);
    return done;
  }

  /** Writes what the scopes gathered. The locks are held, so what they showed still holds but for what is counted down here. */
  private static async close(tx: Transaction, scopes: readonly ExperimentScope[]): Promise<void> {
    const all = scopes.map(({ experiment, ended }) => {
      const isOver = ended > 0 && ended === experiment.openRuns;
      return { experiment, ended, isOver, isLast: isOver && isLastStage(experiment) };
    });
    const states = await countDownAll(tx, all);
    for (const scope of scopes) {
      const state = states.get(scope.experimentId);
      if (state !== undefined) scope.tell([{ runId: null, kind: "EXPERIMENT", body: { state } }]);
    }
    await appendAllEvents(
      tx,
      scopes.map(({ tenantId, experimentId, events }) => ({ key: { tenantId, experimentId }, events })),
      all.every(({ isOver, isLast }) => !isOver || isLast) &&
        scopes.every(({ left, experiment }) => left === 0 || experiment.pausedAt === null),
    );
    for (const { experiment, isOver, isLast } of all) {
      if (isOver && !isLast) await stageEnded(tx, { ...experiment, openRuns: 0 });
    }
    for (const { left, experiment } of scopes) {
      if (left > 0 && experiment.pausedAt !== null) await tellPaused(tx, experiment);
    }
  }

  /** Adds events, in their order. */
  tell(events: readonly NewEvent[]): void {
    this.events.push(...events);
  }

  /** What was told so far of a run; it is not in the table yet. */
  toldOf(runId: string): NewEvent[] {
    return this.events.filter((event) => event.runId === runId);
  }

  /** Notes that a run of the current stage has ended. */
  runEnded(): void {
    this.ended += 1;
    this.left += 1;
  }

  /** Where the experiment is paused, pauses a run that left its pod unfinished and would wait for another. */
  async holdBack(): Promise<void> {
    if (this.experiment.pausedAt === null) return;
    this.tell(await holdBack(this.tx, this));
    this.left += 1;
  }
}

function isLastStage({ cancelRequestedAt, stage, stageCount }: LockedExperiment): boolean {
  return cancelRequestedAt !== null || stage + 1 >= stageCount;
}

function missing(key: ExperimentKey): AssayError {
  return new AssayError("INTERNAL", `wanted experiment ${key.experimentId}, but it is not there`);
}

const countDown = statement(
  "experiment-count-down",
  `update experiment set open_runs = open_runs - $3 where tenant_id = $1 and id = $2 returning ${COLUMNS}`,
);

/**
 * Notes that runs of the current stage have ended. The last one opens the next stage in this very transaction, or ends the
 * experiment. The caller holds the experiment's lock.
 */
export async function runsEnded(tx: Transaction, key: ExperimentKey, ended: number): Promise<void> {
  const [row] = await tx.rows<LockedRow>(countDown, [key.tenantId, key.experimentId, ended]);
  if (row === undefined) throw missing(key);
  if (row.openRuns === 0) await stageEnded(tx, { ...row, tenantId: key.tenantId, experimentId: key.experimentId });
}

/** Opens the next stage that has work, or ends the experiment. */
async function stageEnded(tx: Transaction, experiment: LockedExperiment): Promise<void> {
  if (experiment.cancelRequestedAt === null) {
    for (let stage = experiment.stage + 1; stage < experiment.stageCount; stage += 1) {
      if (await openStage(tx, experiment, stage)) return;
    }
  }
  await end(tx, experiment);
}

const decide = statement(
  "stage-decide",
  `select r.id, (coalesce(bool_and(i.there or not i.required), true) and (count(i.there) = 0 or bool_or(i.there))) as ready
   from run r
   left join lateral (
     select w.required,
            w."from" ->> 'kind' = 'ARTIFACT' or exists (
              select 1 from run maker
              join run_artifact a on a.tenant_id = maker.tenant_id and a.run_id = maker.id and a.epoch = maker.epoch
              where maker.tenant_id = r.tenant_id and maker.id = (w."from" ->> 'runId')::uuid and maker.state = 'SUCCEEDED'
                and a.name = w."from" ->> 'artifact') as there
     from jsonb_to_recordset(r.inputs) as w("from" jsonb, required boolean)
   ) i on true
   where r.tenant_id = $1 and r.experiment_id = $2 and r.stage = $3 and r.state = 'WAITING'
   group by r.id, r.position order by r.position`,
);

const settle = statement(
  "stage-settle",
  `update run r set state = case when d.ready then 'QUEUED' else 'CANCELLED' end,
                    state_reason = case when d.ready then null else 'DEPENDENCY_FAILED' end,
                    not_before = now(), terminal_at = case when d.ready then null else now() end
   from unnest($2::uuid[], $3::boolean[]) as d(id, ready)
   where r.tenant_id = $1 and r.id = d.id`,
);

const setStage = statement(
  "experiment-set-stage",
  "update experiment set stage = $3, open_runs = $4 where tenant_id = $1 and id = $2",
);

/**
 * Queues the stage's runs whose required inputs are all there, and at least one of whose inputs is, where they have any;
 * cancels the others. False when none was queued: the stage is over before it began. In a paused experiment they wait on.
 */
async function openStage(tx: Transaction, experiment: LockedExperiment, stage: number): Promise<boolean> {
  const { tenantId, experimentId, pausedAt } = experiment;
  const key = { tenantId, experimentId };
  const runs = await tx.rows<{ id: string; ready: boolean }>(decide, [key.tenantId, key.experimentId, stage]);
  await tx.run(settle, [key.tenantId, runs.map((run) => run.id), runs.map((run) => run.ready)]);
  const queued = runs.filter((run) => run.ready).length;
  await tx.run(setStage, [key.tenantId, key.experimentId, stage, queued]);
  const events = runs.map((run) =>
    run.ready ? stateEvent(run.id, "QUEUED") : stateEvent(run.id, "CANCELLED", "DEPENDENCY_FAILED"),
  );
  await appendEvents(tx, key, queued > 0 ? [...events, stageEvent(stage)] : events);
  if (queued > 0 && pausedAt === null) await writeMessages(tx, [dispatchBell(key, RUNS_QUEUED)]);
  if (queued > 0 && pausedAt !== null) await appendEvents(tx, key, await holdBack(tx, key));
  return queued > 0;
}

const hold = statement(
  "pause-hold",
  `update run set state = 'PAUSED', state_reason = 'USER_REQUEST'
   where tenant_id = $1 and experiment_id = $2 and state in ('QUEUED', 'RETRY_WAIT') returning id`,
);

/** Pauses what waits for a pod, of an experiment that is paused and locked; gives the events that tell of it. */
export async function holdBack(tx: Transaction, { tenantId, experimentId }: ExperimentKey): Promise<NewEvent[]> {
  const runs = await tx.rows<{ id: string }>(hold, [tenantId, experimentId]);
  return runs.map((run) => stateEvent(run.id, "PAUSED", "USER_REQUEST"));
}

function stageEvent(stage: number): NewEvent {
  return { runId: null, kind: "EXPERIMENT", body: { state: "RUNNING", stage } };
}

const finish = statement(
  "experiment-end",
  "update experiment set ended_at = now(), paused_at = null where tenant_id = $1 and id = $2",
);

const tally = statement(
  "experiment-tally",
  `select state, count(*)::int as count, bool_or(stage = $3 and state = 'SUCCEEDED') as reported, bool_or(partial) as partial
   from run where tenant_id = $1 and experiment_id = $2 and superseded_by is null group by state`,
);

async function end(tx: Transaction, experiment: LockedExperiment): Promise<void> {
  await tx.run(finish, [experiment.tenantId, experiment.experimentId]);
  const state = await stateOf(tx, experiment);
  await appendEvents(tx, experiment, [{ runId: null, kind: "EXPERIMENT", body: { state } }]);
}

/** The state of an experiment whose row is locked, from its runs as they are now. */
export async function stateOf(tx: Transaction, experiment: LockedExperiment): Promise<ExperimentState> {
  const { tenantId, experimentId, stageCount } = experiment;
  const rows = await tx.rows<{ state: RunState; count: number; reported: boolean; partial: boolean }>(tally, [
    tenantId,
    experimentId,
    stageCount - 1,
  ]);
  const counts: RunCounts = Object.fromEntries(rows.map((row) => [row.state, row.count]));
  return experimentState(experiment, counts, {
    reported: rows.some((row) => row.reported),
    partial: rows.some((row) => row.partial),
  });
}

/** Tells that a pause has come about, unless pods still work, or the experiment has ended meanwhile. */
async function tellPaused(tx: Transaction, key: ExperimentKey): Promise<void> {
  const experiment = await lockExperiment(tx, key);
  if (experiment === null || experiment.pausedAt === null) return;
  const state = await stateOf(tx, experiment);
  if (state === "PAUSED") await appendEvents(tx, key, [{ runId: null, kind: "EXPERIMENT", body: { state } }]);
}
