import { newId, sha256 } from "../../src/domain/digest.js";
import { defaultOptions } from "../../src/domain/options.js";
import type { Caller } from "../../src/domain/tenant.js";
import { AssayError } from "../../src/errors.js";
import { cancelExperiment } from "../../src/store/cancel.js";
import type { AppDatabase } from "../../src/store/database.js";
import { pauseExperiment, resumeExperiment } from "../../src/store/pause.js";
import { retryRuns } from "../../src/store/retry.js";
import { Submitter } from "../../src/store/submit.js";
import type { Transaction } from "../../src/store/transaction.js";
import { submission, type TestRun, testPlan } from "../support/store.js";
import type { ClientCall, ClientLog } from "./client-log.js";

/** An experiment that was acknowledged. */
export interface Acknowledged {
  readonly tenantId: string;
  readonly experimentId: string;
  readonly caller: Caller;
  readonly runs: readonly TestRun[];
  readonly name: string;
  /** Sends the same request with the same key again. */
  readonly resend: () => Promise<void>;
}

/** A client that writes down what it does and asks again until it is answered. */
export class SeededClient {
  readonly experiments: Acknowledged[] = [];
  private readonly submitter: Submitter;

  constructor(
    private readonly app: AppDatabase,
    private readonly log: ClientLog,
  ) {
    this.submitter = new Submitter(app);
  }

  /** Submits these runs under a key of their own, as often as it takes. Equal work is answered from earlier runs. */
  async submit(caller: Caller, runs: readonly TestRun[], name: string): Promise<void> {
    const planned = testPlan(runs, name);
    const wanted = { ...submission(caller, planned), options: defaultOptions };
    const call = { operation: wanted.operation, key: wanted.idempotencyKey };
    // Each plan has ids of its own, as when a client sends its request again and it is planned anew.
    const send = (): Promise<string | null> =>
      this.call(
        call,
        async () => (await this.submitter.submit({ ...wanted, planned: testPlan(runs, name) })).experimentId,
      );
    let experimentId = await send();
    while (experimentId === null) experimentId = await send();
    const resend = async (): Promise<void> => void (await send());
    this.experiments.push({ tenantId: caller.tenantId, experimentId, caller, runs, name, resend });
  }

  /** Asks for a cancel and takes whatever comes of it. */
  cancel(key: Acknowledged, mode: "GRACEFUL" | "IMMEDIATE"): Promise<boolean> {
    return this.change("cancelExperiment", key, (tx) => cancelExperiment(tx, key, { mode, reason: null }));
  }

  /** Asks for a pause and takes whatever comes of it. */
  pause(key: Acknowledged): Promise<boolean> {
    return this.change("pauseExperiment", key, (tx) => pauseExperiment(tx, key));
  }

  /** Asks for the end of a pause. */
  resume(key: Acknowledged): Promise<boolean> {
    return this.change("resumeExperiment", key, (tx) => resumeExperiment(tx, key));
  }

  /** Asks for what failed to be tried again. */
  retry(key: Acknowledged): Promise<boolean> {
    const { caller, experimentId } = key;
    const request = {
      caller,
      operation: "retryFailedRuns",
      idempotencyKey: newId(),
      requestSha256: sha256(experimentId),
    };
    return this.change("retryFailedRuns", key, async (tx) => {
      await retryRuns(tx, request, { experimentId, runIds: null, onlyRetryable: true });
      return true;
    });
  }

  /** Whether an answer came, be it a refusal. */
  private async change(
    operation: string,
    { tenantId, experimentId }: Acknowledged,
    work: (tx: Transaction) => Promise<boolean>,
  ): Promise<boolean> {
    const id = await this.call({ operation }, async () => {
      await this.app.withTenant(tenantId, work).catch((error: unknown) => {
        if (!(error instanceof AssayError) || error.retriable) throw error;
      });
      return experimentId;
    });
    return id !== null;
  }

  private async call(call: ClientCall, act: () => Promise<string>): Promise<string | null> {
    const reply = this.log.send(call);
    try {
      const id = await act();
      reply({ kind: "ACKNOWLEDGED", id });
      return id;
    } catch (error) {
      if (!(error instanceof AssayError && error.retriable)) throw error;
      reply({ kind: "LOST", reason: error.code });
      return null;
    }
  }
}

/** A name that no other experiment has. */
export function newName(): string {
  return `seeded ${newId()}`;
}
