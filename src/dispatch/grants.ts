import type { Grantor, StoredArtifact } from "../artifacts/store.js";
import { AssayError } from "../errors.js";
import { type Log, reasonOf } from "../log.js";
import type { ResumePoint } from "../store/checkpoints.js";
import type { Lease } from "../store/claims.js";
import { cleanText } from "./outcome.js";
import type { PodClient, PodInput, PodTask, UploadAnswer } from "./pod.js";

/** A pod asks for few files at once; one that asks without end is not listened to without end. */
const ANSWERING_MAX = 16;

interface Parts {
  readonly grantor: Grantor;
  readonly log: Log;
  readonly callMs: number;
}

/** Lets one attempt read its inputs and upload its files, where its pod shares no folder with the service. Addresses are never logged. */
export class Grants {
  private answering = 0;

  constructor(
    private readonly parts: Parts,
    private readonly lease: Lease,
  ) {}

  /** The task with addresses for this start of the attempt. */
  async granted(task: PodTask, { checkpoint }: ResumePoint): Promise<PodTask> {
    const inputs: PodInput[] = [];
    for (const input of task.inputs) inputs.push({ ...input, url: await this.parts.grantor.readGrant(input.sha256) });
    const resumeUrl = checkpoint === null ? "" : await this.parts.grantor.readGrant(checkpoint.sha256);
    return { ...task, inputs, resumeUrl, uploadsNeedGrants: true };
  }

  /** Tells the pod where it may upload a file, or why not. Never rejects: a pod that hears nothing asks again. */
  async answer(client: PodClient, file: StoredArtifact & { readonly name: string }): Promise<void> {
    const { callMs, log } = this.parts;
    const { runId, epoch } = this.lease;
    if (this.answering >= ANSWERING_MAX) return;
    this.answering += 1;
    try {
      const answer = await this.answerTo(file);
      if ("refusal" in answer) log.warn("upload is refused", { runId, epoch, reason: answer.refusal });
      await client.grantUpload(this.lease, file.sha256, { answer, deadlineMs: callMs });
    } catch (error) {
      log.warn("request for an upload was not answered", { runId, epoch, reason: reasonOf(error) });
    }
    this.answering -= 1;
  }

  /** Whether the attempt has uploaded this file, which is then stored. Only what came under its own prefix counts. */
  async verify(sha256: string, sizeBytes: number): Promise<boolean> {
    return this.parts.grantor.takeUpload(this.lease, { sha256, sizeBytes });
  }

  /** Removes what was taken over and what nobody wants any more. Never rejects: what stays goes with the garbage. */
  async end(): Promise<void> {
    try {
      await this.parts.grantor.removeUploads(this.lease);
    } catch (error) {
      const { runId, epoch } = this.lease;
      this.parts.log.warn("uploads of an attempt were not removed", { runId, epoch, reason: reasonOf(error) });
    }
  }

  private async answerTo(file: StoredArtifact & { readonly name: string }): Promise<UploadAnswer> {
    const name = cleanText(file.name, 200);
    if (!/^[0-9a-f]{64}$/.test(file.sha256)) return { refusal: `file ${name}: wanted a SHA-256, but got another text` };
    try {
      return await this.parts.grantor.uploadGrant(this.lease, file);
    } catch (error) {
      if (!(error instanceof AssayError) || error.retriable) throw error;
      return { refusal: `file ${name}: ${error.message}` };
    }
  }
}
