import { setTimeout as pause } from "node:timers/promises";
import type { ArtifactStore, Grantor } from "../artifacts/store.js";
import type { StopMode } from "../domain/run.js";
import { AssayError } from "../errors.js";
import { type Log, reasonOf } from "../log.js";
import type { ResumePoint } from "../store/checkpoints.js";
import type { Lease } from "../store/claims.js";
import type { WorkDatabase } from "../store/database.js";
import { completeRun, type Ending, type Failure, failAttempt, releaseAttempt, stopAttempt } from "../store/endings.js";
import type { NewEvent } from "../store/events.js";
import { isDataFailure } from "../store/failures.js";
import { runStarted } from "../store/leases.js";
import { askAfter } from "./ask-after.js";
import { Checkpoints } from "./checkpoints.js";
import type { ExperimentWriter } from "./experiment-writer.js";
import { Grants } from "./grants.js";
import { HeldStart } from "./held-start.js";
import { Keepalive } from "./keepalive.js";
import type { News } from "./news.js";
import { cleanText, OutcomeCheck } from "./outcome.js";
import { type PodClient, PodError, type PodEvent, type PodTask } from "./pod.js";

/** How long things may take. */
export interface LeaseTimes {
  /** How long a lease lives without a renewal. */
  readonly ttlMs: number;
  /** How often pods say that an attempt is alive. */
  readonly beatMs: number;
  /** How long a call to a pod may take, but for the start of a run, which may take as long as the lease. */
  readonly callMs: number;
  /** The longest time a run may take on a pod; 0 for no bound. */
  readonly hardDeadlineMs: number;
}

/** What every attempt works with. */
export interface AttemptParts {
  readonly dispatcherId: string;
  readonly database: WorkDatabase;
  readonly writer: ExperimentWriter;
  readonly news: News;
  readonly artifacts: Pick<ArtifactStore, "verify" | "remove">;
  /** Where pods share no folder with the service. */
  readonly grantor: Grantor | undefined;
  readonly log: Log;
  readonly times: LeaseTimes;
}

/** Where an attempt is. */
export interface AttemptPlace {
  readonly client: PodClient;
  readonly podId: string;
  /** The last of the pod's events that was dealt with. */
  readonly lastSequence: number;
  /** Whether the lease was claimed just now, not adopted. */
  readonly isNew: boolean;
  /** Told when the pod has ended its work, which is not stored yet. May be told again. */
  readonly freed: () => void;
  /** Told when the pod gave no answer, so that it gets no more runs until it does. */
  readonly doubt: () => void;
}

/** Sees one attempt through: starts it, hears its pod, keeps its lease and writes how it ended. */
export class Attempt {
  private readonly over = new AbortController();
  private readonly check: OutcomeCheck;
  private readonly keepalive: Keepalive;
  private readonly checkpoints: Checkpoints;
  private readonly grants: Grants | undefined;
  private resumedFrom: ResumePoint | undefined;
  private readonly started: HeldStart;
  private sequence: number;
  private stopSent: StopMode | null = null;
  /** What was gathered for the attempt's end: the end may have to be written again, the pod says only itself again. */
  private untold: NewEvent[] = [];

  constructor(
    private readonly parts: AttemptParts,
    readonly lease: Lease,
    private readonly place: AttemptPlace,
  ) {
    const { artifacts, grantor, log, times } = parts;
    this.grants = grantor && new Grants({ grantor, log, callMs: times.callMs }, lease);
    const { grants = artifacts } = this;
    const verify = (sha256: string, sizeBytes: number): Promise<boolean> => grants.verify(sha256, sizeBytes);
    this.check = new OutcomeCheck({ verify });
    this.checkpoints = new Checkpoints(
      { ...parts, artifacts: { verify, remove: (sha256) => artifacts.remove(sha256) } },
      lease,
    );
    const { client, isNew } = place;
    this.keepalive = new Keepalive(parts, lease, { client, isNew, over: this.over });
    this.sequence = place.lastSequence;
    this.started = new HeldStart(
      () => parts.writer.write(lease, async (scope) => void (await runStarted(scope, lease))),
      (error) => this.say("warn", "the start of a run could not be written yet", { reason: reasonOf(error) }),
    );
  }

