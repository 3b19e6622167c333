import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { sha256 } from "../src/domain/digest.js";
import { idOf, testApi } from "./support/api.js";
import { beginUpload, completeUpload, putPart, upload } from "./support/fixture.js";
import { jsonLines, preferenceRows } from "./support/preference-rows.js";
import { data, specFor, submit } from "./support/requests.js";
import { gsm8kRows, ifevalRows, squadDocument } from "./support/user-data.js";

const test = await testApi();
const { api, holder, artifacts } = test;
const good = Buffer.from(jsonLines(preferenceRows()));

describe("an upload in order", () => {
  it("becomes a version of its bytes, which an experiment can be made of", async () => {
    const begun = await beginUpload(test, holder, good);
    assert.deepEqual([begun.errors, begun.existing, begun.parts.length], [[], null, 1]);
    const sent = await putPart(holder, begun.parts[0].url, good);
    assert.deepEqual([sent.status, sent.etag], [200, `"${sha256(good)}"`]);
    const { version, errors } = await completeUpload(test, holder, { uploadId: begun.uploadId, partTags: [sent.etag] });
    assert.deepEqual(errors, []);
    assert.deepEqual(
      [version.digest, version.rows, version.bytes, version.dataset.name, version.dataset.kind],
      [sha256(good), preferenceRows().length, good.length, "pairs", "PREFERENCE"],
    );
    assert.equal(version.validation.ok, true);
    const { tasks: _tasks, ...spec } = await specFor(test, holder);
    const submitted = await submit(test, holder, {
      spec: { ...spec, datasetVersionId: version.id },
      idempotencyKey: "uploaded rows",
    });
    assert.deepEqual(submitted.errors, []);
    const { experiment } = await data(
      test,
      holder,
      "query ($id: ID!) { experiment(id: $id) { runs(first: 2) { edges { node { provenance { datasetDigests } cell { ... on RobustnessCell { task } } } } } } }",
      { id: submitted.experiment.id },
    );
    for (const { node } of experiment.runs.edges) assert.deepEqual(node.provenance.datasetDigests, [sha256(good)]);
    assert.equal(experiment.runs.edges[1].node.cell.task, null);
  });

  it("begun again for bytes that its data set has needs nothing sent", async () => {
    const first = await upload(test, holder, good, "twice");
    const begun = await beginUpload(test, holder, good, { name: "twice" });
    assert.equal(begun.existing.id, first.version.id);
    assert.deepEqual([begun.uploadId, begun.parts], [null, []]);
  });

  it("may be sent twice and completed twice", async () => {
    const begun = await beginUpload(test, holder, good, { name: "sent twice" });
    for (const _ of [1, 2]) assert.equal((await putPart(holder, begun.parts[0].url, good)).status, 200);
    const first = await completeUpload(test, holder, { uploadId: begun.uploadId });
    const second = await completeUpload(test, holder, { uploadId: begun.uploadId });
    assert.equal(second.version.id, first.version.id);
  });
});

