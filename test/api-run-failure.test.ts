import "reflect-metadata";
import assert from "node:assert/strict";
import { test } from "node:test";
import { failureOf } from "../src/api/run/failure.type.js";

const nothing = { errorClass: null, errorCode: null, errorMessage: null, errorStage: null };

test("a run whose pods were lost says so; one that nothing happened to says nothing", () => {
  assert.equal(failureOf(nothing), null);
  const lost = failureOf({ ...nothing, errorCode: "LEASE_EXPIRED", errorMessage: "the pod was not heard of" });
  assert.deepEqual(
    [lost?.__typename, lost?.code, lost?.message, lost?.retryable],
    ["WorkFailure", "LEASE_EXPIRED", "the pod was not heard of", true],
  );
});
