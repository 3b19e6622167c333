import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { newId } from "../src/domain/digest.js";
import { type Holder, testApi } from "./support/api.js";
import { Delivery } from "./support/delivery.js";
import { data, ERRORS, specFor, submit } from "./support/requests.js";

const test = await testApi();
const { databases, newHolder } = test;
const delivery = new Delivery(databases);

interface Seen {
  readonly state: string;
  readonly runs: readonly { readonly id: string; readonly state: string }[];
  readonly letters: readonly { readonly id: string; readonly replayedAt: string | null }[];
}

const SEEN = `query ($id: ID!) {
  experiment(id: $id) { state runs(first: 100) { edges { node { id state } } } }
  deadLetters(first: 100, filter: { experimentId: $id }) { edges { node { id replayedAt } } }
}`;

/** An experiment, its runs and its dead letters. */
async function seen(holder: Holder, id: string): Promise<Seen> {
  const { experiment, deadLetters } = await data(test, holder, SEEN, { id });
  const nodes = <Node>({ edges }: { edges: { node: Node }[] }): Node[] => edges.map(({ node }) => node);
  return { state: experiment.state, runs: nodes(experiment.runs), letters: nodes(deadLetters) };
}

async function submitted(holder: Holder): Promise<string> {
  const spec = { ...(await specFor(test, holder)), options: { reuse: "NEVER", maxAttempts: 1 } };
  const { experiment, errors } = await submit(test, holder, { spec, idempotencyKey: newId() });
  assert.deepEqual(errors, []);
  return experiment.id;
}

/** An experiment that ended because its first run is DEAD. */
async function dead(holder: Holder): Promise<string> {
  const id = await submitted(holder);
  const [run] = await delivery.claim();
  assert.ok(run);
  await delivery.fail(run, "TRANSIENT");
  assert.equal((await seen(holder, id)).state, "FAILED");
  return id;
}

/** A verb that adds work, with its input for an experiment that has a dead letter. */
interface Verb {
  readonly name: string;
  readonly type: string;
  readonly inputOf: (experimentId: string, before: Seen) => object;
}

const verbs: readonly Verb[] = [
  { name: "retryRuns", type: "RetryRunsInput", inputOf: (experimentId) => ({ experimentId }) },
  {
    name: "extendExperiment",
    type: "ExtendExperimentInput",
    inputOf: (experimentId) => ({ experimentId, addSeeds: [9] }),
  },
  {
    name: "replayDeadLetters",
    type: "ReplayDeadLettersInput",
    inputOf: (_, { letters }) => ({ ids: letters.map(({ id }) => id), dryRun: false }),
  },
];

beforeEach(() => delivery.drain());

describe("work that is added to an experiment", () => {
  for (const { name, type, inputOf } of verbs) {
    it(`by ${name} has to fit its tenant's queue: a refusal changes nothing, and the key is good once there is room`, async () => {
      const holder = await newHolder();
      const id = await dead(holder);
      const before = await seen(holder, id);
      assert.equal(before.letters.length, 1);
      for (let i = 0; i < 3; i += 1) await submitted(holder);
      const waiting = 3 * before.runs.length;
      await delivery.quota(holder.caller, { queued_max: waiting });
      const input = { ...inputOf(id, before), idempotencyKey: newId() };
      const document = `mutation ($input: ${type}!) { ${name}(input: $input) { replayed ${ERRORS} } }`;
      const ask = async (): Promise<{ replayed: boolean; errors: Record<string, unknown>[] }> =>
        (await data(test, holder, document, { input }))[name];
      const [full, ...others] = (await ask()).errors;
      assert.ok(full !== undefined && others.length === 0);
      assert.deepEqual(
        [full["__typename"], full["code"], full["limit"], full["used"]],
        ["QueueFullError", "QUEUE_FULL", waiting, waiting],
      );
      const requested = Number(full["requested"]);
      assert.ok(requested >= before.runs.length, `${requested}`);
      assert.deepEqual(await seen(holder, id), before);
      await delivery.quota(holder.caller, { queued_max: requested - 1 });
      const [never] = (await ask()).errors;
      assert.deepEqual([never?.["code"], never?.["requested"]], ["QUOTA_EXCEEDED", requested]);
      await delivery.quota(holder.caller, { queued_max: waiting + requested });
      assert.deepEqual(await ask(), { replayed: false, errors: [] });
      const now = await seen(holder, id);
      assert.notEqual(now.state, "FAILED");
      assert.notEqual(now.letters[0]?.replayedAt, null);
      assert.deepEqual(
        await ask(),
        { replayed: true, errors: [] },
        "what was accepted is answered again, however full",
      );
    });
  }
});
