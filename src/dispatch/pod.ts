import {
  type CallOptions,
  type ChannelCredentials,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import type { ErrorClass, StopMode } from "../domain/run.js";
import {
  type DescribePodResponse,
  PodServiceClient,
  type StartRunRequest,
  type WatchRunResponse,
} from "../gen/assay/pod/v1/pod_service.js";
import {
  type Artifact,
  type Done,
  CancelMode as WireCancelMode,
  type Checkpoint as WireCheckpoint,
  ErrorClass as WireErrorClass,
} from "../gen/assay/pod/v1/run.js";
import type { Checkpoint, ResumePoint } from "../store/checkpoints.js";
import type { Lease, ResolvedInput } from "../store/claims.js";
import type { MadeFile, Used } from "../store/endings.js";

/**
 * Why a call to a pod failed. GONE: nobody listens at its address. UNREACHABLE: no answer, which says nothing about the pod.
 * NOT_HELD: the pod does not hold the attempt. SUPERSEDED: it has seen a higher epoch of the run. CHECKPOINT_BROKEN: it cannot go
 * on from the checkpoint that it was named.
 */
export type PodErrorKind =
  | "GONE"
  | "UNREACHABLE"
  | "NOT_HELD"
  | "OVERLOAD"
  | "SUPERSEDED"
  | "CHECKPOINT_BROKEN"
  | "BAD_INPUT"
  | "BROKEN";

/** A call to a pod that failed. */
export class PodError extends Error {
  constructor(
    readonly kind: PodErrorKind,
    message: string,
    cause: unknown,
  ) {
    super(message, { cause });
    this.name = "PodError";
  }
}

/** What a pod says of itself. */
export interface PodDescription {
  readonly podId: string;
  readonly device: string;
  readonly slots: number;
  readonly freeSlots: number;
  readonly held: readonly { readonly runId: string; readonly epoch: number }[];
}

/** A file that a run reads. */
export interface PodInput extends ResolvedInput {
  /** Where the pod may read it for a while, where it shares no folder with the service. A secret. */
  readonly url?: string;
}

/** What a pod is asked to do. */
export interface PodTask extends Lease {
  readonly capability: string;
  readonly spec: string;
  readonly specSha256: string;
  readonly inputs: readonly PodInput[];
  /** True where the pod uploads each file by a grant. Default false. */
  readonly uploadsNeedGrants?: boolean;
  /** Where the pod may read the checkpoint that it goes on from. A secret. */
  readonly resumeUrl?: string;
  readonly ttlMs: number;
  readonly beatMs: number;
  /** The longest time it may take; 0 for no bound. */
  readonly hardDeadlineMs: number;
}

/** Something that a pod says of an attempt, numbered from 1. */
export type PodEvent = { readonly sequence: number } & (
  | { readonly kind: "STARTED" }
  | { readonly kind: "BEAT"; readonly beat: bigint }
  | { readonly kind: "PROGRESS"; readonly stage: string; readonly completed: number; readonly total: number }
  | { readonly kind: "LOG"; readonly warning: boolean; readonly message: string }
  | { readonly kind: "METRIC"; readonly name: string; readonly value: number; readonly step: number }
  | { readonly kind: "ARTIFACT"; readonly file: MadeFile }
  | { readonly kind: "GRANT_REQUEST"; readonly file: Omit<MadeFile, "kind"> }
  | { readonly kind: "CHECKPOINT"; readonly checkpoint: Checkpoint }
  | { readonly kind: "DONE"; readonly outcome: PodOutcome; readonly used: Used }
  /** An event of a newer pod, or none for a dispatcher. */
  | { readonly kind: "UNKNOWN" }
);

/** Where a pod may upload a file for a while, or why not. The address is a secret. */
export type UploadAnswer =
  | { readonly url: string; readonly headers: Readonly<Record<string, string>> }
  | { readonly refusal: string };

/** How an attempt ended, as its pod says. */
export type PodOutcome =
  | {
      readonly kind: "SUCCEEDED";
      readonly metrics: Buffer;
      readonly contentSha256: string;
      readonly files: readonly MadeFile[];
      readonly partial: boolean;
    }
  | {
      readonly kind: "FAILED";
      readonly errorClass: ErrorClass;
      readonly code: string;
      readonly message: string;
      readonly stage: string;
    }
  | { readonly kind: "CANCELLED" | "RELEASED"; readonly lastStep: number };

/** PEM texts for connections on which both sides show a certificate. */
export interface PodTls {
  /** The authority that pods' certificates must come from. */
  readonly ca: Buffer;
  /** Our certificate chain. */
  readonly cert: Buffer;
  readonly key: Buffer;
  /** The name that pods' certificates must be for; the host that is dialled where it is undefined. */
  readonly serverName: string | undefined;
}

/** A pod that can be talked to. Every call has a deadline, and failures are PodErrors. */
export class PodClient {
  private client: PodServiceClient;

  constructor(
    readonly address: string,
    private readonly tls?: PodTls,
  ) {
    this.client = this.connect();
  }

  private connect(): PodServiceClient {
    const { serverName } = this.tls ?? {};
    return new PodServiceClient(this.address, credentialsOf(this.tls), {
      ...(serverName === undefined ? {} : { "grpc.ssl_target_name_override": serverName }),
      // A connection of its own, so that closing this client says nothing about another one to the same address.
      "grpc.use_local_subchannel_pool": 1,
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 2_000,
      // The dispatcher alone decides what is tried again.
      "grpc.enable_retries": 0,
    });
  }

  /** Asks the pod what it is. One that gives no answer in time is asked over another connection the next time. */
  async describe(deadlineMs: number): Promise<PodDescription> {
    const { client } = this;
    const said = await call<DescribePodResponse>((done) =>
      client.describePod({}, noMetadata, within(deadlineMs), done),
    ).catch((error: unknown) => {
      // A connection whose other end has gone without a word looks whole for as long as TCP is patient: many minutes.
      if (error instanceof PodError && error.kind === "UNREACHABLE" && this.client === client) {
        this.client = this.connect();
        client.close();
      }
      throw error;
    });
    const { podId, device, slots, freeSlots, heldRuns: held } = said;
    return { podId, device, slots, freeSlots, held };
  }

  /** Asks the pod to take an attempt, from where an earlier one got to. No work starts before the first renewal. */
  async start(task: PodTask, from: ResumePoint, deadlineMs: number): Promise<void> {
    const request: StartRunRequest = {
      runId: task.runId,
      epoch: task.epoch,
      capability: task.capability,
      spec: Buffer.from(task.spec),
      specSha256: task.specSha256,
      inputs: task.inputs.map(({ name, sha256, sizeBytes, url = "" }) => ({
        name,
        sha256,
        url,
        sizeBytes: BigInt(sizeBytes ?? 0),
      })),
      leaseTtlMs: BigInt(task.ttlMs),
      beatIntervalMs: BigInt(task.beatMs),
      hardDeadlineMs: BigInt(task.hardDeadlineMs),
      uploadsNeedGrants: task.uploadsNeedGrants ?? false,
      resumeUrl: task.resumeUrl ?? "",
      resumeFrom: from.checkpoint === null ? undefined : wireCheckpoint(from.checkpoint),
      microBatchDivisor: from.microBatchDivisor,
    };
    await call((done) => this.client.startRun(request, noMetadata, within(deadlineMs), done));
  }

  /** Tells the pod that its beat is noted, and whether it is to stop. */
  async renew(lease: Lease, beat: bigint, wish: { stop: StopMode | null; deadlineMs: number }): Promise<void> {
    const request = { runId: lease.runId, epoch: lease.epoch, beat, cancelMode: wireCancelMode(wish.stop) };
    await call((done) => this.client.renewRun(request, noMetadata, within(wish.deadlineMs), done));
  }

  /** Asks the pod to end an attempt. FENCED: its lease is lost. */
  async cancel(lease: Lease, mode: StopMode | "FENCED", deadlineMs: number): Promise<void> {
    const request = { runId: lease.runId, epoch: lease.epoch, mode: wireCancelMode(mode) };
    await call((done) => this.client.cancelRun(request, noMetadata, within(deadlineMs), done));
  }

  /** Answers a request for a grant. */
  async grantUpload(lease: Lease, sha256: string, to: { answer: UploadAnswer; deadlineMs: number }): Promise<void> {
    const request = { runId: lease.runId, epoch: lease.epoch, sha256, url: "", headers: {}, refusal: "", ...to.answer };
    await call((done) => this.client.grantUpload(request, noMetadata, within(to.deadlineMs), done));
  }

  /** The attempt's events after a sequence number, until its end, an error, or the signal. */
  async *watch(lease: Lease, afterSequence: number, signal: AbortSignal): AsyncGenerator<PodEvent> {
    const { runId, epoch } = lease;
    const stream = this.client.watchRun({ runId, epoch, afterSequence: BigInt(afterSequence) });
    const cancel = (): void => stream.cancel();
    signal.addEventListener("abort", cancel);
    try {
      if (signal.aborted) return;
      for await (const { event } of responses(stream)) {
        if (event?.runId === runId && event.epoch === epoch) yield translate(event);
      }
    } catch (error) {
      if (!signal.aborted) throw asPodError(error);
    } finally {
      signal.removeEventListener("abort", cancel);
      stream.cancel();
    }
  }

  /** Closes the connection. */
  close(): void {
    this.client.close();
  }
}

function credentialsOf(tls: PodTls | undefined): ChannelCredentials {
  return tls === undefined ? credentials.createInsecure() : credentials.createSsl(tls.ca, tls.key, tls.cert);
}

const noMetadata = new Metadata();

function within(deadlineMs: number): CallOptions {
  return { deadline: Date.now() + deadlineMs };
}

type Answer<T> = (error: ServiceError | null, response: T) => void;

function call<T>(invoke: (done: Answer<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    invoke((error, response) => {
      if (error === null) resolve(response);
      else reject(asPodError(error));
    });
  });
}

