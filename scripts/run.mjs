#!/usr/bin/env node
// npm run <verb>: sets the project up where needed, then does the verb on the pinned Node. Runs on Node 20 and newer.
import { readdirSync } from "node:fs";
import { basename, delimiter, join } from "node:path";
import { check } from "./check.mjs";
import { startKafka } from "./kafka.mjs";
import { benchPackages } from "./python.mjs";
import { setUp } from "./setup.mjs";
import { test } from "./test.mjs";
import { pinnedNode, projectEnv, root, runToEnd, SetupError } from "./toolbox.mjs";

const compiled = (...path) => join(root, "dist", ...path);
const onPinnedNode = (script, args) => runToEnd(pinnedNode, ["--enable-source-maps", script, ...args]);

const verbs = {
  start,
  topics: (args) => assay(["topics", ...args]),
  demo: (args) => assay(["demo", ...args]),
  assay,
  bench,
  faults: (args) => onPinnedNode(compiled("test", "faults", "faults-main.js"), args),
  build: () => 0,
  test,
  check,
};

/** Any command of `assay`: a role of the service, demo or topics. */
function assay(args) {
  return onPinnedNode(compiled("src", "assay.js"), args);
}

/** The service; with --kafka its bus is a broker that is started beside it and ends with it. */
async function start(args) {
  const service = (rest, env) =>
    runToEnd(pinnedNode, ["--enable-source-maps", compiled("src", "main.js"), ...rest], env);
  if (!args.includes("--kafka")) return service(args);
  const { brokers, stop } = await startKafka();
  try {
    const env = { ...projectEnv, ASSAY_KAFKA_BROKERS: brokers };
    const made = await runToEnd(pinnedNode, [compiled("src", "topics.js")], env);
    return made === 0
      ? await service(
          args.filter((arg) => arg !== "--kafka"),
          env,
        )
      : made;
  } finally {
    await stop();
  }
}

/** A benchmark is a file of bench/, in TypeScript or Python; the alternative of one in Python may have a lock of its own beside it. */
function bench([name = "", ...args]) {
  const names = readdirSync(join(root, "bench")).map((file) => basename(file));
  if (names.includes(`${name}.py`)) {
    const alternative = names.includes(`${name}.txt`) ? [benchPackages(name)] : [];
    const env = { ...projectEnv, PYTHONPATH: [join(root, "pods"), ...alternative].join(delimiter) };
    return runToEnd(join(root, ".venv", "bin", "python"), [join(root, "bench", `${name}.py`), ...args], env);
  }
  if (names.includes(`${name}.ts`)) return onPinnedNode(compiled("bench", `${name}.js`), args);
  throw new SetupError(`Wanted the name of a file in bench/, but got ${name || "nothing"}.`);
}

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
