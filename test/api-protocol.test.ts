import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { serverAudits } from "graphql-http";
import { printedSchema } from "../src/api/printed-schema.js";
import { projectFolder } from "../src/embedded/project.js";
import { ask, testApi } from "./support/api.js";

const { api, holder } = await testApi();

describe("GraphQL over HTTP", () => {
  // Warnings that Apollo gives everybody; each is about a SHOULD of the specification, none about a MUST.
  const knownWarnings = ["572B", "FDE2", "7B9B"];
  const audits = serverAudits({
    url: `${api.url}/graphql`,
    fetchFn: (url: string, init: RequestInit = {}) =>
      fetch(url, { ...init, headers: { ...init.headers, authorization: `Bearer ${holder.key}` } }),
  });

  it("is audited in full", () => {
    assert.ok(audits.length >= 60, `found ${audits.length} audits`);
  });

  for (const audit of audits) {
    const known = knownWarnings.includes(audit.id);
    it(`${known ? "has the known warning" : "passes the audit"} ${audit.id}: ${audit.name}`, async () => {
      const result = await audit.fn();
      const reason = "reason" in result ? result.reason : "";
      assert.equal(result.status, known ? "warn" : "ok", reason);
    });
  }
});

describe("schema.graphql", () => {
  it("is what the code publishes", async () => {
    const committed = readFileSync(join(projectFolder(), "schema.graphql"), "utf8");
    assert.equal(committed, await printedSchema(), "run `node dist/src/api/print-schema.js` and commit schema.graphql");
  });

  it("describes every type, field, argument and enum value", async () => {
    const { body } = await ask(
      { api, key: holder.key },
      `{ __schema { types { name description
          fields { name description args { name description } } inputFields { name description } enumValues { name description } } } }`,
    );
    const types: readonly Described[] = body.data.__schema.types;
    const published = types.filter(({ name }) => !name.startsWith("__"));
    assert.ok(published.length > 60, `found ${published.length} types`);
    // The root types have no words of their own: every field of theirs has.
    const roots = ["Query", "Mutation", "Subscription"];
    const undescribed = published.flatMap((type) => undescribedOf(type, "")).filter((name) => !roots.includes(name));
    assert.deepEqual(undescribed, []);
  });

  it("is taken by relay-compiler, with connections that a fragment can refetch", () => {
    const folder = mkdtempSync(join(tmpdir(), "assay-relay-"));
    try {
      mkdirSync(join(folder, "src", "__generated__"), { recursive: true });
      writeFileSync(join(folder, "src", "runs.js"), relaySource);
      writeFileSync(
        join(folder, "relay.config.json"),
        JSON.stringify({
          src: "./src",
          schema: join(projectFolder(), "schema.graphql"),
          language: "javascript",
          artifactDirectory: "./src/__generated__",
        }),
      );
      const compiler = join(dirname(createRequire(import.meta.url).resolve("relay-compiler/package.json")), "cli.js");
      const ended = spawnSync(process.execPath, [compiler, join(folder, "relay.config.json")], {
        encoding: "utf8",
        cwd: folder,
      });
      assert.equal(ended.status, 0, `${ended.stdout}${ended.stderr}`);
      const artifact = readFileSync(join(folder, "src", "__generated__", "RunsOfExperiment.graphql.js"), "utf8");
      assert.match(artifact, /"connection"/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

/** Anything of an introspection that has words. */
interface Described {
  readonly name: string;
  readonly description: string | null;
  readonly fields?: readonly Described[] | null;
  readonly inputFields?: readonly Described[] | null;
  readonly enumValues?: readonly Described[] | null;
  readonly args?: readonly Described[] | null;
}

/** Names of a thing and its parts that have no words. */
function undescribedOf(thing: Described, before: string): string[] {
  const name = `${before}${thing.name}`;
  const parts = [thing.fields, thing.inputFields, thing.enumValues, thing.args].flatMap((list) => list ?? []);
  return [...(thing.description ? [] : [name]), ...parts.flatMap((part) => undescribedOf(part, `${name}.`))];
}

const relaySource = `import { graphql } from "react-relay";
export const query = graphql\`
  query runsQuery($id: ID!, $first: Int!, $after: String) {
    node(id: $id) { ...RunsOfExperiment @alias @arguments(first: $first, after: $after) }
  }
\`;
export const fragment = graphql\`
  fragment RunsOfExperiment on RobustnessExperiment
    @refetchable(queryName: "RunsOfExperimentPage")
    @argumentDefinitions(first: { type: "Int", defaultValue: 10 }, after: { type: "String" }) {
    name
    runs(first: $first, after: $after) @connection(key: "RunsOfExperiment_runs") {
      edges { node { id state } }
    }
  }
\`;
export const backwards = graphql\`
  fragment EventsOfRun on Run
    @refetchable(queryName: "EventsOfRunPage")
    @argumentDefinitions(last: { type: "Int", defaultValue: 10 }, before: { type: "String" }) {
    events(last: $last, before: $before) @connection(key: "EventsOfRun_events") {
      edges { node { id sequence } }
    }
  }
\`;
export const subscription = graphql\`
  subscription runsSubscription($runId: ID!, $after: Int) {
    runEvents(runId: $runId, afterSequence: $after) { id sequence kind run { id state } }
  }
\`;
export const mutation = graphql\`
  mutation runsMutation($input: CancelExperimentInput!) {
    cancelExperiment(input: $input) { experiment { id state } errors { message } }
  }
\`;
`;