function asPodError(thrown: unknown): PodError {
  if (!(thrown instanceof Error)) return new PodError("BROKEN", String(thrown), thrown);
  const code = "code" in thrown && typeof thrown.code === "number" ? thrown.code : status.UNKNOWN;
  return new PodError(kindOf(code, thrown.message), thrown.message, thrown);
}

function kindOf(code: status, message: string): PodErrorKind {
  switch (code) {
    case status.UNAVAILABLE:
      return message.includes("ECONNREFUSED") ? "GONE" : "UNREACHABLE";
    case status.DEADLINE_EXCEEDED:
    case status.CANCELLED:
      return "UNREACHABLE";
    case status.NOT_FOUND:
      return "NOT_HELD";
    case status.RESOURCE_EXHAUSTED:
      return "OVERLOAD";
    case status.ABORTED:
      return "SUPERSEDED";
    case status.DATA_LOSS:
      return "CHECKPOINT_BROKEN";
    case status.INVALID_ARGUMENT:
    case status.FAILED_PRECONDITION:
      return "BAD_INPUT";
    default:
      return "BROKEN";
  }
}

function responses(stream: ClientReadableStream<WatchRunResponse>): AsyncIterable<WatchRunResponse> {
  return stream;
}

function translate(event: NonNullable<WatchRunResponse["event"]>): PodEvent {
  const sequence = Number(event.sequence);
  const { body } = event;
  switch (body?.$case) {
    case "started":
      return { sequence, kind: "STARTED" };
    case "beat":
      return { sequence, kind: "BEAT", beat: body.value.beat };
    case "progress": {
      const { stage, completed, total } = body.value;
      return { sequence, kind: "PROGRESS", stage, completed: Number(completed), total: Number(total) };
    }
    case "log":
      return { sequence, kind: "LOG", warning: body.value.level === "warning", message: body.value.message };
    case "metric":
      return { sequence, kind: "METRIC", ...body.value, step: Number(body.value.step) };
    case "artifact":
      return { sequence, kind: "ARTIFACT", file: madeFile(body.value) };
    case "grantRequest": {
      const { name, sha256, sizeBytes } = body.value;
      return { sequence, kind: "GRANT_REQUEST", file: { name, sha256, sizeBytes: Number(sizeBytes) } };
    }
    case "checkpoint": {
      const { step, sha256, sizeBytes } = body.value;
      return { sequence, kind: "CHECKPOINT", checkpoint: { step: Number(step), sha256, sizeBytes: Number(sizeBytes) } };
    }
    case "done":
      return { sequence, kind: "DONE", outcome: outcomeOf(body.value), used: usedBy(body.value) };
    case "modelCalls": // said within a pod, which sums them up in its last word
    case undefined:
      return { sequence, kind: "UNKNOWN" };
    default:
      return body satisfies never;
  }
}

