import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type ChannelCredentials, credentials, Metadata } from "@grpc/grpc-js";
import { PodClient, PodError, type PodTls } from "../src/dispatch/pod.js";
import { projectFolder } from "../src/embedded/project.js";
import { PodServiceClient } from "../src/gen/assay/pod/v1/pod_service.js";
import { Authority, type Certificate, type Subject } from "./support/certificates.js";
import { Processes, statusOf, type TestProcess } from "./support/processes.js";

const folder = mkdtempSync(join(tmpdir(), "assay-pod-role-"));
const processes = new Processes(folder);
after(async () => {
  await processes.close();
  rmSync(folder, { recursive: true, force: true });
});

const podProcess = (name: string, env: Readonly<Record<string, string>>): TestProcess =>
  processes.make({
    name,
    args: () => [join(projectFolder(), "dist", "src", "assay.js"), "pod"],
    env: () => ({
      ASSAY_POD_LISTEN: "127.0.0.1:0",
      ASSAY_POD_DEVICE: "cpu",
      ASSAY_HEALTH_PORT: "0",
      ASSAY_DATA_DIR: join(folder, "data"),
      ASSAY_MODEL_CACHE: join(folder, "models"),
      OMP_WAIT_POLICY: "PASSIVE",
      ...env,
    }),
  });

const CALL_MS = 20_000;

describe("a pod that is reached over TLS", () => {
  const authority = new Authority("Test authority");
  const stranger = new Authority("Another authority");
  const ours = authority.issue({ names: ["dispatcher.test"] });
  let pod: TestProcess;
  const clients: { close(): void }[] = [];

  before(async () => {
    const { cert, key } = authority.issue({ names: ["pods.test"] });
    for (const [name, text] of Object.entries({ "ca.pem": authority.cert, "cert.pem": cert, "key.pem": key })) {
      writeFileSync(join(folder, name), text, { mode: 0o600 });
    }
    pod = podProcess("tls", {
      ASSAY_POD_TLS_CA: join(folder, "ca.pem"),
      ASSAY_POD_TLS_CERT: join(folder, "cert.pem"),
      ASSAY_POD_TLS_KEY: join(folder, "key.pem"),
      ASSAY_POD_TLS_CLIENT_NAME: "dispatcher.test",
    });
    await (await pod.start()).ready();
  });
  after(() => {
    for (const client of clients) client.close();
  });

  const dial = (tls?: Partial<PodTls>): Promise<unknown> => {
    const whole = { ca: authority.cert, ...ours, serverName: "pods.test", ...tls };
    const client = new PodClient(String(pod.where.address), tls === undefined ? undefined : whole);
    clients.push(client);
    return client.describe(CALL_MS);
  };
  const refused = async (call: Promise<unknown>): Promise<void> => {
    await assert.rejects(call, (error) => error instanceof PodError && error.kind === "UNREACHABLE");
  };

  it("takes calls from a dispatcher whose certificate is of its authority, and is ready", async () => {
    assert.match(JSON.stringify(await dial({})), /"slots":2/);
    assert.equal(await statusOf(`${pod.where.url}/readyz`), 200);
    assert.equal(await statusOf(`${pod.where.url}/healthz`), 200);
  });

  it("refuses a connection without TLS", async () => {
    await refused(dial());
  });

  it("refuses a client that shows no certificate", async () => {
    const options = { "grpc.ssl_target_name_override": "pods.test" };
    const bare: ChannelCredentials = credentials.createSsl(authority.cert);
    const client = new PodServiceClient(String(pod.where.address), bare, options);
    clients.push(client);
    const call = new Promise((resolve, reject) => {
      client.describePod({}, new Metadata(), { deadline: Date.now() + CALL_MS }, (error, said) =>
        error ? reject(error) : resolve(said),
      );
    });
    await assert.rejects(call, { code: 14 }); // UNAVAILABLE
  });

  const wrong: readonly (readonly [string, Authority, Subject])[] = [
    ["of another authority", stranger, { names: ["dispatcher.test"] }],
    ["whose time is over", authority, { names: ["dispatcher.test"], expired: true }],
  ];
  for (const [what, from, subject] of wrong) {
    it(`refuses a client with a certificate ${what}`, async () => {
      const shown: Certificate = from.issue(subject);
      await refused(dial(shown));
    });
  }

  it("refuses the calls of a client of its authority that is no dispatcher", async () => {
    const call = dial(authority.issue({ names: ["gateway.test"] }));
    await assert.rejects(call, /PERMISSION_DENIED: wanted the certificate of a dispatcher/);
  });

  it("is refused by a dispatcher that wants another name, or another authority, in its certificate", async () => {
    await refused(dial({ serverName: "other.test" }));
    await refused(dial({ serverName: undefined })); // the address that is dialled, which the certificate is not for
    await refused(dial({ ca: stranger.cert }));
  });

  it("ends with the exit code 0 when it is asked to", async () => {
    assert.deepEqual(await pod.terminate(), { code: 0, signal: null });
  });
});

describe("assay pod", () => {
  it("takes no connection from elsewhere without TLS, and ends with the pod's own exit code", async () => {
    const pod = podProcess("open", { ASSAY_POD_LISTEN: "0.0.0.0:0" }).launch();
    assert.deepEqual(await pod.whenEnded(), { code: 2, signal: null });
    assert.match(pod.said(), /wanted a loopback address for a pod without --tls files/);
  });

  it("holds no login of the database and knows no Kafka", async () => {
    const env = { ASSAY_DATABASE_WORK_PASSWORD: "canary", ASSAY_KAFKA_BROKERS: "127.0.0.1:1" };
    const pod = podProcess("greedy", env).launch();
    assert.deepEqual(await pod.whenEnded(), { code: 78, signal: null });
    assert.match(pod.said(), /ASSAY_DATABASE_WORK_PASSWORD: wanted it unset, for a pod has no database and no Kafka/);
    assert.match(pod.said(), /ASSAY_KAFKA_BROKERS: wanted it unset/);
    assert.doesNotMatch(pod.said(), /canary/);
  });
});
