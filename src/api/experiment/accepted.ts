import { traceIdOf } from "../../domain/trace.js";
import type { Log } from "../../log.js";
import type { Submission, Submitted } from "../../store/submit.js";
import type { ExperimentSink } from "./submit.resolver.js";

/** Says in the log what was accepted, under the trace of its request. */
export class AcceptedLog implements ExperimentSink {
  readonly #sink: ExperimentSink;
  readonly #log: Log;

  constructor(sink: ExperimentSink, log: Log) {
    this.#sink = sink;
    this.#log = log;
  }

  /** Submits, and says so once it is durable. */
  async submit(submission: Submission): Promise<Submitted> {
    const submitted = await this.#sink.submit(submission);
    const { experimentId, replayed } = submitted;
    const { traceparent, planned } = submission;
    const traceId = traceparent === null ? null : traceIdOf(traceparent);
    this.#log.info("experiment accepted", { experimentId, replayed, runs: planned.runs.length, traceId });
    return submitted;
  }
}
