import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import {
  readDispatcherConfig,
  readGatewayConfig,
  readMigrateConfig,
  readPodConfig,
  readRelayConfig,
} from "../src/config/roles.js";
import type { Variables } from "../src/config/settings.js";
import { AssayError } from "../src/errors.js";

const folder = mkdtempSync(join(tmpdir(), "assay-config-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

const where = { ASSAY_DATABASE_HOST: "db.example", ASSAY_KAFKA_BROKERS: "kafka.example:9092" };
const app = { ...where, ASSAY_DATABASE_APP_PASSWORD: "canary" };
const work = { ...where, ASSAY_DATABASE_WORK_PASSWORD: "canary" };
const pods = { ...work, ASSAY_PODS: "10.0.0.1:4100" };
const tls = {
  ASSAY_POD_TLS_CA: file("ca.pem", "ca"),
  ASSAY_POD_TLS_CERT: file("cert.pem", "cert"),
  ASSAY_POD_TLS_KEY: file("key.pem", "key"),
};

/** The sentences of the refusal. */
function faultsOf(read: (env: Variables) => unknown, env: Variables): string {
  try {
    read(env);
  } catch (error) {
    assert.ok(error instanceof AssayError && error.code === "CONFIG_INVALID");
    assert.doesNotMatch(error.message, /canary/);
    return error.message;
  }
  return "";
}

describe("the login of a role", () => {
  it("is its own, with the place that all share", () => {
    assert.deepEqual(readGatewayConfig(app).database, {
      host: "db.example",
      port: 5432,
      database: "assay",
      user: "assay_app",
      password: "canary",
      tls: undefined,
    });
    assert.equal(readRelayConfig(work).database.user, "assay_work");
    const owner = { ...where, ASSAY_DATABASE_OWNER_PASSWORD: "canary" };
    assert.equal(readMigrateConfig(owner).database.user, "assay_owner");
  });

  it("honours port, name, authority and a password in a file, without its last line end", () => {
    const { database } = readRelayConfig({
      ...where,
      ASSAY_DATABASE_PORT: "6543",
      ASSAY_DATABASE_NAME: "blue",
      ASSAY_DATABASE_TLS: "true",
      ASSAY_DATABASE_TLS_CA: file("db-ca.pem", "authority"),
      ASSAY_DATABASE_WORK_PASSWORD_FILE: file("password", "canary \n"),
    });
    assert.deepEqual(database, {
      host: "db.example",
      port: 6543,
      database: "blue",
      user: "assay_work",
      password: "canary ",
      tls: { ca: "authority" },
    });
  });

  it("is refused where its password is missing, double, empty or not to be read, or where the authority serves nothing", () => {
    const name = "ASSAY_DATABASE_WORK_PASSWORD";
    assert.match(faultsOf(readRelayConfig, where), /WORK_PASSWORD: wanted the password of assay_work, here or in/);
    const double = { ...work, [`${name}_FILE`]: file("again", "canary") };
    assert.match(faultsOf(readRelayConfig, double), /wanted it alone or ASSAY_DATABASE_WORK_PASSWORD_FILE alone/);
    const empty = { ...where, [`${name}_FILE`]: file("empty", "\n") };
    assert.match(faultsOf(readRelayConfig, empty), /but it is empty/);
    const gone = { ...where, [`${name}_FILE`]: join(folder, "gone") };
    assert.match(faultsOf(readRelayConfig, gone), /wanted a file that can be read, but got .*ENOENT/);
    const idle = { ...work, ASSAY_DATABASE_TLS_CA: tls.ASSAY_POD_TLS_CA };
    assert.match(faultsOf(readRelayConfig, idle), /ASSAY_DATABASE_TLS: wanted true beside ASSAY_DATABASE_TLS_CA/);
  });

  it("comes without those of the others, in variables and in files", () => {
    const greedy = { ...app, ASSAY_DATABASE_WORK_PASSWORD: "canary", ASSAY_DATABASE_OWNER_PASSWORD_FILE: "/canary" };
    const message = faultsOf(readGatewayConfig, greedy);
    assert.match(message, /ASSAY_DATABASE_WORK_PASSWORD: wanted it unset, for this role logs in as assay_app alone/);
    assert.match(message, /ASSAY_DATABASE_OWNER_PASSWORD_FILE: wanted it unset/);
    assert.match(faultsOf(readDispatcherConfig, { ...pods, ASSAY_DATABASE_APP_PASSWORD: "canary" }), /APP_PASSWORD/);
  });
});

describe("a gateway", () => {
  it("honours each variable", () => {
    const config = readGatewayConfig({
      ...app,
      ASSAY_HOST: "0.0.0.0",
      ASSAY_PORT: "8080",
      ASSAY_PUBLIC_URL: "https://assay.example/",
      ASSAY_ALLOW_LOCAL_MODELS: "true",
      ASSAY_DRAIN_MS: "0",
    });
    const { host, port, publicUrl, allowLocalModels, drainMs } = config;
    assert.deepEqual(
      [host, port, publicUrl, allowLocalModels, drainMs],
      ["0.0.0.0", 8080, "https://assay.example", true, 0],
    );
  });

  it("has documented defaults", () => {
    const { host, port, publicUrl, allowLocalModels, drainMs } = readGatewayConfig(app);
    assert.deepEqual([host, port, publicUrl, allowLocalModels, drainMs], ["127.0.0.1", 4000, undefined, false, 5_000]);
  });

  it("refuses an address for clients that is none", () => {
    assert.match(
      faultsOf(readGatewayConfig, { ...app, ASSAY_PUBLIC_URL: "assay.example" }),
      /ASSAY_PUBLIC_URL: wanted/,
    );
  });
});

describe("a dispatcher", () => {
  it("honours each variable", () => {
    const config = readDispatcherConfig({
      ...work,
      ...tls,
      ASSAY_POD_TLS_NAME: "pods.example",
      ASSAY_PODS: "10.0.0.1:4100, dns:assay-pods:4100,[::1]:4101",
      ASSAY_DISPATCHER_BEAT_MS: "700",
      ASSAY_LEASE_TTL_MS: "60000",
      ASSAY_BEAT_MS: "10000",
      ASSAY_HOST: "0.0.0.0",
      ASSAY_HEALTH_PORT: "4321",
    });
    assert.deepEqual(config.pods, [
      { address: "10.0.0.1:4100" },
      { name: "assay-pods", port: 4100 },
      { address: "[::1]:4101" },
    ]);
    const [ca, cert, key] = ["ca", "cert", "key"].map((text) => Buffer.from(text));
    assert.deepEqual(config.podTls, { ca, cert, key, serverName: "pods.example" });
    assert.deepEqual([config.dispatcherBeatMs, config.leaseTtlMs, config.beatIntervalMs], [700, 60_000, 10_000]);
    assert.deepEqual(config.health, { host: "0.0.0.0", port: 4321 });
  });

  it("beats often enough for a sibling to adopt its leases before they run out", () => {
    assert.equal(readDispatcherConfig(pods).dispatcherBeatMs, 5_000);
    assert.equal(readDispatcherConfig({ ...pods, ASSAY_LEASE_TTL_MS: "15000" }).dispatcherBeatMs, 2_500);
    const slow = { ...pods, ASSAY_DISPATCHER_BEAT_MS: "5001" };
    assert.match(faultsOf(readDispatcherConfig, slow), /at most a sixth of ASSAY_LEASE_TTL_MS \(30000\), but got 5001/);
  });

  it("refuses places that are none, half of TLS, and names without a certificate to expect", () => {
    for (const places of ["", "pod", "pod:0", "pod:70000", "dns:pod", "http://pod:1", "pod:1,"]) {
      assert.match(faultsOf(readDispatcherConfig, { ...pods, ASSAY_PODS: places }), /ASSAY_PODS: wanted/, places);
    }
    const half = { ...pods, ...tls, ASSAY_POD_TLS_KEY: "" };
    assert.match(faultsOf(readDispatcherConfig, half), /ASSAY_POD_TLS_KEY: wanted .* together/);
    const nameless = { ...pods, ...tls, ASSAY_PODS: "dns:assay-pods:4100" };
    assert.match(faultsOf(readDispatcherConfig, nameless), /ASSAY_POD_TLS_NAME: wanted the name in the pods/);
    const idle = { ...pods, ASSAY_POD_TLS_NAME: "pods.example" };
    assert.match(faultsOf(readDispatcherConfig, idle), /ASSAY_POD_TLS_NAME: wanted .* beside it/);
  });
});

describe("a pod", () => {
  it("honours each variable", () => {
    const config = readPodConfig({
      ...tls,
      ASSAY_POD_LISTEN: "0.0.0.0:4100",
      ASSAY_POD_SLOTS: "3",
      ASSAY_POD_DEVICE: "cuda",
      ASSAY_MODEL_CACHE: "/models",
      ASSAY_ARTIFACTS: "/artifacts",
    });
    const { listen, slots, device, modelCache, artifactsDir } = config;
    assert.deepEqual(
      [listen, slots, device, modelCache, artifactsDir],
      ["0.0.0.0:4100", 3, "cuda", "/models", "/artifacts"],
    );
    const { ASSAY_POD_TLS_CA: ca, ASSAY_POD_TLS_CERT: cert, ASSAY_POD_TLS_KEY: key } = tls;
    assert.deepEqual(config.tls, { ca, cert, key, clientName: undefined });
    const named = readPodConfig({ ...tls, ASSAY_POD_TLS_CLIENT_NAME: "dispatcher.test" });
    assert.equal(named.tls?.clientName, "dispatcher.test");
    const idle = { ASSAY_POD_TLS_CLIENT_NAME: "dispatcher.test" };
    assert.match(faultsOf(readPodConfig, idle), /ASSAY_POD_TLS_CLIENT_NAME: wanted .* beside it/);
  });

  it("refuses half of TLS, a device that is none, and any login", () => {
    const message = faultsOf(readPodConfig, {
      ASSAY_POD_TLS_CA: tls.ASSAY_POD_TLS_CA,
      ASSAY_POD_DEVICE: "tpu",
      ASSAY_DATABASE_WORK_PASSWORD: "canary",
    });
    assert.match(message, /wanted them together, but got 1 of them/);
    assert.match(message, /ASSAY_POD_DEVICE: wanted auto, cpu or cuda, but got "tpu"/);
    assert.match(message, /ASSAY_DATABASE_WORK_PASSWORD: wanted it unset/);
  });
});
