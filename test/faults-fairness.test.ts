import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  replayShares,
  type ShareChange,
  type ShareHistory,
  SLACK_MS,
  type Wait,
  type Work,
} from "./faults/fairness.js";

const HOUR = 3_600_000;
const none = { works: [] as Work[], runningMax: new Map<string, number>(), untold: new Set<string>() };

/** A claim of a ten-second run at so many minutes. */
function claim(n: number, tenantId: string, startTag: number, minutes = n): ShareChange {
  return { n, tenantId, kind: "CLAIM", amount: 10, startTag, at: HOUR + minutes * 60_000 };
}

/** A run that waits from the beginning until it is claimed. */
function waits(tenantId: string, claimedAs: number | null): Wait {
  return { tenantId, from: 0, claim: claimedAs, until: null };
}

describe("the replay of claims", () => {
  const turns: ShareHistory = {
    ...none,
    changes: [claim(1, "a", 0), claim(2, "b", 0), claim(3, "a", 10), claim(4, "b", 10)],
    waits: [waits("a", 1), waits("a", 3), waits("b", 2), waits("b", 4)],
  };

  it("finds nothing wrong with tenants who take turns, and says how many claims were contested", () => {
    assert.deepEqual(replayShares(turns).breaches, []);
    assert.equal(replayShares(turns).contested, 3);
    assert.deepEqual(Object.fromEntries(replayShares(turns).v), { a: 20, b: 20 });
  });

  it("catches a tenant who was served again while another with less was waiting", () => {
    const unfair = { ...turns, changes: [claim(1, "a", 0), claim(2, "a", 10), claim(3, "b", 10)] };
    const { breaches } = replayShares({ ...unfair, waits: [waits("a", 1), waits("a", 2), waits("b", 3)] });
    assert.deepEqual(
      breaches.map((row) => ("passedOver" in row ? row.passedOver : row)),
      ["b"],
    );
  });

  it("catches a start tag that does not follow, and a number that is missing", () => {
    const early = { ...turns, changes: [claim(1, "a", 0), claim(2, "a", 4)] };
    assert.equal(replayShares({ ...early, waits: [] }).breaches.length, 1);
    const gap = { ...turns, changes: [claim(1, "a", 0), claim(3, "a", 10)] };
    assert.deepEqual(replayShares({ ...gap, waits: [] }).breaches, [{ n: 3, missing: "2 to 2" }]);
  });

  it("lets an idle tenant come back at the clock, not with what it saved up", () => {
    const back = [claim(1, "a", 0), claim(2, "a", 10), claim(3, "a", 20), claim(4, "b", 20)];
    const history = { ...none, changes: back, waits: [waits("a", 1), waits("a", 2), waits("a", 3)] };
    const from = HOUR + 3.5 * 60_000;
    assert.deepEqual(replayShares({ ...history, waits: [...history.waits, { ...waits("b", 4), from }] }).breaches, []);
    const saved = { ...history, changes: [...back.slice(0, 3), claim(4, "b", 0)] };
    assert.equal(replayShares(saved).breaches.length, 1);
  });

  it("adds corrections to the share and not to the clock", () => {
    const correction: ShareChange = { ...claim(2, "a", 10), kind: "CORRECTION", amount: -8 };
    const history = { ...none, changes: [claim(1, "a", 0), correction, claim(3, "a", 2)], waits: [] };
    assert.deepEqual(replayShares(history).breaches, []);
    assert.equal(
      replayShares({ ...history, changes: [claim(1, "a", 0), correction, claim(3, "a", 10)] }).breaches.length,
      1,
    );
  });

  it("does not judge what a claim may not have seen, could not take, or could not pay", () => {
    const changes = [claim(1, "a", 0), claim(2, "a", 10)];
    const at = changes[1]?.at ?? 0;
    const own = [waits("a", 1), waits("a", 2)];
    const recent: Wait = { ...waits("b", null), from: at - SLACK_MS + 1 };
    const leaving: Wait = { ...waits("b", null), until: at + SLACK_MS - 1 };
    for (const wait of [recent, leaving]) {
      assert.deepEqual(replayShares({ ...none, changes, waits: [...own, wait] }).breaches, []);
    }
    const capped = { ...none, changes, waits: [...own, waits("b", null)], runningMax: new Map([["b", 1]]) };
    const first = { ...claim(0, "b", 0), amount: 0 };
    const busy: Work = { tenantId: "b", claim: 0, until: null };
    assert.deepEqual(replayShares({ ...capped, changes: [first, ...changes], works: [busy] }).breaches.length, 0);
    assert.equal(replayShares({ ...capped, works: [] }).breaches.length, 1);
    const bounded = { ...none, changes, waits: [...own, waits("b", null)], untold: new Set(["b"]) };
    assert.deepEqual(replayShares(bounded).breaches, []);
  });

  it("takes a pruned audit from where it begins", () => {
    const changes = [claim(7, "a", 50), claim(8, "b", 55), claim(9, "a", 60)];
    assert.deepEqual(replayShares({ ...none, changes, waits: [] }).breaches, []);
    const wrong = [claim(7, "a", 50), claim(8, "b", 55), claim(9, "a", 58)];
    assert.equal(replayShares({ ...none, changes: wrong, waits: [] }).breaches.length, 1);
  });
});

