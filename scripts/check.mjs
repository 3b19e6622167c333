// npm run check: everything that can be said of the code without running it. All checks run; any failure fails the whole.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pinnedNode, projectEnv, root, runToEnd } from "./toolbox.mjs";

const tool = (name) => join(root, "node_modules", ".bin", name);
const python = (name) => join(root, ".venv", "bin", name);

const checks = [
  { name: "biome", command: [tool("biome"), "check", "--error-on-warnings", "."] },
  { name: "knip", command: [tool("knip")] },
  { name: "lock", command: [pinnedNode, "scripts/complete-lock.mjs", "--check"] },
  { name: "buf lint", command: [tool("buf"), "lint"] },
  { name: "generated code", command: [pinnedNode, "scripts/generate.mjs", "--check"] },
  { name: "error page", command: [pinnedNode, "scripts/errors-page.mjs", "--check"] },
  { name: "schema", command: [pinnedNode, "scripts/schema.mjs", "--check"] },
  { name: "ruff", command: [python("ruff"), "check", "pods"] },
  { name: "ruff format", command: [python("ruff"), "format", "--check", "pods"] },
  { name: "ruff, bench", command: [python("ruff"), "check", "--config", "pods/pyproject.toml", "bench"] },
  {
    name: "ruff, examples",
    command: [
      python("ruff"),
      "check",
      "--config",
      "pods/pyproject.toml",
      "--exclude",
      "examples/events-python/assay",
      "examples",
    ],
  },
  { name: "tsc, examples", command: [tool("tsc"), "-p", "examples/events-typescript"] },
  {
    name: "import-linter",
    command: [python("lint-imports"), "--config", "pyproject.toml", "--no-cache"],
    folder: "pods",
  },
  { name: "pyright", command: [tool("pyright"), "--project", "pods"] },
];

/** Runs all checks, or those whose name holds one of the words. The compiler has run before: set-up builds. */
export async function check(words) {
  const lines = [];
  let failed = false;
  for (const { name, command, folder = "." } of checks.filter(
    (one) => words.length === 0 || words.some((word) => one.name.includes(word)),
  )) {
    const [program, ...args] = command;
    process.stdout.write(`\n== ${name}\n`);
    const started = Date.now();
    process.chdir(join(root, folder));
    const code = existsSync(program)
      ? await runToEnd(program, args, { ...projectEnv, PYTHONPATH: join(root, "pods") })
      : 127;
    const seconds = ((Date.now() - started) / 1000).toFixed(1);
    lines.push(
      `${code === 0 ? "ok    " : "FAILED"} ${name}, ${seconds} s${code === 127 ? ` (${program} is not there)` : ""}`,
    );
    failed ||= code !== 0;
  }
  process.chdir(root);
  process.stdout.write(`\n${lines.join("\n")}\n`);
  return failed ? 1 : 0;
}
