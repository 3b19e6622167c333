import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, it } from "node:test";
import { ArtifactBucket } from "../../src/artifacts/bucket.js";
import type { BucketKey, BucketPlace } from "../../src/artifacts/bucket-client.js";
import { projectFolder } from "../../src/embedded/project.js";
import { AssayError } from "../../src/errors.js";

/** A real store for one test file, or the reason why this machine has none. */
export type TestStore = (Omit<BucketPlace, "prefix"> & BucketKey) | { readonly missing: string };

/** Registers a test; without a store it is skipped. */
export type Register = (name: string, work: () => Promise<void>) => void;

const NO_STORE_EXIT = 69; // scripts/s3.mjs says why on its standard error

/** Starts a server that ends after the file's last test, or takes the one that ASSAY_TEST_S3 names as the script would print it. */
export async function testStore(): Promise<TestStore> {
  const given = process.env["ASSAY_TEST_S3"];
  if (given !== undefined) return JSON.parse(given);
  const child = spawn(process.execPath, [join(projectFolder(), "scripts", "s3.mjs")], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  const ended = once(child, "exit");
  let said = "";
  child.stderr.on("data", (chunk) => {
    said += String(chunk);
  });
  const line = await Promise.race([once(createInterface(child.stdout), "line"), ended.then(() => undefined)]);
  if (line === undefined) {
    if (child.exitCode !== NO_STORE_EXIT) throw new AssayError("INTERNAL", `the store's script broke: ${said}`);
    return { missing: said.trim() };
  }
  after(async () => {
    child.stdin.end();
    await ended;
  });
  return JSON.parse(String(line[0]));
}

/** Registers tests that need the store. Without one they are counted as skipped, in one line; in CI that fails. */
export function storeLane(store: TestStore): Register {
  if ("bucket" in store) return (name, work) => void it(name, work);
  if (process.env["CI"] === "true") throw new AssayError("SETUP_FAILED", store.missing);
  let skipped = 0;
  after(() => process.stderr.write(`S3: ${skipped} tests skipped. ${store.missing}\n`));
  return (name) => {
    skipped += 1;
    it(name, { skip: store.missing });
  };
}

let spaces = 0;

/** A part of the bucket that nobody else uses. */
export function freshPlace(store: TestStore): BucketPlace & BucketKey {
  spaces += 1;
  const none = { bucket: "none", region: "none", endpoint: undefined, accessKeyId: "", secretAccessKey: "" };
  return { ...("bucket" in store ? store : none), prefix: `space-${process.pid}-${spaces}/` };
}

/** An empty store in a part of its own. */
export function freshBucket(store: TestStore): ArtifactBucket {
  const place = freshPlace(store);
  const bucket = new ArtifactBucket(place, place);
  after(() => bucket.close());
  return bucket;
}
