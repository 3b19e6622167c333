import { setTimeout as pause } from "node:timers/promises";
import type { ArtifactStore, Grantor } from "../artifacts/store.js";
import type { Bus, Subscription } from "../bus/bus.js";
import { newId } from "../domain/digest.js";
import { type Message, topics } from "../domain/messages.js";
import { type Log, reasonOf } from "../log.js";
import { isQuarantined, type Lease } from "../store/claims.js";
import type { WorkDatabase } from "../store/database.js";
import { beatDispatcher, removeDispatcher, removeSilentDispatchers } from "../store/dispatchers.js";
import { expireLease } from "../store/endings.js";
import { adoptLeases, expiredLeases, releaseLeases, stoppingLeases } from "../store/leases.js";
import { announceOverdue, RUNS_CANCELLING, RUNS_QUEUED } from "../store/outbox.js";
import { FOLDED_MAX, foldCosts } from "../store/shares.js";
import { Attempt, type AttemptParts, type AttemptPlace, type LeaseTimes } from "./attempt.js";
import { claimFor } from "./claims.js";
import { ExperimentWriter } from "./experiment-writer.js";
import { type GarbageTimes, garbageTimes, removeGarbage } from "./garbage.js";
import { Inbox } from "./inbox.js";
import { News } from "./news.js";
import type { PodTask, PodTls } from "./pod.js";
import { type PodDirectory, Pods } from "./pods.js";
import { defaultRetention, forgetOld, type RetentionDays } from "./retention.js";
import { Reuse } from "./reuse.js";
import { Ticker } from "./ticker.js";

/** What the dispatcher works with. */
export interface DispatcherOptions {
  readonly database: WorkDatabase;
  readonly bus: Bus;
  readonly pods: PodDirectory;
  /** How it shows itself to pods and knows them; without it connections are plain. */
  readonly podTls?: PodTls;
  readonly artifacts: Pick<ArtifactStore, "verify" | "has" | "remove" | "collectGarbage">;
  /** Lets pods reach the artifacts; without it they share the store's folder. */
  readonly grantor?: Grantor;
  readonly log: Log;
  /** Times of leases; defaults: 30 s to live, beats every 5 s, calls 5 s, runs without bound. */
  readonly times?: Partial<LeaseTimes>;
  /** How often it looks for work when no bell rings, and at its pods. Default 1000 ms. */
  readonly pollMs?: number;
  /** How often it says that it lives; one that missed three beats is dead to its siblings. Default 5000 ms. */
  readonly dispatcherBeatMs?: number;
  /** At least so long between two writes of one experiment's progress. Default 500 ms. */
  readonly newsMs?: number;
  /** True when no other dispatcher can be alive, as in the embedded mode: leases of earlier ones are adopted at once. */
  readonly alone?: boolean;
  /** How long things are kept; defaults: 30 days, messages 7. */
  readonly retention?: RetentionDays;
  /** Times of the removal of garbage; defaults: hourly, what is older than a day and the longest run. */
  readonly garbage?: GarbageTimes;
}

const defaultTimes: LeaseTimes = { ttlMs: 30_000, beatMs: 5_000, callMs: 5_000, hardDeadlineMs: 0 };
const MISSED_BEATS = 3;
const OVERDUE_SECONDS = 60;
const RETENTION_LOOK_MS = 900_000;
const REUSE_REST_MS = 20;
const CONSUMER = "dispatcher";

/** Gives runs to pods and sees every attempt through. Any number may run side by side. */
export class Dispatcher {
  readonly id = newId();
  private readonly times: LeaseTimes;
  private readonly pods: Pods;
  private readonly parts: AttemptParts;
  private readonly ticker: Ticker;
  private readonly reuse: Reuse;
  private readonly attempts = new Map<Attempt, Promise<void>>();
  private readonly inbox: Inbox;
  private subscription: Subscription | undefined;
  private wakeUp = (): void => undefined;
  private refreshPods = (): void => undefined;
  private passCancelsNow = (): void => undefined;
  private reuseNow = (): void => undefined;
  private stopping = false;
  private lookedMs = performance.now();

