import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectFolder } from "../../src/embedded/project.js";

/** Reports that the pod's own code writes over planted items. */
export interface PlantedReports {
  readonly measured: string;
  readonly unlearned: string;
  readonly incomplete: string;
}

/** Has them written. */
export function plantedReports(): PlantedReports {
  const folder = mkdtempSync(join(tmpdir(), "assay-reports-"));
  try {
    const root = projectFolder();
    const options = { cwd: join(root, "pods"), env: { ...process.env, OMP_WAIT_POLICY: "PASSIVE" } };
    execFileSync(join(root, ".venv", "bin", "python"), ["-B", "-m", "tests.write_planted_reports", folder], options);
    const read = (name: string): string => readFileSync(join(folder, `${name}.json`), "utf8");
    return { measured: read("measured"), unlearned: read("unlearned"), incomplete: read("incomplete") };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
