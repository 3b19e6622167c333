// Writes schema.graphql from the code; --check only compares. Needs a build.
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pinnedNode, root, runVisibly } from "./toolbox.mjs";

const committed = join(root, "schema.graphql");
const isCheck = process.argv.includes("--check");
const target = isCheck ? join(root, ".cache", "schema.graphql") : committed;

mkdirSync(join(root, ".cache"), { recursive: true });
runVisibly(pinnedNode, [join(root, "dist", "src", "api", "print-schema.js"), target]);
if (isCheck && (!existsSync(committed) || readFileSync(committed, "utf8") !== readFileSync(target, "utf8"))) {
  process.stderr.write('schema.graphql differs from the code; run "node scripts/schema.mjs"\n');
  process.exitCode = 1;
}