function madeFile({ name, kind, sha256, sizeBytes }: Artifact): MadeFile {
  return { name, kind, sha256, sizeBytes: Number(sizeBytes) };
}

function wireCheckpoint({ step, sha256, sizeBytes }: Checkpoint): WireCheckpoint {
  return { step: BigInt(step), sha256, sizeBytes: BigInt(sizeBytes) };
}

function outcomeOf({ outcome }: Done): PodOutcome {
  switch (outcome?.$case) {
    case "succeeded": {
      const { metrics, contentSha256, artifacts, partial } = outcome.value;
      return { kind: "SUCCEEDED", metrics, contentSha256, files: artifacts.map(madeFile), partial };
    }
    case "failed": {
      const { errorClass, code, message, stage } = outcome.value;
      return { kind: "FAILED", errorClass: domainErrorClass(errorClass), code, message, stage };
    }
    case "cancelled":
      return { kind: "CANCELLED", lastStep: Number(outcome.value.lastStep) };
    case "released":
      return { kind: "RELEASED", lastStep: Number(outcome.value.lastStep) };
    default: {
      const message = "the pod ended the attempt with an outcome that is not known here";
      return { kind: "FAILED", errorClass: "UNKNOWN", code: "OUTCOME_UNKNOWN", message, stage: "" };
    }
  }
}