  /** Resolves when the attempt has ended, is lost, or somebody else looks after it. Never rejects. */
  async run(task: PodTask | null): Promise<void> {
    try {
      if (task === null || (await this.start(task))) await this.follow();
    } catch (error) {
      // The lease runs out and the sweep gives the run to somebody else.
      this.say("error", "attempt is left alone", { reason: reasonOf(error) });
    } finally {
      this.started.take();
      this.over.abort();
    }
  }

  /** Looks away: the pod works on, and another dispatcher may adopt the lease. */
  leave(): void {
    this.over.abort();
  }

  /** Asks the pod to stop, once for each mode. */
  async cancel(mode: StopMode): Promise<void> {
    if (this.stopSent === mode) return;
    await this.place.client.cancel(this.lease, mode, this.parts.times.callMs);
    this.stopSent = mode;
  }

  private async start(task: PodTask): Promise<boolean> {
    try {
      await this.startFromCheckpoint(task);
      return true;
    } catch (error) {
      if (!(error instanceof PodError)) throw error;
      this.say("warn", "pod did not take the run", { kind: error.kind, reason: error.message });
      if (error.kind === "GONE" || error.kind === "UNREACHABLE") this.place.doubt();
      await this.fail(failureOfStart(error));
      return false;
    }
  }

  /** Starts from the furthest checkpoint that is whole. */
  private async startFromCheckpoint(task: PodTask): Promise<void> {
    for (;;) {
      const from = await this.checkpoints.resumePoint();
      try {
        await this.startPatiently((await this.grants?.granted(task, from)) ?? task, from);
        this.resumedFrom = from;
        return await this.checkpoints.resumed(from);
      } catch (error) {
        const broken = error instanceof PodError && error.kind === "CHECKPOINT_BROKEN";
        if (!broken || from.checkpoint === null) throw error;
        await this.checkpoints.passOver(from.checkpoint, cleanText(error.message));
      }
    }
  }

  /** A pod frees a slot a moment after it said Done; only then is it worth asking again. */
  private async startPatiently(task: PodTask, from: ResumePoint): Promise<void> {
    for (let waitMs = 20; ; waitMs *= 2) {
      try {
        await this.place.client.start(task, from, task.ttlMs);
        return;
      } catch (error) {
        if (!(error instanceof PodError) || error.kind !== "OVERLOAD" || waitMs > 320) throw error;
        await pause(waitMs);
      }
    }
  }

  /** Hears the pod until the attempt is over, opening the stream again when it breaks. */
  private async follow(): Promise<void> {
    while (!this.over.signal.aborted) {
      try {
        if (await this.hearStream()) return;
      } catch (error) {
        if (this.over.signal.aborted) return;
        this.say("warn", "stream of a run broke", { reason: reasonOf(error) });
        if (!(await this.mayGoOn(error))) return;
      }
      await pause(50);
    }
  }

  /** Whether the attempt is over; the stream may also just have ended. One that is silent for as long as a lease lives is broken. */
  private async hearStream(): Promise<boolean> {
    const silence = new AbortController();
    const { ttlMs } = this.parts.times;
    let patience = setTimeout(() => silence.abort(), ttlMs);
    try {
      const either = AbortSignal.any([this.over.signal, silence.signal]);
      for await (const event of this.place.client.watch(this.lease, this.sequence, either)) {
        clearTimeout(patience);
        if (await this.hear(event)) return true;
        this.sequence = event.sequence;
        patience = setTimeout(() => silence.abort(), ttlMs);
      }
    } finally {
      clearTimeout(patience);
    }
    if (silence.signal.aborted) throw new PodError("UNREACHABLE", `nothing was heard for ${ttlMs} ms`, null);
    return false;
  }

