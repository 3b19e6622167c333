import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";

/**
 * The digest of the Python code that a capability's results depend on: its own package and the common one.
 * The rule stands in `pods/assay_pods/common/code_digest.py`; a test holds both to the same answer.
 */
export function sourceDigest(podsFolder: string, capability: string): string {
  const packages = join(podsFolder, "assay_pods");
  const files = ["common", capability].flatMap((name) => pythonFiles(packages, join(packages, name)));
  const total = createHash("sha256");
  for (const { name, path } of files.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const content = createHash("sha256").update(readFileSync(path)).digest("hex");
    total.update(`${name}\0${content}\n`);
  }
  return total.digest("hex");
}

function pythonFiles(root: string, folder: string): { readonly name: string; readonly path: string }[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".py"))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ name: relative(root, path).split(sep).join("/"), path }));
}
