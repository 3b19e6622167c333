import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { projectFolder } from "../../src/embedded/project.js";

/** Writes a tiny random Llama with its tokenizer into a folder, by the helper that the pods' own tests use. */
export function writeTinyModel(folder: string): void {
  const root = projectFolder();
  execFileSync(
    join(root, ".venv", "bin", "python"),
    [
      "-c",
      "import sys; from pathlib import Path; from tests.tiny import write_tiny_model; write_tiny_model(Path(sys.argv[1]))",
      folder,
    ],
    {
      cwd: join(root, "pods"),
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" },
      stdio: ["ignore", "ignore", "inherit"],
    },
  );
}
