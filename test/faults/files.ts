import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { type Breach, breachOf, type Query } from "./rule.js";

/** Reads a whole artifact and says what is wrong with it; null when it is there with this size and digest. */
export type FileLook = (sha256: string, sizeBytes: number) => Promise<string | null>;

/** Looks into an artifact folder, by itself: what is checked has no say in it. */
export function folderLook(root: string): FileLook {
  return async (sha256, sizeBytes) => {
    const path = join(root, "cas", sha256.slice(0, 2), sha256);
    const found = await stat(path).catch(() => null); // no such file, which the answer says
    if (found === null) return "there is no file";
    if (found.size !== sizeBytes) return `the file has ${found.size} bytes`;
    const hash = createHash("sha256");
    for await (const chunk of createReadStream(path)) hash.update(chunk);
    const digest = hash.digest("hex");
    return digest === sha256 ? null : `the file's digest is ${digest}`;
  };
}

/** I11: reads every registered file again. One that only a checkpoint marked as broken names is known to be bad. */
export async function fileBreaches(query: Query, look: FileLook): Promise<Breach[]> {
  const rows = await query<{ sha256: string; size_bytes: string }>(
    `select distinct a.sha256, a.size_bytes from artifact a
     where not exists (select 1 from checkpoint c where c.tenant_id = a.tenant_id and c.sha256 = a.sha256 and c.broken_at is not null)
        or exists (select 1 from run_artifact f where f.tenant_id = a.tenant_id and f.sha256 = a.sha256)`,
  );
  const bad: object[] = [];
  for (const { sha256, size_bytes } of rows) {
    const fault = await look(sha256, Number(size_bytes));
    if (fault !== null) bad.push({ sha256, size_bytes, fault });
  }
  return breachOf({ invariant: "I11", says: "every registered file is there, whole and of its digest" }, bad);
}