describe("data of a user's own", () => {
  const jsonl = (rows: readonly object[]): Buffer =>
    Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const planted = gsm8kRows(80).map((row, i) => (i === 0 ? { ...row, split: "train" } : row));
  const repeat = { ...planted[0], question: `${planted[0]?.["question"]} Say it.`, split: "test" };
  const files: readonly [string, Buffer, number][] = [
    ["GSM8K", jsonl([...planted, repeat]), 81],
    ["IFEVAL", jsonl(ifevalRows(80)), 80],
    ["SQUAD", Buffer.from(JSON.stringify(squadDocument(60))), 120],
  ];
  for (const [kind, file, rows] of files) {
    it(`is checked against the format of its kind and becomes a version: ${kind}`, async () => {
      const begun = await beginUpload(test, holder, file, { name: `own ${kind}`, kind });
      assert.deepEqual(begun.errors, []);
      await putPart(holder, begun.parts[0].url, file);
      const { version, errors } = await completeUpload(test, holder, { uploadId: begun.uploadId });
      assert.deepEqual(errors, []);
      assert.deepEqual([version.rows, version.dataset.kind, version.validation.leftOutCount], [rows, kind, 0]);
      const { exactDuplicates, nearDuplicates } = version.validation.leakage;
      assert.deepEqual([exactDuplicates, nearDuplicates], [0, kind === "GSM8K" ? 1 : 0]);
    });
  }

  it("keeps what was found for whoever asks later", async () => {
    const begun = await beginUpload(test, holder, files[0]?.[1] ?? good, { name: "own GSM8K", kind: "GSM8K" });
    const { node } = await data(
      test,
      holder,
      "query ($id: ID!) { node(id: $id) { ... on DatasetVersion { validation { leakage { nearDuplicates examples { row split otherRow otherSplit } } } } } }",
      { id: begun.existing.id },
    );
    assert.equal(node.validation.leakage.nearDuplicates, 1);
    assert.deepEqual(node.validation.leakage.examples, [{ row: 1, split: "train", otherRow: 81, otherSplit: "test" }]);
  });

  it("is refused where it is in another format, with each problem by row and column", async () => {
    const begun = await beginUpload(test, holder, good, { name: "no problems", kind: "GSM8K" });
    await putPart(holder, begun.parts[0].url, good);
    const { version, errors } = await completeUpload(test, holder, { uploadId: begun.uploadId });
    assert.deepEqual([version, errors[0].code], [null, "DATASET_INVALID"]);
  });
});

describe("an upload that is not what was declared", () => {
  const cases: readonly [string, Buffer, number][] = [
    ["other bytes of the same size", Buffer.alloc(good.length, 0x20), 400],
    ["fewer bytes", good.subarray(0, 100), 400],
    ["more bytes", Buffer.concat([good, good]), 413],
  ];
  for (const [name, bytes, status] of cases) {
    it(`is refused with ${status} for ${name}, and nothing is kept`, async () => {
      const begun = await beginUpload(test, holder, good, { name: `bad ${name}` });
      assert.equal((await putPart(holder, begun.parts[0].url, bytes)).status, status);
      assert.equal(await artifacts.has(sha256(bytes)), false);
    });
  }

  it("is refused when its digest is right and its size is not, also for bytes that are here already", async () => {
    const bytes = Buffer.from("fewer bytes than declared");
    const begun = await beginUpload(test, holder, bytes, { name: "size", bytes: bytes.length + 1 });
    const sent = await putPart(holder, begun.parts[0].url, bytes);
    assert.equal(sent.status, 400);
    assert.match(sent.text, /bytes: wanted the 25 bytes that came, but got 26/);
    await upload(test, holder, good, "right size");
    const again = await beginUpload(test, holder, good, { name: "wrong size", bytes: good.length + 1 });
    const { version, errors } = await completeUpload(test, holder, { uploadId: again.uploadId });
    assert.deepEqual([version, errors[0].code], [null, "STATE_CONFLICT"]);
  });

  it("is refused when it goes on beyond its size without saying so", async () => {
    const begun = await beginUpload(test, holder, good, { name: "endless" });
    const endless = new ReadableStream({ pull: (controller) => controller.enqueue(Buffer.alloc(2 ** 16, 0x20)) });
    const init: RequestInit = {
      method: "PUT",
      headers: { authorization: `Bearer ${holder.key}` },
      body: endless,
      duplex: "half",
    };
    // The connection is cut while the client still sends, so it sees either the answer or the cut.
    const status = await fetch(begun.parts[0].url, init).then(
      (answer) => answer.status,
      () => 413,
    );
    assert.equal(status, 413);
  });

  it("cannot be completed before its bytes came, even when another tenant has the very same bytes", async () => {
    const other = await test.newHolder();
    const begun = await beginUpload(test, other, good);
    assert.equal(begun.existing, null);
    const { version, errors } = await completeUpload(test, other, { uploadId: begun.uploadId });
    assert.equal(version, null);
    assert.deepEqual(
      [errors[0].__typename, errors[0].currentState, errors[0].allowedFrom],
      ["StateConflictError", "BEGUN", ["RECEIVED"]],
    );
  });

  it("cannot be completed with another part's tag", async () => {
    const begun = await beginUpload(test, holder, good, { name: "tags" });
    await putPart(holder, begun.parts[0].url, good);
    const { errors } = await completeUpload(test, holder, { uploadId: begun.uploadId, partTags: ["x"] });
    assert.deepEqual([errors[0].code, errors[0].path], ["INVALID_INPUT", ["input", "partTags"]]);
  });
});