interface Queue {
  readonly tenantId: string;
  readonly weight: number;
  readonly costs: readonly number[];
}

/** Claims everything by start tags, in the order that `choose` gives; all runs wait from the beginning. */
function scheduled(queues: readonly Queue[], choose: (tags: readonly number[], turn: number) => number): ShareHistory {
  const v = new Map<string, number>();
  const left = new Map(queues.map((queue) => [queue, [...queue.costs]]));
  const changes: ShareChange[] = [];
  const claimed: Wait[] = [];
  let clock = 0;
  for (;;) {
    const active = queues.filter((queue) => left.get(queue)?.length);
    const tags = active.map(({ tenantId }) => Math.max(clock, v.get(tenantId) ?? 0));
    const at = active.length === 0 ? -1 : choose(tags, changes.length);
    const queue = active[at];
    const startTag = tags[at];
    if (queue === undefined || startTag === undefined) return { ...none, changes, waits: claimed };
    const amount = (left.get(queue)?.shift() ?? 0) / queue.weight;
    const n = changes.length + 1;
    changes.push({ ...claim(n, queue.tenantId, startTag), amount });
    claimed.push(waits(queue.tenantId, n));
    clock = startTag;
    v.set(queue.tenantId, startTag + amount);
  }
}

const queuesArbitrary = fc
  .array(
    fc.record({
      weight: fc.constantFrom(0.5, 1, 2, 3),
      costs: fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 12 }),
    }),
    { minLength: 2, maxLength: 4 },
  )
  .map((queues) => queues.map((queue, i): Queue => ({ ...queue, tenantId: `tenant ${i}` })));

describe("whatever is queued", () => {
  it("claims by the smallest start tag are found fair", () => {
    fc.assert(
      fc.property(queuesArbitrary, (queues) => {
        const history = scheduled(queues, (tags) => tags.indexOf(Math.min(...tags)));
        assert.deepEqual(replayShares(history).breaches, []);
      }),
    );
  });

  it("one claim by a larger start tag is found", () => {
    fc.assert(
      fc.property(queuesArbitrary, fc.nat(10), (queues, turn) => {
        let unfair = false;
        const history = scheduled(queues, (tags, now) => {
          const least = tags.indexOf(Math.min(...tags));
          const most = tags.indexOf(Math.max(...tags));
          // Sums of the same value may differ in their last bits; claims in either order are fair then.
          const isTie = Math.max(...tags) - Math.min(...tags) < 1e-6;
          if (now !== turn || isTie) return least;
          unfair = true;
          return most;
        });
        assert.equal(replayShares(history).breaches.length > 0, unfair);
      }),
    );
  });
});
