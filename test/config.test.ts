import assert from "node:assert/strict";
import { test } from "node:test";
import { readConfig } from "../src/config.js";
import { AssayError } from "../src/errors.js";

test("an empty environment gives the documented defaults", () => {
  const config = readConfig({});
  assert.equal(config.port, 4000);
  assert.equal(config.host, "127.0.0.1");
  assert.ok(config.dataDir.endsWith("/.assay"));
  assert.equal(config.podSlots, 2);
  assert.ok(Object.isFrozen(config));
});

test("each variable is honoured", () => {
  const config = readConfig({
    ASSAY_HOST: "::1",
    ASSAY_PORT: "0",
    ASSAY_DATA_DIR: "/tmp/elsewhere",
    ASSAY_MODEL_CACHE: "/tmp/models",
    ASSAY_POD_SLOTS: "5",
    ASSAY_LEASE_TTL_MS: "3000",
    ASSAY_BEAT_MS: "500",
    ASSAY_RUN_LIMIT_MS: "60000",
  });
  assert.deepEqual(config, {
    host: "::1",
    port: 0,
    dataDir: "/tmp/elsewhere",
    modelCache: "/tmp/models",
    podSlots: 5,
    leaseTtlMs: 3000,
    beatIntervalMs: 500,
    runLimitMs: 60_000,
  });
});

test("all faults are told together, each with what was wanted and what came", () => {
  assert.throws(
    () => readConfig({ ASSAY_PORT: "-1", ASSAY_POD_SLOTS: "many", ASSAY_LEASE_TTL_MS: "1500", ASSAY_BEAT_MS: "1000" }),
    (thrown) => {
      assert.ok(thrown instanceof AssayError);
      assert.equal(thrown.code, "CONFIG_INVALID");
      assert.match(thrown.message, /ASSAY_PORT: wanted an integer from 0 to 65535, but got "-1"/);
      assert.match(thrown.message, /ASSAY_POD_SLOTS/);
      assert.match(thrown.message, /ASSAY_BEAT_MS: wanted at most a third/);
      return true;
    },
  );
});