  /** Whether the attempt is over. */
  private async hear(event: PodEvent): Promise<boolean> {
    const { news } = this.parts;
    const { sequence } = event;
    const { runId } = this.lease;
    const nothing = { sequence, event: null, progress: null };
    switch (event.kind) {
      case "STARTED":
        this.started.heard();
        return false;
      case "BEAT":
        this.keepalive.heard(event.beat);
        return false;
      case "PROGRESS": {
        await this.started.say();
        const progress = { stage: cleanText(event.stage, 100), completed: event.completed, total: event.total };
        news.add(this.lease, { sequence, progress, event: { runId, kind: "PROGRESS", body: progress } });
        return false;
      }
      case "LOG": {
        await this.started.say();
        const body = { message: cleanText(event.message) };
        news.add(this.lease, { ...nothing, event: { runId, kind: event.warning ? "WARNING" : "LOG", body } });
        return false;
      }
      case "METRIC": {
        await this.started.say();
        const body = { name: cleanText(event.name, 200), value: finite(event.value), step: event.step };
        news.add(this.lease, { ...nothing, event: { runId, kind: "METRIC", body } });
        return false;
      }
      case "ARTIFACT":
        if (!(await this.check.look(event.file))) {
          this.say("warn", "announced file is not in the store", { file: cleanText(event.file.name, 200) });
        }
        return false;
      case "CHECKPOINT":
        this.checkpoints.keep(event.checkpoint);
        return false;
      case "DONE":
        // The pod has freed its slot: while this is written, it may begin the next run.
        this.place.freed();
        await this.checkpoints.settled();
        await this.end(event);
        await this.checkpoints.forget();
        await this.grants?.end();
        return true;
      case "GRANT_REQUEST":
        void this.grants?.answer(this.place.client, event.file);
        return false;
      case "UNKNOWN":
        return false;
      default:
        return event satisfies never;
    }
  }

  private async end({ outcome, used }: Extract<PodEvent, { kind: "DONE" }>): Promise<void> {
    switch (outcome.kind) {
      case "SUCCEEDED":
        return this.succeed(outcome, used);
      case "FAILED": {
        const { code, message, stage } = outcome;
        const errorClass = (await this.isCheckpointBroken(outcome)) ? "LOST" : outcome.errorClass;
        return this.fail({ errorClass, code: cleanText(code, 200), message, stage: cleanText(stage, 200), used });
      }
      case "CANCELLED":
      case "RELEASED": {
        const end = outcome.kind === "CANCELLED" ? stopAttempt : releaseAttempt;
        await this.started.say();
        const said = { used, lastStep: stepOf(outcome.lastStep), events: this.events() };
        const ending = await this.parts.writer.write(this.lease, (scope) => end(scope, this.lease, said));
        return this.sayEnding(outcome.kind, ending);
      }
      default:
        return outcome satisfies never;
    }
  }

  /** Whether the pod could not go on from where it was sent, which is no fault of the run. Nobody is sent there again. */
  private async isCheckpointBroken({ code, message }: { code: string; message: string }): Promise<boolean> {
    const from = this.resumedFrom?.checkpoint ?? null;
    if (code !== "CHECKPOINT_BROKEN" || from === null) return false;
    await this.checkpoints.passOver(from, cleanText(message));
    return true;
  }

  private async succeed(
    outcome: Extract<Extract<PodEvent, { kind: "DONE" }>["outcome"], { kind: "SUCCEEDED" }>,
    used: Failure["used"] & object,
  ): Promise<void> {
    const fault = await this.check.faultOf(outcome);
    if (fault !== null) return this.fail({ ...fault, stage: null, used });
    const { contentSha256, files, partial } = outcome;
    const metrics = outcome.metrics.toString("utf8");
    const events = this.events();
    try {
      const done = { contentSha256, metrics, partial, files, used, events };
      const isHeld = this.started.take();
      const ending = await this.parts.writer.write(this.lease, async (scope) => {
        // Sent together, and done in this order.
        const both = [isHeld ? runStarted(scope, this.lease) : null, completeRun(scope, this.lease, done)] as const;
        await Promise.allSettled(both);
        await both[0];
        return both[1];
      });
      this.sayEnding("SUCCEEDED", ending);
    } catch (error) {
      if (!isDataFailure(error)) throw error;
      this.untold = [];
      const message = `the result cannot be stored: ${reasonOf(error)}`;
      await this.fail({ errorClass: "UNKNOWN", code: "RESULT_INVALID", message, stage: null, used });
    }
  }

