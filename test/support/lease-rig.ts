import { newId, sha256 } from "../../src/domain/digest.js";
import type { RunState } from "../../src/domain/run.js";
import type { Caller } from "../../src/domain/tenant.js";
import { type ClaimedRun, claimRuns, type Lease } from "../../src/store/claims.js";
import { ExperimentScope } from "../../src/store/closing.js";
import { completeRun, type Ending, type Failure, failAttempt } from "../../src/store/endings.js";
import type { ExperimentKey } from "../../src/store/events.js";
import { runStarted } from "../../src/store/leases.js";
import { Submitter } from "../../src/store/submit.js";
import type { TestDatabases } from "./databases.js";
import { submission, type TestRun, testPlan } from "./store.js";

/** A run as tests of the store look at it. */
export interface SeenRun {
  readonly id: string;
  readonly state: RunState;
  readonly stage: number;
  readonly position: number;
  readonly attempt: number;
  readonly superseded_by: string | null;
}

/** Plays the dispatcher and its pods against the store alone. */
export class LeaseRig {
  private readonly submitter: Submitter;
  private readonly dispatcherId = newId();

  constructor(readonly databases: TestDatabases) {
    this.submitter = new Submitter(databases.app);
  }

  /** Submits a plan of these runs. */
  async submit(runs: readonly TestRun[], caller: Caller = this.databases.caller): Promise<ExperimentKey> {
    const { experimentId } = await this.submitter.submit(submission(caller, testPlan(runs)));
    return { experimentId, tenantId: caller.tenantId };
  }

  /** Gives the experiment's next runs to a pod, and starts them. */
  async start({ experimentId }: ExperimentKey, limit = 100): Promise<ClaimedRun[]> {
    // What other experiments of the file left in the queue is not to be claimed in its place.
    await this.databases.query(
      "update run set not_before = 'infinity' where state in ('QUEUED', 'RETRY_WAIT') and experiment_id <> $1",
      [experimentId],
    );
    const request = { dispatcherId: this.dispatcherId, podId: "pod", podAddress: "127.0.0.1:1", ttlMs: 60_000, limit };
    const claimed = await this.databases.work.transaction((tx) => claimRuns(tx, request));
    const runs = claimed.filter((run) => run.experimentId === experimentId);
    for (const run of runs) await this.write(run, (scope) => runStarted(scope, run));
    return runs;
  }

  /** Ends an attempt with a result and, if it is named, a file. */
  complete(lease: Lease, artifact?: string): Promise<Ending> {
    const text = `result of ${lease.runId}`;
    const file = { name: artifact ?? "", kind: "ITEMS", sha256: sha256(text), sizeBytes: text.length };
    const completion = {
      contentSha256: sha256(text),
      metrics: JSON.stringify({ text }),
      partial: false,
      files: artifact === undefined ? [] : [file],
      used: { wall: 2, cpu: 1, gpu: 0 },
      events: [],
    };
    return this.write(lease, (scope) => completeRun(scope, lease, completion));
  }

  /** Ends an attempt with a failure. */
  fail(lease: Lease, errorClass: Failure["errorClass"], more: Partial<Failure> = {}): Promise<Ending> {
    const said = {
      errorClass,
      code: "TEST",
      message: "failed in a test",
      stage: null,
      used: null,
      events: [],
      ...more,
    };
    return this.write(lease, (scope) => failAttempt(scope, lease, said));
  }

  /** Writes something of one experiment, whose row is locked. */
  write<T>(key: ExperimentKey, work: (scope: ExperimentScope) => Promise<T>): Promise<T> {
    return this.databases.work.transaction((tx) => ExperimentScope.within(tx, key, work));
  }

  /** The experiment's runs by position. */
  runs({ experimentId }: ExperimentKey): Promise<SeenRun[]> {
    return this.databases.query<SeenRun & Record<string, unknown>>(
      `select id, state, stage, position, attempt, superseded_by from run where experiment_id = $1 order by position`,
      [experimentId],
    );
  }

  /** The states of the experiment's runs by position. */
  async states(key: ExperimentKey): Promise<RunState[]> {
    return (await this.runs(key)).map((run) => run.state);
  }

  /** The experiment's states as its subscribers heard of them. */
  async heard({ experimentId }: ExperimentKey): Promise<string[]> {
    const rows = await this.databases.query<{ state: string }>(
      "select body ->> 'state' as state from event where experiment_id = $1 and kind = 'EXPERIMENT' order by seq",
      [experimentId],
    );
    return rows.map((row) => row.state);
  }
}
