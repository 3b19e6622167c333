// Writes docs/errors.md from the catalogue in src/errors.ts; --check only compares. Needs a build.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { catalogue } from "../dist/src/errors.js";
import { root } from "./toolbox.mjs";

const head = `# Errors

Made from \`src/errors.ts\` by \`node scripts/errors-page.mjs\`; do not edit it by hand.

A rule that a request breaks comes back in the payload's \`errors\`, with a message that says what was wanted and what came,
and the path of the input field. Retriable: the same request may succeed later.

| code | meaning | HTTP | gRPC | exit code | retriable |
|---|---|---|---|---|---|
`;

const rows = Object.entries(catalogue).map(
  ([code, { sentence, http, grpc, exit, retriable }]) =>
    `| \`${code}\` | ${sentence} | ${http} | ${grpc} | ${exit} | ${retriable ? "yes" : "no"} |\n`,
);
const page = head + rows.join("");
const file = join(root, "docs", "errors.md");

if (!process.argv.includes("--check")) {
  writeFileSync(file, page);
} else if (!existsSync(file) || readFileSync(file, "utf8") !== page) {
  process.stderr.write('docs/errors.md differs from src/errors.ts; run "node scripts/errors-page.mjs"\n');
  process.exitCode = 1;
}
