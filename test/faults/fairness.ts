/** One change of a tenant's share, as `share_entry` keeps it. Times are milliseconds. */
export interface ShareChange {
  readonly n: number;
  readonly tenantId: string;
  readonly kind: "CLAIM" | "CORRECTION";
  readonly amount: number;
  readonly startTag: number;
  readonly at: number;
}

/** A time in which a run could surely have been claimed. */
export interface Wait {
  readonly tenantId: string;
  readonly from: number;
  /** The number of the claim that ended it. */
  readonly claim: number | null;
  /** When it ended otherwise; null while it lasts. */
  readonly until: number | null;
}

/** A time in which a run was in work: from a claim to its end. */
export interface Work {
  readonly tenantId: string;
  readonly claim: number;
  readonly until: number | null;
}

/** All that a replay of the claims needs. */
export interface ShareHistory {
  /** In the order of `n`. */
  readonly changes: readonly ShareChange[];
  readonly waits: readonly Wait[];
  readonly works: readonly Work[];
  /** Runs that a tenant may have in work at most, for those that have a bound. */
  readonly runningMax: ReadonlyMap<string, number>;
  /** Tenants whose eligibility cannot be told from the history, because their compute is bounded. */
  readonly untold: ReadonlySet<string>;
}

/** What a replay found. */
export interface Replay {
  readonly breaches: readonly object[];
  /** Claims at which at least one other tenant was surely eligible: how much the absence of breaches says. */
  readonly contested: number;
  readonly v: ReadonlyMap<string, number>;
  readonly clock: number;
}

/** Transactions become visible after the times in their rows; what is nearer than this to a claim is not judged. */
export const SLACK_MS = 1_000;
const EPSILON = 1e-6;

/**
 * Goes through every claim again: each must have taken the eligible tenant with the smallest start tag, which is the larger
 * of the clock and the tenant's own virtual time, and the figures kept must be those that follow from the ones before.
 */
export function replayShares(history: ShareHistory): Replay {
  const shares = new Shares(history);
  for (const change of history.changes) shares.take(change);
  return shares;
}

class Shares implements Replay {
  readonly breaches: object[] = [];
  readonly v = new Map<string, number>();
  contested = 0;
  clock = 0;
  private readonly eligible: Eligible;
  /** False for an audit whose beginning was pruned: then each tenant's time is known from its first entry on. */
  private readonly whole: boolean;
  private last: number;

  constructor(history: ShareHistory) {
    const first = history.changes[0]?.n ?? 1;
    this.eligible = new Eligible(history);
    this.whole = first === 1;
    this.last = first - 1;
  }

  take(change: ShareChange): void {
    const { n, tenantId, startTag, amount } = change;
    if (n !== this.last + 1) this.breaches.push({ n, missing: `${this.last + 1} to ${n - 1}` });
    this.last = n;
    const wanted = this.tagOf(tenantId);
    if (wanted !== undefined && differ(wanted, startTag)) this.breaches.push({ ...change, wanted });
    if (change.kind === "CORRECTION") {
      this.v.set(tenantId, (this.v.get(tenantId) ?? startTag) + amount);
      return;
    }
    this.compare(change);
    this.clock = Math.max(this.clock, startTag);
    this.v.set(tenantId, startTag + amount);
  }

  private compare(change: ShareChange): void {
    const others = this.eligible.at(change);
    if (others.length > 0) this.contested += 1;
    for (const passedOver of others) {
      const itsTag = this.tagOf(passedOver);
      const isLess = itsTag !== undefined && itsTag < change.startTag && differ(itsTag, change.startTag);
      if (isLess) this.breaches.push({ ...change, passedOver, itsTag });
    }
  }

  private tagOf(tenantId: string): number | undefined {
    const time = this.v.get(tenantId) ?? (this.whole ? 0 : undefined);
    return time === undefined ? undefined : Math.max(this.clock, time);
  }
}

function differ(one: number, other: number): boolean {
  return Math.abs(one - other) > EPSILON * Math.max(1, Math.abs(one), Math.abs(other));
}

/** Says, claim by claim, which other tenants had a run that could surely have been taken. */
class Eligible {
  private readonly coming: Wait[];
  private readonly waiting = new Map<string, Set<Wait>>();

  constructor(private readonly history: ShareHistory) {
    this.coming = history.waits.toSorted((one, other) => other.from - one.from);
  }

  at({ n, tenantId, at }: ShareChange): string[] {
    for (let next = this.coming.at(-1); next !== undefined && next.from + SLACK_MS <= at; next = this.coming.at(-1)) {
      this.coming.pop();
      const waits = this.waiting.get(next.tenantId) ?? new Set();
      this.waiting.set(next.tenantId, waits.add(next));
    }
    return [...this.waiting.keys()].filter(
      (other) =>
        other !== tenantId && !this.history.untold.has(other) && this.waits(other, n, at) && this.has(other, n, at),
    );
  }

  private waits(tenantId: string, n: number, at: number): boolean {
    const waits = this.waiting.get(tenantId);
    for (const wait of waits ?? []) {
      const lasts = wait.claim === null ? wait.until === null || at + SLACK_MS <= wait.until : n < wait.claim;
      if (lasts) return true;
      waits?.delete(wait);
    }
    return false;
  }

  /** Whether the tenant had room for one more run in work. */
  private has(tenantId: string, n: number, at: number): boolean {
    const max = this.history.runningMax.get(tenantId);
    if (max === undefined) return true;
    const busy = this.history.works.filter(
      (work) => work.tenantId === tenantId && work.claim < n && (work.until === null || work.until + SLACK_MS >= at),
    );
    return busy.length < max;
  }
}
