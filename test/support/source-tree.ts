import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { projectFolder } from "../../src/embedded/project.js";

/** One file of the checkout. */
export interface SourceFile {
  /** Relative to the checkout, with slashes. */
  readonly path: string;
  readonly text: string;
}

/** Files below a folder of the checkout with one of the endings. */
export function filesBelow(folder: string, endings: readonly string[]): SourceFile[] {
  const root = projectFolder();
  const top = join(root, folder);
  if (!existsSync(top)) return [];
  return readdirSync(top, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((path) => !path.includes("node_modules"))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
}

/** Every text file that is, or would be, committed. */
export function committedFiles(): SourceFile[] {
  const root = projectFolder();
  const listed = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "-z"], { cwd: root, encoding: "utf8" });
  return listed
    .split("\0")
    .filter((path) => path !== "" && existsSync(join(root, path)))
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }))
    .filter(({ text }) => !text.includes("\0"));
}

/** What a file imports or re-exports: the specifiers as they are written, type-only ones too. */
export function importsOf(text: string): string[] {
  const specifiers = /(?:^|[\s;}])(?:from|import)\s*\(?\s*["']([^"']+)["']/g;
  return [...text.matchAll(specifiers)].map((match) => match[1] ?? "");
}
