import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, it } from "node:test";
import { ArtifactFolder } from "../src/artifacts/folder.js";
import { sha256 } from "../src/domain/digest.js";
import { artifactContract, type ContractStore } from "./support/artifact-contract.js";

const root = mkdtempSync(join(tmpdir(), "assay-folder-"));
after(() => rmSync(root, { recursive: true, force: true }));

function filesBelow(folder: string, at = ""): string[] {
  if (!existsSync(join(folder, at))) return [];
  return readdirSync(join(folder, at), { withFileTypes: true })
    .flatMap((entry) => (entry.isDirectory() ? filesBelow(folder, join(at, entry.name)) : [join(at, entry.name)]))
    .sort();
}

function freshFolder(): { folder: string; at: ContractStore } {
  const folder = mkdtempSync(join(root, "store-"));
  const spoil = async (path: string, bytes: Buffer): Promise<void> => {
    rmSync(join(folder, path));
    writeFileSync(join(folder, path), bytes);
  };
  return { folder, at: { store: new ArtifactFolder(folder), paths: async () => filesBelow(folder), spoil } };
}

describe("the artifact folder", () => {
  artifactContract(
    (name, work) => void it(name, work),
    () => freshFolder().at,
  );

  it("lets nobody else write what it stored", async () => {
    const { folder, at } = freshFolder();
    const { sha256: name } = await at.store.put(Buffer.from("some bytes"), { maxBytes: 100 });
    assert.equal(statSync(join(folder, "cas", name.slice(0, 2), name)).mode & 0o022, 0);
  });

  it("removes what dead attempts and uploads left, but nothing that was written to since, and follows no link", async () => {
    const { folder, at } = freshFolder();
    const outside = join(mkdtempSync(join(root, "outside-")), "precious");
    writeFileSync(outside, "precious");
    const old = new Date("2020-01-01");
    const plant = (path: string, isOld: boolean): void => {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), "leftover");
      if (isOld) utimesSync(join(folder, path), old, old);
    };
    plant("tmp/upload", true);
    plant("tmp/dead/1/own/weights.partial", true);
    plant("tmp/live/1/own/weights.partial", true);
    plant("tmp/live/2/own/weights.partial", false);
    symlinkSync(dirname(outside), join(folder, "tmp/dead/1/own/link"));
    for (const path of ["dead/1/own", "dead/1", "dead", "live/1/own", "live/1"])
      utimesSync(join(folder, "tmp", path), old, old);
    const rule = { olderThan: new Date("2021-01-01"), isRegistered: async () => new Set<string>() };
    await at.store.collectGarbage(rule);
    assert.deepEqual(filesBelow(folder), ["tmp/dead/1/own/link", "tmp/live/2/own/weights.partial"]);
    assert.deepEqual(readdirSync(join(folder, "tmp/live")), ["2"]);
    await at.store.collectGarbage({ ...rule, olderThan: new Date(Date.now() + 60_000) });
    assert.deepEqual(readdirSync(join(folder, "tmp")), []);
    assert.deepEqual(readdirSync(dirname(outside)), ["precious"]);
  });

  it("leaves files alone that are no artifacts", async () => {
    const { folder, at } = freshFolder();
    mkdirSync(join(folder, "cas", "ab"), { recursive: true });
    writeFileSync(join(folder, "cas", "ab", "README"), "somebody's own");
    writeFileSync(join(folder, "cas", sha256("x")), "not in its folder");
    await at.store.collectGarbage({ olderThan: new Date(Date.now() + 60_000), isRegistered: async () => new Set() });
    assert.equal(filesBelow(folder).length, 2);
  });
});
