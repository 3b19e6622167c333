import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { AssayError } from "../errors.js";

/** Folder of the checkout or installation: the nearest one above this file that holds `pods/assay_pods`. */
export function projectFolder(): string {
  for (let folder = import.meta.dirname; folder !== dirname(folder); folder = dirname(folder)) {
    if (existsSync(join(folder, "pods", "assay_pods"))) return folder;
  }
  throw new AssayError(
    "SETUP_FAILED",
    `wanted a folder above ${import.meta.dirname} with pods/assay_pods, but there is none`,
  );
}