  private async fail(failure: Omit<Failure, "events">): Promise<void> {
    await this.started.say();
    const events = this.events();
    const whole: Failure = { ...failure, message: cleanText(failure.message), events };
    const ending = await this.parts.writer.write(this.lease, (scope) => failAttempt(scope, this.lease, whole));
    this.sayEnding(failure.errorClass, ending, { code: failure.code, reason: whole.message });
  }

  private events(): NewEvent[] {
    this.untold = [...this.untold, ...this.parts.news.take(this.lease)];
    return this.untold;
  }

  private async lose(message: string): Promise<void> {
    // What the pod wrote before it was lost is what the next attempt goes on from.
    await this.checkpoints.settled();
    return this.fail({ errorClass: "LOST", code: "POD_LOST", message, stage: null, used: null });
  }

  /** After a broken stream: whether to open it again. Where the pod is gone, the run goes back at once. */
  private async mayGoOn(error: unknown): Promise<boolean> {
    if (!(error instanceof PodError)) return this.afterOurOwn(error);
    const { beatMs, callMs } = this.parts.times;
    while (!this.over.signal.aborted) {
      const found = await askAfter(this.place, this.lease, { error, callMs });
      if (found.kind === "HELD") return true;
      this.place.doubt();
      if (found.kind === "LOST") {
        await this.lose(found.message);
        return false;
      }
      // It may be the network: the pod has the lease's time to come back, then the sweep takes the run.
      if (this.keepalive.ranOut()) return false;
      await pause(Math.min(beatMs, 500));
    }
    return false;
  }

  /** What we could not write, the pod says again. */
  private async afterOurOwn(error: unknown): Promise<boolean> {
    if (!(error instanceof AssayError) || !error.retriable) throw error;
    await pause(500);
    return true;
  }

  private sayEnding(what: string, ending: Ending, fields: Readonly<Record<string, string>> = {}): void {
    const state = ending.kind === "COUNTED" ? ending.state : ending.kind;
    this.say(ending.kind === "STALE" ? "warn" : "info", "attempt ended", { what, state, ...fields });
  }

  private say(level: "info" | "warn" | "error", message: string, fields: Readonly<Record<string, string>>): void {
    const { runId, epoch } = this.lease;
    this.parts.log[level](message, { runId, epoch, ...fields });
  }
}

/** Nothing starts before the first renewal, so a pod that gave no answer costs the run neither a try nor a disruption. */
function failureOfStart(error: PodError): Omit<Failure, "events"> {
  const rest = { message: error.message, stage: null, used: null };
  switch (error.kind) {
    case "BAD_INPUT":
      return { ...rest, errorClass: "BAD_INPUT", code: "POD_REFUSED" };
    case "BROKEN":
    case "CHECKPOINT_BROKEN":
      return { ...rest, errorClass: "UNKNOWN", code: "POD_BROKEN" };
    case "SUPERSEDED":
      return { ...rest, errorClass: "LOST", code: "SUPERSEDED" };
    case "OVERLOAD":
    case "GONE":
    case "UNREACHABLE":
    case "NOT_HELD":
      return { ...rest, errorClass: "OVERLOAD", code: "POD_UNAVAILABLE" };
    default:
      return error.kind satisfies never;
  }
}

/** What a pod says of its steps, if it can be. */
function stepOf(step: number): number | null {
  return Number.isSafeInteger(step) && step >= 0 ? step : null;
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
