import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { projectFolder } from "../src/embedded/project.js";
import { sourceDigest } from "../src/embedded/source-digest.js";

test("the planner and the pod give a capability's code the same digest", () => {
  const root = projectFolder();
  const pods = join(root, "pods");
  const program =
    "from pathlib import Path; from assay_pods.common.code_digest import code_digest; " +
    "p = Path('assay_pods'); print(code_digest({'common': p / 'common', 'robustness': p / 'robustness'}))";
  const said = execFileSync(join(root, ".venv", "bin", "python"), ["-B", "-c", program], {
    cwd: pods,
    encoding: "utf8",
  });
  assert.equal(sourceDigest(pods, "robustness"), said.trim());
  assert.notEqual(sourceDigest(pods, "robustness"), sourceDigest(pods, "server"));
});