  constructor(private readonly options: DispatcherOptions) {
    const { database, artifacts, log, podTls } = options;
    this.times = { ...defaultTimes, ...options.times };
    const answered = (): void => this.wakeUp();
    this.pods = new Pods(options.pods, log, { deadlineMs: this.times.callMs, answered, tls: podTls });
    this.ticker = new Ticker(log);
    this.inbox = new Inbox(database, CONSUMER);
    const writer = new ExperimentWriter(database);
    const news = new News(writer, log, options.newsMs ?? 500);
    const { grantor } = options;
    this.parts = { dispatcherId: this.id, database, writer, news, artifacts, grantor, log, times: this.times };
    this.reuse = new Reuse({ ...this.parts, artifacts });
  }

  /** When it last looked for runs to claim, by `performance.now`. */
  get lastLookMs(): number {
    return this.lookedMs;
  }

  /** Announces itself and begins to work. */
  async start(): Promise<void> {
    const { bus, database, alone, pollMs = 1_000, dispatcherBeatMs = 5_000 } = this.options;
    await database.transaction(async (tx) => {
      await beatDispatcher(tx, this.id);
      if (alone === true) await removeSilentDispatchers(tx, this.id, 0);
    });
    this.subscription = await bus.subscribe(topics.runsQueued, CONSUMER, (message) => this.heard(message));
    this.ticker.every("beat of the dispatcher", dispatcherBeatMs, () => this.beat(dispatcherBeatMs));
    this.refreshPods = this.ticker.every("look at the pods", pollMs, () => this.pods.refresh());
    this.passCancelsNow = this.ticker.every("cancels", pollMs, () => this.passCancels());
    this.reuseNow = this.ticker.every("reuse of equal work", pollMs, () => this.answer());
    this.wakeUp = this.ticker.every("claim", pollMs, async () => {
      await this.look();
      this.lookedMs = performance.now();
    });
    this.ticker.every("sweep of leases", this.times.ttlMs / 3, () => this.sweep());
    this.ticker.every("reconciliation", 30_000, () => this.reconcile());
    this.ticker.every("costs of ended runs", 1_000, () => this.fold());
    this.ticker.every("forgetting of what is old", RETENTION_LOOK_MS, () => this.forget());
    const times = this.options.garbage ?? garbageTimes(this.times.hardDeadlineMs);
    if (times !== null) {
      this.ticker.every("removal of garbage", times.everyMs / 4, () => removeGarbage(this.options, times));
    }
  }

  /** Looks at the pods, and so for work, now: the directory has changed. */
  wake(): void {
    this.refreshPods();
  }

  /** Claims no more and lets go of its leases; the pods work on, and a sibling or the next dispatcher adopts them. */
  async stop(): Promise<void> {
    this.stopping = true;
    await this.subscription?.close();
    await this.ticker.stop();
    for (const attempt of this.attempts.keys()) attempt.leave();
    await Promise.all(this.attempts.values());
    await this.parts.news.close();
    this.pods.close();
    try {
      await this.options.database.transaction(async (tx) => {
        await releaseLeases(tx, this.id);
        await removeDispatcher(tx, this.id);
      });
    } catch (error) {
      // Then a sibling adopts the leases once this dispatcher has missed its beats.
      this.options.log.warn("leases were not let go of", { reason: reasonOf(error) });
    }
  }

  /**
   * A bell only says that it is worth looking, which may be done twice, and so begins at once. The bus forgets the message
   * when this resolves, and so only behind the commit of its note.
   */
  private async heard(message: Message): Promise<void> {
    if (message.type === RUNS_CANCELLING) this.passCancelsNow();
    if (message.type === RUNS_QUEUED) {
      this.reuse.queued(message.payload);
      this.reuseNow();
    }
    this.wakeUp();
    await this.inbox.note(message);
  }

