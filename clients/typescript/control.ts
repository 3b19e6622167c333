import * as documents from "./control-documents.js";
import { allItems, given, type Page, type Payload, unknownExperiment } from "./payload.js";
import { type Endpoint, execute } from "./transport.js";
import type {
  Cancellation,
  CancelledRun,
  CancelMode,
  DeadLetter,
  DeadLetterChoice,
  DeadLetterFilter,
  DeadLettersDone,
  Retried,
} from "./types.js";

type Changed = Payload & { readonly changed: boolean };

/** What can be done to experiments that were submitted. Every method throws AssayRequestError for what the service refuses. */
export class ExperimentControl {
  constructor(protected readonly endpoint: Endpoint) {}

  /** Asks for an experiment's end; false when it had ended, or was asked to before. */
  async cancel(experimentId: string, mode: CancelMode = "GRACEFUL", reason?: string): Promise<boolean> {
    type Data = { cancelExperiment: Changed };
    const input = { experimentId, mode, reason };
    const { cancelExperiment: payload } = await execute<Data>(this.endpoint, documents.cancelDocument, { input });
    return given(payload, payload.changed);
  }

  /** The receipt of a cancel; null where nobody cancelled the experiment. */
  async cancellation(id: string): Promise<Cancellation | null> {
    type Data = { experiment: { cancellation: Omit<Cancellation, "runs"> | null } | null };
    const { experiment } = await execute<Data>(this.endpoint, documents.cancellationDocument, { id });
    if (experiment === null) throw unknownExperiment(id);
    if (experiment.cancellation === null) return null;
    type Runs = { experiment: { cancellation: { page: Page<CancelledRun> } } };
    const request = { document: documents.cancelledRunsDocument, variables: { id } };
    const runs = await allItems(this.endpoint, request, (data: Runs) => data.experiment.cancellation.page);
    return { ...experiment.cancellation, runs };
  }

  /** Holds an experiment back until it is resumed; false when it was paused already. */
  async pause(experimentId: string): Promise<boolean> {
    type Data = { pauseExperiment: Changed };
    const input = { experimentId };
    const { pauseExperiment: payload } = await execute<Data>(this.endpoint, documents.pauseDocument, { input });
    return given(payload, payload.changed);
  }

  /** Lets a paused experiment go on; false when it was not paused. */
  async resume(experimentId: string): Promise<boolean> {
    type Data = { resumeExperiment: Changed };
    const input = { experimentId };
    const { resumeExperiment: payload } = await execute<Data>(this.endpoint, documents.resumeDocument, { input });
    return given(payload, payload.changed);
  }

  /** Serves an experiment's runs sooner, or later, than others of yours, -100 to 100; false when they had this priority. */
  async setPriority(experimentId: string, priority: number): Promise<boolean> {
    type Data = { setPriority: Changed };
    const input = { experimentId, priority };
    const { setPriority: payload } = await execute<Data>(this.endpoint, documents.priorityDocument, { input });
    return given(payload, payload.changed);
  }

  /** Tries failed runs again: those that are named, or all; those whose input is at fault only when `onlyRetryable` is false. */
  async retryRuns(
    experimentId: string,
    idempotencyKey: string,
    which: { readonly runIds?: readonly string[]; readonly onlyRetryable?: boolean } = {},
  ): Promise<Retried> {
    type Data = { retryRuns: Payload & Retried };
    const input = { experimentId, idempotencyKey, ...which };
    const { retryRuns: payload } = await execute<Data>(this.endpoint, documents.retryDocument, { input });
    const { runCount, runs, replayed } = payload;
    return given(payload, { runCount, runs, replayed });
  }

  /** Adds seeds or rates to an experiment's grid. Only what is new, or failed before, is worked on, and then the report. */
  async extendExperiment(
    experimentId: string,
    idempotencyKey: string,
    additions: { readonly addSeeds?: readonly number[]; readonly addSpuriousness?: readonly number[] },
  ): Promise<{ replayed: boolean }> {
    type Data = { extendExperiment: Payload & { replayed: boolean } };
    const input = { experimentId, idempotencyKey, ...additions };
    const { extendExperiment: payload } = await execute<Data>(this.endpoint, documents.extendDocument, { input });
    return given(payload, { replayed: payload.replayed });
  }

  /** What is kept of the project's runs that were given up, the newest first. */
  async deadLetters(filter: DeadLetterFilter = {}): Promise<DeadLetter[]> {
    const request = { document: documents.deadLettersDocument, variables: { filter } };
    return allItems(this.endpoint, request, (data: { page: Page<DeadLetter> }) => data.page);
  }

  /** One dead letter; null where none with this id is visible to the key. */
  async deadLetter(id: string): Promise<DeadLetter | null> {
    type Data = { deadLetter: DeadLetter | null };
    return (await execute<Data>(this.endpoint, documents.deadLetterDocument, { id })).deadLetter;
  }

  /** Tries the runs of dead letters again; without a key it only tells which it would. */
  async replayDeadLetters(choice: DeadLetterChoice, idempotencyKey?: string): Promise<DeadLettersDone> {
    type Data = { replayDeadLetters: Payload & DeadLettersDone };
    const input = { ...choice, dryRun: idempotencyKey === undefined, idempotencyKey };
    const { replayDeadLetters: payload } = await execute<Data>(this.endpoint, documents.replayDocument, { input });
    return given(payload, doneOf(payload));
  }

  /** Erases the errors and logs of dead letters; as a dry run it only tells of which. */
  async purgeDeadLetters(choice: DeadLetterChoice, { dryRun = true } = {}): Promise<DeadLettersDone> {
    type Data = { purgeDeadLetters: Payload & DeadLettersDone };
    const input = { ...choice, dryRun };
    const { purgeDeadLetters: payload } = await execute<Data>(this.endpoint, documents.purgeDocument, { input });
    return given(payload, doneOf(payload));
  }
}

function doneOf({ dryRun, count, deadLetters, replayed }: DeadLettersDone): DeadLettersDone {
  return { dryRun, count, deadLetters, replayed };
}
