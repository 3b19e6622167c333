import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { metricNamed, metricsIn } from "../src/domain/comparison-metric.js";
import type { Json } from "../src/domain/digest.js";
import { type ItemTexts, itemKeyOf, readItem, readTexts, type ScoredItem } from "../src/domain/items.js";
import { projectFolder } from "../src/embedded/project.js";

const folder = mkdtempSync(join(tmpdir(), "assay-items-"));
after(() => rmSync(folder, { recursive: true, force: true }));
execFileSync(join(projectFolder(), ".venv", "bin", "python"), ["-B", "-m", "tests.write_tiny_items", folder], {
  cwd: join(projectFolder(), "pods"),
  env: { ...process.env, HF_HUB_OFFLINE: "1", OMP_WAIT_POLICY: "PASSIVE" },
  stdio: ["ignore", "ignore", "inherit"],
});

function rows<T extends object>(name: string, read: (line: Json, index: number) => T | string): T[] {
  const lines = readFileSync(join(folder, name), "utf8").trimEnd().split("\n");
  return lines.map((line, index) => {
    const row = read(JSON.parse(line), index);
    assert.ok(typeof row !== "string", `${name} line ${index + 1}: ${String(row)}`);
    return row;
  });
}

const items: readonly ScoredItem[] = rows("items.jsonl", readItem);
const texts = new Map(
  rows<ItemTexts>("records.jsonl", readTexts).map((row) => [itemKeyOf(row.split, row.itemKey, row.group), row]),
);

describe("items that a pod's own code wrote", () => {
  it("are read line by line, each under a key of its own", () => {
    assert.ok(items.length > 40, `${items.length} items`);
    assert.equal(new Set(items.map(({ key }) => key)).size, items.length);
  });

  it("have their texts in the records, except for prompts that were exchanged", () => {
    for (const item of items) {
      const found = texts.get(item.key);
      assert.equal(found === undefined, item.group === "prompt_blind", `${item.itemKey} ${item.group}`);
      if (found !== undefined) assert.notEqual(found.chosen, found.rejected);
    }
  });

  it("are all that a whole run should have scored", () => {
    const scored = new Set(items.map(({ key }) => key));
    const left = [...texts].filter(([key, { split }]) => split !== "train" && split !== "warmup" && !scored.has(key));
    assert.deepEqual(left, []);
  });

  it("allow the metrics that comparisons name", () => {
    const names = metricsIn(items);
    for (const name of ["balanced", "gap", "conflicting", "margin:aligned"]) assert.ok(names.includes(name), name);
    assert.ok(
      names.some((name) => name.endsWith(":neutral") && !name.startsWith("margin")),
      "generated text is scored",
    );
    for (const name of names) assert.ok((metricNamed(name)?.valuesOf(items).size ?? 0) > 0, name);
  });
});
