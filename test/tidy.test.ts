import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { projectFolder } from "../src/embedded/project.js";
import { catalogue } from "../src/errors.js";
import { breachesOf, importTable } from "./support/import-table.js";
import { committedFiles, filesBelow, importsOf } from "./support/source-tree.js";

const sources = filesBelow("src", [".ts"]);

describe("import directions", () => {
  it("are read from every file of src", () => {
    const folders = readdirSync(join(projectFolder(), "src"), { withFileTypes: true }).filter((entry) =>
      entry.isDirectory(),
    );
    for (const { name } of folders) {
      assert.ok(importTable[name], `src/${name} is not in the import table`);
      assert.ok(
        sources.some(({ path }) => path.startsWith(`src/${name}/`)),
        `nothing was read from src/${name}`,
      );
    }
    // Fewer files than the project had when this was written means that the reader, not the project, has shrunk.
    assert.ok(sources.length >= 120, `read ${sources.length} files`);
    const imports = sources.flatMap(({ text }) => importsOf(text));
    assert.ok(imports.length >= 400, `found ${imports.length} imports`);
  });

  it("follow the table of folders, and each library stays in its folder", () => {
    assert.deepEqual(breachesOf(sources), []);
  });

  const planted: readonly [string, string, string][] = [
    ["src/domain/planted.ts", 'export { connect } from "../store/database.js";', "domain may not import store"],
    ["src/api/run/planted.ts", 'import { Relay } from "../../relay/relay.js";', "api may not import relay"],
    ["src/store/planted.ts", 'import type { Config } from "../config/embedded.js";', "store may not import config"],
    ["src/dispatch/planted.ts", 'const { start } = await import("../main.js");', "dispatch may not import main"],
    ["src/bus/planted.ts", 'import { main } from "../topics.js";', "bus may not import topics"],
    ["src/api/planted.ts", 'import { Life } from "../roles/life.js";', "api may not import roles"],
    ["src/config/planted.ts", 'import { newId } from "../domain/digest.js";', "config may not import domain"],
    ["src/dispatch/planted.ts", 'import { Kafka } from "kafkajs";', "kafkajs is used only in"],
    ["src/relay/planted.ts", 'import pg from "pg";', "pg is used only in"],
    ["src/api/planted.ts", 'import {\n  credentials,\n} from "@grpc/grpc-js";', "@grpc/grpc-js is used only in"],
    ["src/cli/planted.ts", 'import "../domain/run.js";', "cli may not import domain"],
    ["src/domain/planted.ts", 'import express from "express";', "express is not in the library table"],
  ];
  for (const [path, text, reason] of planted) {
    it(`catches ${path} with ${text.replaceAll("\n", " ")}`, () => {
      const breaches = breachesOf([...sources, { path, text }]);
      assert.equal(breaches.length, 1);
      assert.ok(breaches[0]?.includes(reason), breaches[0]);
    });
  }
});

describe("committed files", () => {
  const files = committedFiles();

  it("leave no test out", () => {
    const tests = files.filter(({ path }) => /\.test\.ts$|(^|\/)test_\w+\.py$/.test(path));
    assert.ok(tests.length >= 10, `read ${tests.length} test files`);
    const leftOut = new RegExp(["\\.(only|skip|todo)\\(", "pytest\\.mark\\.(skip|xfail)\\b"].join("|"));
    assert.deepEqual(
      tests.filter(({ text, path }) => leftOut.test(text) && path !== "test/tidy.test.ts").map(({ path }) => path),
      [],
    );
  });

  it("name no registry and no folder of one machine", () => {
    // Written in two parts so that this file does not hold what it looks for.
    const hosts = ["registry.npm" + "js.org", "py" + "pi.org", "files.python" + "hosted.org", "proxy.gol" + "ang.org"];
    const folders = ["/ro" + "ot/", "/wo" + "rk/", "/ho" + "me/", "/Us" + "ers/"];
    const found = files.flatMap(({ path, text }) =>
      [...hosts, ...folders].filter((word) => text.includes(word)).map((word) => `${path} names ${word}`),
    );
    assert.deepEqual(found, []);
  });
});

describe("documents", () => {
  const page = (name: string): string => readFileSync(join(projectFolder(), "docs", name), "utf8");

  it("explain every error code, and no other", () => {
    const explained = [...page("errors.md").matchAll(/^\| `([A-Z_]+)` \|/gm)].map((match) => match[1]);
    assert.deepEqual(explained.sort(), Object.keys(catalogue).sort());
  });

  it("explain every variable that the service reads, and no other", () => {
    const named = (text: string): Set<string> => new Set(text.match(/\bASSAY_[A-Z0-9_]*[A-Z0-9]\b/g));
    const read = named(
      sources
        .filter(({ path }) => path.startsWith("src/config/"))
        .map(({ text }) => text)
        .join("\n"),
    );
    assert.ok(read.size >= 40, `found ${read.size} variables`);
    assert.deepEqual([...named(page("running.md"))].sort(), [...read].sort());
  });

  it("name tests that exist behind every promise in what-holds.md", () => {
    const rows = page("what-holds.md")
      .split("\n")
      .filter((line) => /^\| (?!---|promise)/i.test(line));
    assert.ok(rows.length >= 10, `found ${rows.length} promises`);
    for (const row of rows) {
      const references = [...row.matchAll(/`((?:test|pods\/tests)\/[\w./-]+\.(?:ts|py))`/g)].map(
        (match) => match[1] ?? "",
      );
      assert.ok(references.length > 0, `no test is named in: ${row}`);
      for (const path of references)
        assert.ok(existsSync(join(projectFolder(), path)), `${path} does not exist, but is named in: ${row}`);
    }
  });
});