/** A pod's figures are only ever added up, so what is no amount counts as nothing. */
function usedBy({ usage }: Done): Used {
  const amount = (value: number | bigint | undefined): number => {
    const number = Number(value ?? 0);
    return Number.isFinite(number) && number > 0 ? number : 0;
  };
  const seconds = {
    wall: amount(usage?.wallSeconds),
    cpu: amount(usage?.cpuSeconds),
    gpu: amount(usage?.gpuSeconds),
  };
  const queries = amount(usage?.queries);
  if (queries === 0) return seconds;
  const [promptTokens, completionTokens] = [amount(usage?.promptTokens), amount(usage?.completionTokens)];
  return { ...seconds, calls: { promptTokens, completionTokens, queries } };
}

function domainErrorClass(wire: WireErrorClass): ErrorClass {
  switch (wire) {
    case WireErrorClass.ERROR_CLASS_BAD_INPUT:
      return "BAD_INPUT";
    case WireErrorClass.ERROR_CLASS_TRANSIENT:
      return "TRANSIENT";
    case WireErrorClass.ERROR_CLASS_OOM:
      return "OOM";
    case WireErrorClass.ERROR_CLASS_POISON:
      return "POISON";
    default:
      return "UNKNOWN";
  }
}

function wireCancelMode(mode: StopMode | "FENCED" | null): WireCancelMode {
  switch (mode) {
    case null:
      return WireCancelMode.CANCEL_MODE_UNSPECIFIED;
    case "GRACEFUL":
      return WireCancelMode.CANCEL_MODE_GRACEFUL;
    case "SCORE_PARTIAL":
      return WireCancelMode.CANCEL_MODE_SCORE_PARTIAL;
    case "IMMEDIATE":
      return WireCancelMode.CANCEL_MODE_IMMEDIATE;
    case "RELEASE":
      return WireCancelMode.CANCEL_MODE_RELEASE;
    case "FENCED":
      return WireCancelMode.CANCEL_MODE_FENCED;
    default:
      return mode satisfies never;
  }
}
