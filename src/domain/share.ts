/**
 * Start-time fair queueing: who is served next, and what it costs. The claim does the same in SQL; a test holds the two together.
 *
 * Every tenant has a virtual time `v`, the seconds that it was given divided by its weight; the clock is the start tag of
 * the run that was served last. A run's start tag is the later of the two, so that a tenant which was idle comes in at the clock
 * and cannot save up. What a run is thought to cost is added the moment it is claimed, and put right when it has ended.
 */

/** Seconds that a run is thought to take where no like run has succeeded yet. */
export const COST_UNKNOWN_SECONDS = 1;
/** Seconds that a run is counted with at least when it is claimed: handing it out costs something too. */
export const COST_MIN_SECONDS = 0.01;
/** How much a run's seconds count in the mean of its kind, once there are ten of them. */
export const TYPICAL_PACE = 0.1;

/** Runs of a tenant that may wait, where its quota says nothing else. */
export const QUEUED_MAX = 1_000;

/** A tenant that has runs to claim. */
export interface Contender {
  readonly tenantId: string;
  readonly v: number;
  readonly weight: number;
  /** Number of its last claim, 0 before the first. */
  readonly served: number;
  /** Seconds that its next runs are thought to take, in the order in which it wants them. */
  readonly costs: readonly number[];
}

/** A run that was chosen. */
export interface Choice {
  readonly tenantId: string;
  /** Which of its tenant's runs, from 0. */
  readonly place: number;
  readonly startTag: number;
  /** The tenant's virtual time from now on. */
  readonly v: number;
}

/** Where a run of the tenant begins on the clock's scale. */
export function startTag(clock: number, v: number): number {
  return Math.max(clock, v);
}

/** The next `limit` runs: the smallest start tag first, then whoever was served longest ago, then by id. */
export function chooseFairly(contenders: readonly Contender[], clock: number, limit: number): Choice[] {
  const standing = contenders.map((contender) => ({
    ...contender,
    tag: startTag(clock, contender.v),
    place: 0,
    last: contender.served,
  }));
  const choices: Choice[] = [];
  let n = standing.reduce((max, { served }) => Math.max(max, served), 0);
  while (choices.length < limit) {
    const [next] = standing
      .filter(({ place, costs }) => place < costs.length)
      .sort((a, b) => a.tag - b.tag || a.last - b.last || (a.tenantId < b.tenantId ? -1 : 1));
    if (next === undefined) break;
    n += 1;
    const v = next.tag + (next.costs[next.place] ?? 0) / next.weight;
    choices.push({ tenantId: next.tenantId, place: next.place, startTag: next.tag, v });
    next.tag = v;
    next.place += 1;
    next.last = n;
  }
  return choices;
}

/** What is known of a kind of runs. */
export interface Typical {
  /** How many of them have succeeded. */
  readonly runs: number;
  readonly seconds: number;
}

/** The typical seconds once more runs have succeeded: their plain mean at first, then one that follows the newer ones. */
export function typicalAfter(before: Typical, news: Typical): Typical {
  const runs = before.runs + news.runs;
  if (news.runs === 0) return before;
  const share = Math.max(news.runs / runs, 1 - (1 - TYPICAL_PACE) ** news.runs);
  return { runs, seconds: before.seconds + share * (news.seconds - before.seconds) };
}

/** A tenant's allowance of seconds on one day by UTC; what is reserved for runs in work counts as used. */
export interface DayAllowance {
  /** Null for no bound. */
  readonly limit: number | null;
  readonly committed: number;
}

/**
 * Whether a run that is thought to cost so much may start. One that is larger than the whole allowance may when nothing of the
 * day is used, or it would wait for ever.
 */
export function fitsDay({ limit, committed }: DayAllowance, cost: number): boolean {
  return limit === null || committed + cost <= limit || (committed === 0 && limit > 0);
}
