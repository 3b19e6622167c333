import { newId, sha256 } from "../../src/domain/digest.js";
import type { PlannedExperiment } from "../../src/domain/experiment.js";
import type { SubmitOptions } from "../../src/domain/options.js";
import type { Caller } from "../../src/domain/tenant.js";
import type { DatabaseAccess } from "../../src/embedded/postgres.js";
import { type ClaimedRun, claimRuns, type Lease } from "../../src/store/claims.js";
import { ExperimentScope } from "../../src/store/closing.js";
import { completeRun, type Ending, type Failure, failAttempt, type Used } from "../../src/store/endings.js";
import type { ExperimentKey } from "../../src/store/events.js";
import { foldCosts } from "../../src/store/shares.js";
import { Submitter } from "../../src/store/submit.js";
import type { TestDatabases } from "./databases.js";
import { ownerQuery, type TestQuota, writeQuota } from "./quota.js";
import { submission, testPlan } from "./store.js";

/** The store's part of delivery, without pods: what tests of queues, shares and quotas submit, claim and end runs with. */
export class Delivery {
  readonly dispatcherId = newId();
  private readonly submitter: Submitter;

  constructor(
    private readonly databases: Pick<TestDatabases, "app" | "work"> & {
      readonly access: Pick<DatabaseAccess, "owner">;
    },
  ) {
    this.submitter = new Submitter(databases.app);
  }

  /** Submits so many runs of one stage, or a whole plan, and gives the experiment. */
  async submit(
    who: Caller,
    runs: number | PlannedExperiment = 1,
    options: Partial<SubmitOptions> = {},
  ): Promise<ExperimentKey> {
    const planned = typeof runs === "number" ? testPlan(Array.from({ length: runs }, () => ({ stage: 0 }))) : runs;
    const whole = submission(who, planned);
    const sent = { ...whole, options: { ...whole.options, ...options } };
    return { tenantId: who.tenantId, experimentId: (await this.submitter.submit(sent)).experimentId };
  }

  /** Claims at most so many runs. */
  claim(limit = 1, ttlMs = 60_000): Promise<ClaimedRun[]> {
    const request = { dispatcherId: this.dispatcherId, podId: "pod", podAddress: "127.0.0.1:1", ttlMs, limit };
    return this.databases.work.transaction((tx) => claimRuns(tx, request));
  }

  /** Does something under the lock of the experiment. */
  locked<T>(key: ExperimentKey, write: (scope: ExperimentScope) => Promise<T>): Promise<T> {
    return this.databases.work.transaction((tx) => ExperimentScope.within(tx, key, write));
  }

  /** Ends an attempt with a result after so many seconds of its pod. */
  complete(lease: Lease, wall = 1): Promise<Ending> {
    const used = { wall, cpu: wall, gpu: 0 };
    const done = { contentSha256: sha256("result"), metrics: "{}", partial: false, files: [], used, events: [] };
    return this.locked(lease, (scope) => completeRun(scope, lease, done));
  }

  /** Ends an attempt without one. */
  fail(lease: Lease, errorClass: Failure["errorClass"], used: Used | null = null): Promise<Ending> {
    const failure: Failure = { errorClass, code: "TEST", message: "failed in a test", stage: null, used, events: [] };
    return this.locked(lease, (scope) => failAttempt(scope, lease, failure));
  }

  /** Counts what has ended into shares and typical costs. */
  async fold(): Promise<void> {
    await this.databases.work.transaction(foldCosts);
  }

  /** Ends everything that other tests left, so that nobody's runs are in the way. */
  async drain(): Promise<void> {
    for (let runs = await this.claim(100); runs.length > 0; runs = await this.claim(100)) {
      for (const run of runs) await this.complete(run);
    }
    await this.fold();
  }

  /** Writes a tenant's quota. */
  quota({ tenantId }: Caller, quota: TestQuota): Promise<void> {
    return writeQuota(this.databases.access, tenantId, quota);
  }

  /** Runs SQL as the owner of the tables, for one tenant. */
  asOwner({ tenantId }: Pick<Caller, "tenantId">, text: string, values: readonly unknown[] = []): Promise<void> {
    return ownerQuery(this.databases.access, tenantId, [text, ...values]);
  }
}

/** A plan of one run for each of these steps: runs of different steps are of different kinds. */
export function withSteps(steps: readonly string[]): PlannedExperiment {
  const planned = testPlan(steps.map(() => ({ stage: 0 })));
  return { ...planned, runs: planned.runs.map((run, i) => ({ ...run, step: steps[i] ?? run.step })) };
}
