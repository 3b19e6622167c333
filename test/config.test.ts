import assert from "node:assert/strict";
import { test } from "node:test";
import { readConfig } from "../src/config/embedded.js";
import { AssayError } from "../src/errors.js";

test("an empty environment gives the documented defaults", () => {
  const config = readConfig({});
  assert.equal(config.port, 4000);
  assert.equal(config.host, "127.0.0.1");
  assert.ok(config.dataDir.endsWith("/.assay"));
  assert.equal(config.podSlots, 2);
  assert.equal(config.kafka, undefined);
  assert.deepEqual(config.artifacts, { kind: "FOLDER", path: `${config.dataDir}/artifacts` });
  assert.ok(Object.isFrozen(config));
});

test("each variable is honoured", () => {
  const config = readConfig({
    ASSAY_HOST: "::1",
    ASSAY_PORT: "0",
    ASSAY_DATA_DIR: "/tmp/elsewhere",
    ASSAY_ARTIFACTS: "/tmp/files",
    ASSAY_MODEL_CACHE: "/tmp/models",
    ASSAY_POD_SLOTS: "5",
    ASSAY_LEASE_TTL_MS: "3000",
    ASSAY_BEAT_MS: "500",
    ASSAY_RUN_LIMIT_MS: "60000",
    ASSAY_CHECKPOINT_SECONDS: "7",
    ASSAY_GRACE_SECONDS: "0",
    ASSAY_HISTORY_DAYS: "90",
    ASSAY_MESSAGE_DAYS: "14",
    ASSAY_KAFKA_BROKERS: "one.example:9092, [::1]:9093",
    ASSAY_KAFKA_TLS: "true",
    ASSAY_KAFKA_PREFIX: "blue.",
    ASSAY_KAFKA_SASL_MECHANISM: "scram-sha-512",
    ASSAY_KAFKA_SASL_USERNAME: "assay",
    ASSAY_KAFKA_SASL_PASSWORD: "canary",
  });
  assert.deepEqual(config, {
    host: "::1",
    port: 0,
    dataDir: "/tmp/elsewhere",
    artifacts: { kind: "FOLDER", path: "/tmp/files" },
    podFolder: "/tmp/files",
    modelCache: "/tmp/models",
    podSlots: 5,
    leaseTtlMs: 3000,
    beatIntervalMs: 500,
    runLimitMs: 60_000,
    checkpointSeconds: 7,
    graceSeconds: 0,
    historyDays: 90,
    messageDays: 14,
    kafka: {
      brokers: ["one.example:9092", "[::1]:9093"],
      tls: true,
      prefix: "blue.",
      sasl: { mechanism: "scram-sha-512", username: "assay", password: "canary" },
    },
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

const faultOf = (env: Record<string, string>): string => {
  try {
    readConfig(env);
  } catch (error) {
    assert.ok(error instanceof AssayError);
    return error.message;
  }
  return "";
};

test("brokers alone are enough for Kafka", () => {
  const { kafka } = readConfig({ ASSAY_KAFKA_BROKERS: "localhost:9092" });
  assert.deepEqual(kafka, { brokers: ["localhost:9092"], tls: false, prefix: "", sasl: undefined });
});

test("settings of Kafka that cannot be meant are refused, and a password is never shown", () => {
  assert.match(faultOf({ ASSAY_KAFKA_TLS: "true" }), /ASSAY_KAFKA_TLS: wanted ASSAY_KAFKA_BROKERS beside it/);
  const message = faultOf({
    ASSAY_KAFKA_BROKERS: "localhost",
    ASSAY_KAFKA_TLS: "maybe",
    ASSAY_KAFKA_PREFIX: "a b",
    ASSAY_KAFKA_SASL_MECHANISM: "plain",
    ASSAY_KAFKA_SASL_PASSWORD: "canary",
  });
  assert.match(message, /ASSAY_KAFKA_BROKERS: wanted host:port, .* but got "localhost"/);
  assert.match(message, /ASSAY_KAFKA_TLS: wanted true or false, but got "maybe"/);
  assert.match(message, /ASSAY_KAFKA_PREFIX/);
  assert.match(message, /ASSAY_KAFKA_SASL_USERNAME: wanted the name of the login, but got none/);
  assert.doesNotMatch(message, /canary/);
  const unknown = {
    ASSAY_KAFKA_BROKERS: "a:1",
    ASSAY_KAFKA_SASL_MECHANISM: "gssapi",
    ASSAY_KAFKA_SASL_PASSWORD: "canary",
  };
  assert.match(
    faultOf(unknown),
    /ASSAY_KAFKA_SASL_MECHANISM: wanted plain, scram-sha-256 or scram-sha-512, but got "gssapi"/,
  );
  assert.doesNotMatch(faultOf(unknown), /canary/);
});

test("a bucket is named like in other programs, with a prefix if one is wanted", () => {
  const { artifacts, podFolder, dataDir } = readConfig({ ASSAY_ARTIFACTS: "s3://eval-files" });
  assert.equal(podFolder, `${dataDir}/artifacts`);
  assert.deepEqual(artifacts, {
    kind: "BUCKET",
    bucket: "eval-files",
    prefix: "",
    region: "us-east-1",
    endpoint: undefined,
  });
  const own = readConfig({
    ASSAY_ARTIFACTS: "s3://eval-files/team/assay/",
    ASSAY_S3_ENDPOINT: "https://files.example:9000/",
    ASSAY_S3_REGION: "eu-west-1",
    AWS_REGION: "eu-north-1",
  });
  assert.deepEqual(own.artifacts, {
    kind: "BUCKET",
    bucket: "eval-files",
    prefix: "team/assay/",
    region: "eu-west-1",
    endpoint: "https://files.example:9000",
  });
});

test("a bucket that cannot be meant, and an endpoint that pods would refuse, are told at the start", () => {
  for (const place of ["s3://", "s3://A_B", "s3://bucket/../up", "gs://bucket", "s3://bucket/a b"]) {
    assert.match(faultOf({ ASSAY_ARTIFACTS: place }), /ASSAY_ARTIFACTS: wanted a path or s3:\/\/bucket\/prefix/, place);
  }
  const endpoint = (url: string): string => faultOf({ ASSAY_ARTIFACTS: "s3://bucket", ASSAY_S3_ENDPOINT: url });
  assert.equal(endpoint("http://127.0.0.1:9000"), "");
  assert.match(endpoint("http://files.example:9000"), /wanted an https address, or http on this machine/);
  assert.match(endpoint("ftp://files.example"), /ASSAY_S3_ENDPOINT/);
  assert.doesNotMatch(endpoint("https://me:canary@files.example"), /canary/);
  assert.match(faultOf({ ASSAY_S3_ENDPOINT: "https://a.example" }), /wanted ASSAY_ARTIFACTS=s3:\/\/bucket beside it/);
});
