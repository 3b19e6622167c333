import type { ArtifactStore } from "../artifacts/store.js";
import { sha256 } from "../domain/digest.js";
import type { Failure, MadeFile } from "../store/endings.js";
import type { PodOutcome } from "./pod.js";

type Succeeded = Extract<PodOutcome, { kind: "SUCCEEDED" }>;
type Fault = Pick<Failure, "errorClass" | "code" | "message">;

/** Checks what a pod says it made: a pod is an untrusted calculator. */
export class OutcomeCheck {
  private readonly seen = new Set<string>();

  constructor(private readonly artifacts: Pick<ArtifactStore, "verify">) {}

  /** Looks at a file as soon as it is announced, so that the end of the attempt need not wait for it. */
  async look({ sha256: digest, sizeBytes }: MadeFile): Promise<boolean> {
    const name = `${digest}:${sizeBytes}`;
    if (this.seen.has(name)) return true;
    if (!/^[0-9a-f]{64}$/.test(digest) || !(await this.artifacts.verify(digest, sizeBytes))) return false;
    this.seen.add(name);
    return true;
  }

  /** What is wrong with a result, or null. */
  async faultOf({ metrics, contentSha256, files }: Succeeded): Promise<Fault | null> {
    const digest = sha256(metrics);
    if (digest !== contentSha256) {
      return invalid(`the result's digest: wanted ${contentSha256}, but its bytes give ${digest}`);
    }
    if (!isJson(metrics)) return invalid("the result: wanted JSON, but it is something else");
    if (new Set(files.map((file) => file.name)).size < files.length) {
      return invalid("the result's files: wanted each name once, but a name comes twice");
    }
    for (const file of files) {
      if (await this.look(file)) continue;
      const message = `file ${file.name}: wanted ${file.sizeBytes} bytes with digest ${file.sha256} in the store, but they are not there`;
      return { errorClass: "TRANSIENT", code: "ARTIFACT_CORRUPT", message };
    }
    return null;
  }
}

function invalid(message: string): Fault {
  return { errorClass: "UNKNOWN", code: "RESULT_INVALID", message };
}

function isJson(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString("utf8"));
    return true;
  } catch {
    return false; // what it says is not needed: the answer is no
  }
}

/** Text from a pod as PostgreSQL and people can take it: well-formed, without NUL, not endless. */
export function cleanText(text: string, charactersMax = 4_000): string {
  const clean = text.toWellFormed().replaceAll("\u0000", "\ufffd");
  return clean.length > charactersMax ? `${clean.slice(0, charactersMax).toWellFormed()}…` : clean;
}
