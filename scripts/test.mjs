// npm test [words …]: every test file, or those whose name holds one of the words; --faults, --node and --python choose a lane.
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { filesBelow, pinnedNode, projectEnv, root, runToEnd, SetupError } from "./toolbox.mjs";

/** A test file that hangs is given up after this time, so that the others still have their say. */
const hangMs = 900_000;

/** Files that start a dozen processes and count on all of them getting on: beside another file they see less than they must. */
const alone = ["faults-campaign.test.js"];

const lanes = [
  { name: "faults", files: () => nodeFiles().filter(runsAlone), run: runNode, counts: nodeCounts },
  { name: "node", files: () => nodeFiles().filter((file) => !runsAlone(file)), run: runNode, counts: nodeCounts },
  {
    name: "python",
    files: () => filesBelow(join("pods", "tests"), [".py"]).filter(isPythonTest),
    run: runPython,
    counts: pythonCounts,
  },
];

/** Runs the lanes one after the other and prints what ran; 0 only when every test of every lane passed. */
export async function test(args) {
  const chosen = args.filter((arg) => arg.startsWith("--")).map((arg) => arg.slice(2));
  const unknown = chosen.find((name) => lanes.every((lane) => lane.name !== name));
  if (unknown !== undefined) throw new SetupError(`Wanted --faults, --node or --python, but got --${unknown}.`);
  const words = args.filter((arg) => !arg.startsWith("--"));
  const lines = [];
  let failed = false;
  for (const lane of lanes.filter(({ name }) => chosen.length === 0 || chosen.includes(name))) {
    const files = lane
      .files()
      .filter((file) => words.length === 0 || words.some((word) => basename(file).includes(word)));
    if (files.length === 0 && words.length > 0) continue;
    const { line, passed } = await runLane(lane, files);
    lines.push(line);
    failed ||= !passed;
  }
  if (lines.length === 0) throw new SetupError(`No test file's name holds ${words.join(" or ")}.`);
  process.stdout.write(`\n${lines.join("\n")}\n`);
  return failed ? 1 : 0;
}

async function runLane(lane, files) {
  const started = Date.now();
  const record = join(root, ".cache", `test-${lane.name}.xml`);
  mkdirSync(join(root, ".cache"), { recursive: true });
  rmSync(record, { force: true });
  const code = files.length === 0 ? 1 : await lane.run(files, record);
  const { tests, failures, skipped } = existsSync(record)
    ? lane.counts(readFileSync(record, "utf8"))
    : { tests: 0, failures: 0, skipped: 0 };
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  const ran = `${files.length} files, ${tests} tests, ${tests - failures - skipped} passed, ${failures} failed, ${skipped} skipped`;
  // A lane that ran nothing has shown nothing, whatever its runner's exit code says.
  const passed = code === 0 && failures === 0 && tests - skipped > 0;
  return { line: `${lane.name.padEnd(7)} ${passed ? "ok    " : "FAILED"} ${ran}, ${seconds} s`, passed };
}

function nodeFiles() {
  return filesBelow(join("dist", "test"), [".test.js"]);
}

function runsAlone(file) {
  return alone.includes(basename(file));
}

function runNode(files, record) {
  const reporters = [
    "--test-reporter=spec",
    "--test-reporter-destination=stdout",
    "--test-reporter=junit",
    `--test-reporter-destination=${record}`,
  ];
  const withPostgres = join(root, "dist", "test", "support", "run-with-postgres.js");
  const paths = files.map((file) => join(root, file));
  return runToEnd(pinnedNode, [
    withPostgres,
    pinnedNode,
    "--enable-source-maps",
    `--import=${pathToFileURL(join(root, "scripts", "leave-at-once.mjs"))}`,
    "--test",
    // The default on two cores is one file at a time, and most files wait for processes more than they compute.
    `--test-concurrency=${Math.max(2, availableParallelism() - 1)}`,
    `--test-timeout=${hangMs}`,
    ...reporters,
    ...paths,
  ]);
}

function nodeCounts(record) {
  const count = (name) => Number(record.match(new RegExp(`<!-- ${name} (\\d+) -->`))?.[1] ?? 0);
  return {
    tests: count("tests"),
    failures: count("fail") + count("cancelled"),
    skipped: count("skipped") + count("todo"),
  };
}

function isPythonTest(file) {
  return basename(file).startsWith("test_");
}

function runPython(files, record) {
  const python = join(root, ".venv", "bin", "python");
  const env = { ...projectEnv, HF_HUB_OFFLINE: "1", PYTHONPATH: join(root, "pods") };
  return runToEnd(
    python,
    [
      "-m",
      "pytest",
      "-c",
      join(root, "pods", "pyproject.toml"),
      `--junitxml=${record}`,
      ...files.map((file) => join(root, file)),
    ],
    env,
  );
}

function pythonCounts(record) {
  const sum = (name) =>
    [...record.matchAll(new RegExp(`<testsuite [^>]*\\b${name}="(\\d+)"`, "g"))].reduce(
      (total, [, n]) => total + Number(n),
      0,
    );
  return { tests: sum("tests"), failures: sum("failures") + sum("errors"), skipped: sum("skipped") };
}
