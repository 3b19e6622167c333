import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Contender, chooseFairly, fitsDay, startTag, typicalAfter } from "../src/domain/share.js";

const amount = fc.double({ min: 0.01, max: 1_000, noNaN: true });
const tenants = fc.array(
  fc.record({
    v: fc.double({ min: 0, max: 1_000, noNaN: true }),
    weight: amount,
    costs: fc.array(amount, { maxLength: 20 }),
  }),
  { minLength: 1, maxLength: 6 },
);
const named = (list: readonly Omit<Contender, "tenantId" | "served">[]): Contender[] =>
  list.map((one, i) => ({ ...one, tenantId: `tenant${i}`, served: 0 }));

describe("choosing fairly", () => {
  it("never passes a smaller start tag over, and never moves the clock back", () => {
    fc.assert(
      fc.property(tenants, amount, fc.nat(30), (list, clock, limit) => {
        const contenders = named(list);
        const v = new Map(contenders.map((one) => [one.tenantId, one.v]));
        const left = new Map(contenders.map((one) => [one.tenantId, one.costs.length]));
        let now = clock;
        for (const choice of chooseFairly(contenders, clock, limit)) {
          assert.ok(choice.startTag >= now);
          for (const { tenantId } of contenders) {
            if (left.get(tenantId) === 0) continue;
            assert.ok(startTag(now, v.get(tenantId) ?? 0) >= choice.startTag);
          }
          now = choice.startTag;
          v.set(choice.tenantId, choice.v);
          left.set(choice.tenantId, (left.get(choice.tenantId) ?? 0) - 1);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("gives all that is wanted and no more, each tenant's runs in their order", () => {
    fc.assert(
      fc.property(tenants, fc.nat(60), (list, limit) => {
        const choices = chooseFairly(named(list), 0, limit);
        assert.equal(choices.length, Math.min(limit, list.flatMap((one) => one.costs).length));
        for (const own of Map.groupBy(choices, (choice) => choice.tenantId).values()) {
          assert.deepEqual(
            own.map((choice) => choice.place),
            own.map((_, i) => i),
          );
        }
      }),
    );
  });

  it("keeps what two busy tenants got within one run of each of their weights, at every moment", () => {
    fc.assert(
      fc.property(amount, amount, fc.array(amount, { minLength: 50, maxLength: 50 }), (one, other, costs) => {
        const contenders = named([one, other].map((weight) => ({ v: 0, weight, costs })));
        const most = Math.max(...costs);
        const got = new Map<string, number>();
        for (const { tenantId, place } of chooseFairly(contenders, 0, 50)) {
          got.set(tenantId, (got.get(tenantId) ?? 0) + (costs[place] ?? 0));
          const ahead = (got.get("tenant0") ?? 0) / one - (got.get("tenant1") ?? 0) / other;
          assert.ok(Math.abs(ahead) <= most / one + most / other + 1e-9);
        }
      }),
    );
  });
});

describe("a typical cost", () => {
  it("lies between what was known and what is new, and is the plain mean of the first runs", () => {
    fc.assert(
      fc.property(fc.nat(50), amount, fc.integer({ min: 1, max: 50 }), amount, (runs, seconds, more, newer) => {
        const after = typicalAfter({ runs, seconds }, { runs: more, seconds: newer });
        assert.equal(after.runs, runs + more);
        assert.ok(after.seconds >= Math.min(seconds, newer) - 1e-9 && after.seconds <= Math.max(seconds, newer) + 1e-9);
      }),
    );
    let known = { runs: 0, seconds: 0 };
    for (const seconds of [3, 5, 10]) known = typicalAfter(known, { runs: 1, seconds });
    assert.ok(Math.abs(known.seconds - 6) < 1e-9);
    assert.deepEqual(typicalAfter(known, { runs: 0, seconds: 0 }), known);
  });
});

describe("the allowance of a day", () => {
  it("lets start what it has room for, and one run that is larger than all of it when nothing is used", () => {
    assert.equal(fitsDay({ limit: null, committed: 1e9 }, 1e9), true);
    assert.equal(fitsDay({ limit: 10, committed: 7 }, 3), true);
    assert.equal(fitsDay({ limit: 10, committed: 7 }, 3.1), false);
    assert.equal(fitsDay({ limit: 10, committed: 0 }, 11), true);
    assert.equal(fitsDay({ limit: 0, committed: 0 }, 0.01), false);
  });
});
