import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { testDatabases } from "./support/databases.js";
import { Delivery } from "./support/delivery.js";

const databases = await testDatabases();
const { newTenant } = databases;
const delivery = new Delivery(databases);

describe("a tenant with one run", () => {
  it("is served within two claims of the next free slot, behind 10,000 queued runs of another", async () => {
    const [big, small] = [await newTenant(), await newTenant()];
    await delivery.quota(big, { queued_max: 10_000 });
    await delivery.submit(big, 10_000);
    const [ended, ...working] = await delivery.claim(4);
    assert.ok(ended !== undefined && working.length === 3);
    await delivery.submit(small);
    await delivery.complete(ended);
    const next = [...(await delivery.claim()), ...(await delivery.claim())];
    assert.ok(next.some((run) => run.tenantId === small.tenantId));
    assert.ok(next.some((run) => run.tenantId === big.tenantId));
  });
});