describe("an upload whose rows are not in order", () => {
  const rows = preferenceRows();
  const cases: readonly [string, string, { row: number; column: string | null; message: RegExp }][] = [
    [
      "a line that is no JSON",
      `${jsonLines(rows.slice(0, 1))}{"id": tru}\n`,
      { row: 2, column: "8", message: /wanted a value at column 8/ },
    ],
    [
      "a chosen text that fails its own checker",
      jsonLines([{ ...rows[0], chosen: "Nothing of it." }, ...rows.slice(1)]),
      { row: 1, column: "chosen", message: /keywords:existence/ },
    ],
    [
      "an item in train and test",
      jsonLines(rows.map((row) => (row["id"] === "test0-aligned" ? { ...row, pairId: "train0" } : row))),
      {
        row: rows.findIndex((row) => row["id"] === "test0-aligned") + 1,
        column: "pairId",
        message: /train .*and in test/,
      },
    ],
  ];
  for (const [name, text, problem] of cases) {
    it(`is DATASET_INVALID with row and column: ${name}`, async () => {
      const { version, errors } = await upload(test, holder, Buffer.from(text), `rows ${name}`);
      assert.equal(version, null);
      assert.equal(errors[0].__typename, "DatasetInvalidError");
      const { ok, problems, problemCount } = errors[0].validation;
      assert.equal(ok, false);
      assert.equal(problems.length, problemCount);
      const found = problems.find(
        (one: { row: number; column: string }) => one.row === problem.row && one.column === problem.column,
      );
      assert.match(found?.message ?? JSON.stringify(problems), problem.message);
    });
  }
});

describe("beginning an upload", () => {
  const cases: readonly [string, object, string][] = [
    ["an empty file", { bytes: 0 }, "bytes"],
    ["more than 256 MiB", { bytes: 2 ** 28 + 1 }, "bytes"],
    ["half a byte", { bytes: 1.5 }, "bytes"],
    ["a digest in capitals", { digest: "A".repeat(64) }, "digest"],
    ["no name", { name: " " }, "name"],
    ["a name that is too long", { name: "n".repeat(201) }, "name"],
  ];
  for (const [name, wish, field] of cases) {
    it(`is refused for ${name}`, async () => {
      const { uploadId, errors } = await beginUpload(test, holder, good, wish);
      assert.equal(uploadId, null);
      assert.deepEqual([errors[0].__typename, errors[0].path], ["InvalidInputError", ["input", field]]);
    });
  }

  it("takes a name for a label only, whatever it says", async () => {
    for (const name of ["../../etc/passwd", "/etc/passwd", "%2e%2e%2f", "C:\\windows", "a\nb"]) {
      const { version, errors } = await upload(test, holder, good, name);
      assert.deepEqual(errors, []);
      assert.equal(version.dataset.name, name);
    }
  });
});

describe("a part", () => {
  it("is taken only where an upload was begun", async () => {
    const nothing = idOf("Upload", "00000000-0000-7000-8000-000000000000");
    const begun = await beginUpload(test, holder, good, { name: "part" });
    assert.equal((await putPart(holder, `${api.url}/uploads/${nothing}/1`, good)).status, 404);
    assert.equal((await putPart(holder, `${api.url}/uploads/${begun.uploadId}/2`, good)).status, 404);
    assert.equal((await putPart(holder, `${api.url}/uploads/..%2f..%2fetc/1`, good)).status, 404);
    const reader = await test.newKeyOf(holder.caller, { scopes: ["READ"] });
    assert.equal((await putPart(reader, begun.parts[0].url, good)).status, 403);
  });
});
