#!/usr/bin/env node
// npm run <verb>: sets the project up where needed, then does the verb on the pinned Node. Runs on Node 20 and newer.
import { join } from "node:path";
import { check } from "./check.mjs";
import { setUp } from "./setup.mjs";
import { test } from "./test.mjs";
import { pinnedNode, root, runToEnd, SetupError } from "./toolbox.mjs";

const compiled = (...path) => join(root, "dist", ...path);
const onPinnedNode = (script, args) => runToEnd(pinnedNode, ["--enable-source-maps", script, ...args]);

const verbs = {
  start: (args) => onPinnedNode(compiled("src", "main.js"), args),
  demo: (args) => onPinnedNode(compiled("src", "cli", "main.js"), ["demo", ...args]),
  bench: ([name = "submit", ...args]) => onPinnedNode(compiled("bench", `${name}.js`), args),
  build: () => 0,
  test,
  check,
};

async function main() {
  const [verb, ...args] = process.argv.slice(2);
  const work = Object.hasOwn(verbs, verb ?? "") ? verbs[verb] : undefined;
  if (work === undefined) {
    process.stderr.write(`Wanted one of ${Object.keys(verbs).join(", ")}, but got ${verb ?? "nothing"}.\n`);
    return 64;
  }
  await setUp();
  return await work(args);
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 69;
}