  private async look(): Promise<void> {
    const free = this.pods.free();
    for (const pod of free) {
      if (this.stopping) return;
      const claimed = await claimFor(this.parts, pod, { dispatcherId: this.id, ttlMs: this.times.ttlMs });
      for (const run of claimed) {
        const { client, podId } = pod;
        this.see(run, { client, podId, lastSequence: 0 }, { ...run, ...this.times });
      }
      // Nothing is left for the next pod, unless this one was not to have it.
      if (claimed.length < pod.freeSlots && (pod === free.at(-1) || !(await this.mayHoldBack(pod.podId)))) return;
    }
  }

  private mayHoldBack(podId: string): Promise<boolean> {
    return this.options.database.transaction((tx) => isQuarantined(tx, podId));
  }

  private async answer(): Promise<void> {
    if (await this.reuse.look()) this.wakeUp();
    // Every run that ends is a reason to look; a look serves all of a moment.
    if (!this.stopping) await pause(REUSE_REST_MS);
  }

  /** Without a task the attempt is at work already. */
  private see(lease: Lease, at: Pick<AttemptPlace, "client" | "podId" | "lastSequence">, task: PodTask | null): void {
    const { address } = at.client;
    const free = this.pods.occupy(address);
    const freed = (): void => {
      free();
      this.wakeUp();
    };
    const place = { ...at, isNew: task !== null, freed, doubt: () => this.pods.doubt(address) };
    const attempt = new Attempt(this.parts, lease, place);
    const done = attempt.run(task).then(() => {
      free();
      this.attempts.delete(attempt);
      this.reuse.ended(lease);
      this.reuseNow();
      this.wakeUp();
    });
    this.attempts.set(attempt, done);
  }

  private async passCancels(): Promise<void> {
    const { database, log } = this.options;
    if (this.attempts.size === 0) return;
    const wanted = await database.transaction((tx) => stoppingLeases(tx, this.id));
    for (const lease of wanted) {
      const attempt = [...this.attempts.keys()].find((candidate) => sameAttempt(candidate.lease, lease));
      await attempt?.cancel(lease.stop).catch((error: unknown) => {
        log.warn("the wish to stop did not reach the pod", { runId: lease.runId, reason: reasonOf(error) });
      });
    }
  }

  private async beat(everyMs: number): Promise<void> {
    const silentMs = MISSED_BEATS * everyMs;
    const adopted = await this.options.database.transaction(async (tx) => {
      await beatDispatcher(tx, this.id);
      await removeSilentDispatchers(tx, this.id, 10 * silentMs);
      return adoptLeases(tx, this.id, silentMs);
    });
    for (const lease of adopted) {
      const { runId, epoch, podId, podAddress, lastSequence } = lease;
      this.options.log.info("adopts a run", { runId, epoch, podAddress });
      this.see(lease, { client: this.pods.client(podAddress), podId, lastSequence }, null);
    }
  }

  private async sweep(): Promise<void> {
    const { database, log } = this.options;
    const leases = await database.transaction(expiredLeases);
    // Side by side: one whose experiment is locked, or that cannot be written, holds up no other.
    await Promise.all(
      leases.map((lease) =>
        this.expire(lease).catch((error: unknown) => {
          log.error("a lease that ran out could not be ended", { runId: lease.runId, reason: reasonOf(error) });
        }),
      ),
    );
  }

  private async expire(lease: Lease): Promise<void> {
    const ending = await this.parts.writer.write(lease, (scope) => expireLease(scope, lease));
    if (ending.kind !== "COUNTED") return;
    const { runId, epoch } = lease;
    this.options.log.warn("lease ran out", { runId, epoch, state: ending.state });
    this.wakeUp();
  }

  /** Runs that only wait for a free slot are rung for too: a bell more costs nothing. */
  private async reconcile(): Promise<void> {
    await this.options.database.transaction((tx) => announceOverdue(tx, OVERDUE_SECONDS));
  }

  private async fold(): Promise<void> {
    while ((await this.options.database.transaction(foldCosts)) === FOLDED_MAX);
  }

  private forget(): Promise<void> {
    const { database, log, retention = defaultRetention } = this.options;
    return forgetOld({ database, log, isEnding: () => this.stopping }, retention);
  }
}

function sameAttempt(one: Lease, other: Lease): boolean {
  return one.runId === other.runId && one.epoch === other.epoch;
}
