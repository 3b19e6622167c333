import { randomUUID } from "node:crypto";
import { text } from "node:stream/consumers";
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import type { ArtifactStore } from "../../src/artifacts/store.js";
import { canonicalJson, type Json, sha256 } from "../../src/domain/digest.js";
import {
  type GrantUploadRequest,
  type PodServiceServer,
  PodServiceService,
  type StartRunRequest,
  type WatchRunRequest,
  type WatchRunResponse,
} from "../../src/gen/assay/pod/v1/pod_service.js";
import { type Artifact, CancelMode, type Done, ErrorClass, type RunEvent } from "../../src/gen/assay/pod/v1/run.js";

type Body = NonNullable<RunEvent["body"]>;

/** What the work of an attempt sees. */
export interface StubTask {
  readonly runId: string;
  readonly epoch: number;
  readonly spec: { readonly [key: string]: Json | undefined };
  readonly inputs: ReadonlyMap<string, string>;
  /** The text of an input: from the address that came with it, or from the store that is shared. */
  readonly read: (name: string) => Promise<string>;
  /** Says something on the way. */
  readonly say: (body: Body) => void;
  /** Stores a file and announces it. */
  readonly make: (name: string, kind: string, text: string) => Promise<void>;
  /** Asks where a file may be uploaded, and gives the refusal; empty where it is granted. */
  readonly ask: (file: Omit<Artifact, "kind">) => Promise<string>;
  /** Names a file in the result without storing it. */
  readonly claim: (file: Artifact) => void;
  /** Resolves with the first mode when the attempt is to stop. */
  readonly cancelled: Promise<CancelMode>;
  /** The step of the checkpoint that the attempt goes on from; null at the beginning. */
  readonly resumedFrom: number | null;
  readonly microBatchDivisor: number;
  /** Writes a checkpoint and gives its digest. */
  readonly checkpoint: (step: number) => Promise<string>;
}

/** What the work of an attempt comes to; an error class fails it. */
export type StubOutcome =
  | { readonly metrics: Json; readonly partial?: boolean }
  | { readonly errorClass: ErrorClass; readonly code: string }
  | "CANCELLED"
  | "RELEASED";

/** How a stub pod behaves. */
export interface StubPodOptions {
  readonly artifacts: ArtifactStore;
  readonly slots?: number;
  /** Port of the loopback address. Default: any free one. */
  readonly port?: number;
  /** PEM texts for connections on which both sides show a certificate. Default: plain connections. */
  readonly tls?: { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer };
  /** True for a pod that works on without a lease, as one does that was stopped and continued. Default false. */
  readonly zombie?: boolean;
  /** Bytes to upload in place of the right ones. */
  readonly spoil?: (bytes: Buffer) => Buffer;
  /** Told the status of every upload. */
  readonly uploaded?: (status: number) => void;
  /** Told the id of each run that is taken. */
  readonly took?: (runId: string) => void;
  /** False for runs that make no file at all; otherwise each stores its result as one, as the real pod's runs do. */
  readonly storesResult?: boolean;
  /** Default: answers `{"value": f(spec)}` at once. */
  readonly work?: (task: StubTask) => Promise<StubOutcome>;
}

type Settings = StubPodOptions & Required<Pick<StubPodOptions, "slots" | "zombie" | "work">>;

const ATTEMPTS_KEPT = 200;

/** What the stub computes when it is not told otherwise: differs for every spec, so that answers cannot be mixed up. */
export function answerOf(spec: { readonly [key: string]: Json | undefined }): string {
  return sha256(canonicalJson(spec)).slice(0, 16);
}

/** A pod that speaks the whole contract and works in no time. It is a counterpart for tests, in place of the Python one. */
export class StubPod {
  readonly podId = randomUUID();
  address = "";
  /** Every attempt that was taken, in order. */
  readonly taken: { readonly runId: string; readonly epoch: number }[] = [];
  /** Set to true to refuse every StartRun as a full pod does. */
  refusing = false;
  private readonly server = new Server();
  private readonly attempts = new Map<string, StubAttempt>();
  private readonly highest = new Map<string, number>();

  private constructor(private readonly options: Settings) {}

  /** Starts a pod on the loopback address. */
  static async start(options: StubPodOptions): Promise<StubPod> {
    const work =
      options.work ?? ((task): Promise<StubOutcome> => Promise.resolve({ metrics: { value: answerOf(task.spec) } }));
    const pod = new StubPod({ slots: 1, zombie: false, ...options, work });
    pod.server.addService(PodServiceService, pod.service());
    const port = await new Promise<number>((resolve, reject) => {
      pod.server.bindAsync(`127.0.0.1:${options.port ?? 0}`, credentialsOf(options), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
    pod.address = `127.0.0.1:${port}`;
    return pod;
  }

  /** The attempts that hold a slot. */
  get busy(): number {
    return [...this.attempts.values()].filter((attempt) => attempt.working).length;
  }

  /** Ends the pod as a killed process ends: every connection breaks, nothing more is said. */
  kill(): void {
    for (const attempt of this.attempts.values()) attempt.silence();
    this.server.forceShutdown();
  }

  /** Cuts the attempts' beats while their work goes on, as a pod does that is stopped and continued later. */
  stopBeats(): void {
    for (const attempt of this.attempts.values()) attempt.stopBeats();
  }

  private service(): PodServiceServer {
    return {
      startRun: (call, done) => void this.startRun(call.request, done),
      watchRun: (call) => this.watchRun(call),
      renewRun: (call, done) => {
        const { runId, epoch, cancelMode, beat } = call.request;
        const attempt = this.attempts.get(`${runId}:${epoch}`);
        if (attempt === undefined || attempt.fenced) return refuse(done, status.NOT_FOUND, "not held");
        attempt.renewed(beat, cancelMode);
        done(null, {});
      },
      grantUpload: (call, done) => {
        const { runId, epoch } = call.request;
        const attempt = this.attempts.get(`${runId}:${epoch}`);
        if (attempt === undefined || attempt.fenced) return refuse(done, status.NOT_FOUND, "not held");
        attempt.granted(call.request);
        done(null, {});
      },
      cancelRun: (call, done) => {
        const { runId, epoch, mode } = call.request;
        this.attempts.get(`${runId}:${epoch}`)?.cancel(mode);
        done(null, {});
      },
      describePod: (_call: ServerUnaryCall<object, unknown>, done) => {
        const { slots } = this.options;
        const heldRuns = [...this.attempts.values()]
          .filter((attempt) => !attempt.fenced)
          .map(({ request: { runId, epoch } }) => ({ runId, epoch }));
        const freeSlots = this.refusing ? slots : Math.max(0, slots - this.busy);
        done(null, { podId: this.podId, device: "cpu", slots, freeSlots, codeDigests: {}, versions: {}, heldRuns });
      },
    };
  }

  private async startRun(request: StartRunRequest, done: sendUnaryData<{ freeSlots: number }>): Promise<void> {
    const { runId, epoch } = request;
    const name = `${runId}:${epoch}`;
    if (!this.attempts.has(name)) {
      const refusal = this.refusalOf(request) ?? (await this.checkpointRefusalOf(request));
      if (refusal !== null) {
        refuse(done, ...refusal);
        return;
      }
      this.forgetEnded();
      this.highest.set(runId, epoch);
      this.taken.push({ runId, epoch });
      this.options.took?.(runId);
      this.attempts.set(name, new StubAttempt(request, this.options));
    }
    done(null, { freeSlots: this.options.slots - this.busy });
  }

  /** Ended attempts are kept for whoever watches late, but not for ever. */
  private forgetEnded(): void {
    for (const [name, attempt] of this.attempts) {
      if (this.attempts.size < ATTEMPTS_KEPT) return;
      if (!attempt.working) this.attempts.delete(name);
    }
  }

  private refusalOf({ runId, epoch, spec, specSha256, capability }: StartRunRequest): [status, string] | null {
    if (epoch < (this.highest.get(runId) ?? 0)) return [status.ABORTED, "a higher epoch was seen"];
    if (sha256(spec) !== specSha256) return [status.INVALID_ARGUMENT, "the spec does not match its digest"];
    if (!["robustness", "retrieval"].includes(capability)) return [status.INVALID_ARGUMENT, "unknown capability"];
    if (this.refusing || this.busy >= this.options.slots) return [status.RESOURCE_EXHAUSTED, "no slot is free"];
    return null;
  }

  private async checkpointRefusalOf({
    resumeFrom,
    resumeUrl,
    specSha256,
  }: StartRunRequest): Promise<[status, string] | null> {
    // One that has to be fetched is looked at once the lease is sure.
    if (resumeFrom === undefined || resumeUrl !== "") return null;
    const { artifacts } = this.options;
    if (!(await artifacts.verify(resumeFrom.sha256, Number(resumeFrom.sizeBytes)))) {
      return [status.DATA_LOSS, "the checkpoint's file is missing or damaged"];
    }
    const held: { specSha256: string } = JSON.parse(await text(artifacts.open(resumeFrom.sha256)));
    return held.specSha256 === specSha256 ? null : [status.DATA_LOSS, "the checkpoint was written for another spec"];
  }

  private watchRun(call: ServerWritableStream<WatchRunRequest, WatchRunResponse>): void {
    const { runId, epoch, afterSequence } = call.request;
    const attempt = this.attempts.get(`${runId}:${epoch}`);
    if (attempt === undefined || attempt.fenced) {
      call.emit("error", { code: status.NOT_FOUND, details: "not held" });
      return;
    }
    const forget = attempt.follow(Number(afterSequence), (event) => {
      call.write({ event });
      if (event.body?.$case === "done") call.end();
    });
    call.on("cancelled", forget);
  }
}

class StubAttempt {
  working = true;
  fenced = false;
  private readonly events: RunEvent[] = [];
  private readonly watchers = new Set<(event: RunEvent) => void>();
  private readonly beats: NodeJS.Timeout;
  private leaseEnd: NodeJS.Timeout;
  private beat = 0n;
  private begun = false;
  private silent = false;
  private cancelMode: ((mode: CancelMode) => void) | undefined;
  private readonly cancelled = new Promise<CancelMode>((resolve) => {
    this.cancelMode = resolve;
  });
  private readonly files: Artifact[] = [];
  private readonly waiting = new Map<string, (grant: GrantUploadRequest) => void>();
  private lastStep = 0n;
  private calls = { promptTokens: 0n, completionTokens: 0n, queries: 0n };

  constructor(
    readonly request: StartRunRequest,
    private readonly options: Settings,
  ) {
    this.append({ $case: "started", value: { device: "cpu" } });
    this.beats = setInterval(() => this.sendBeat(), Number(request.beatIntervalMs));
    this.leaseEnd = this.leaseTimer();
    this.sendBeat();
  }

  follow(after: number, watcher: (event: RunEvent) => void): () => void {
    for (const event of this.events.slice(after)) watcher(event);
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  renewed(_beat: bigint, mode: CancelMode): void {
    clearTimeout(this.leaseEnd);
    if (this.working) this.leaseEnd = this.leaseTimer();
    if (mode !== CancelMode.CANCEL_MODE_UNSPECIFIED) this.cancel(mode);
    if (this.begun) return;
    this.begun = true;
    void this.work();
  }

  granted(grant: GrantUploadRequest): void {
    this.waiting.get(grant.sha256)?.(grant);
  }

  cancel(mode: CancelMode): void {
    if (mode === CancelMode.CANCEL_MODE_FENCED) {
      this.fenced = true;
      this.silence();
    } else {
      this.cancelMode?.(mode);
      const released = mode === CancelMode.CANCEL_MODE_RELEASE;
      if (!this.begun) this.done({ $case: released ? "released" : "cancelled", value: { lastStep: 0n } });
    }
  }

  stopBeats(): void {
    clearInterval(this.beats);
  }

  /** A pod stops a run itself when 0.7 of the lease passed without an acknowledged beat. */
  private leaseTimer(): NodeJS.Timeout {
    return setTimeout(() => {
      if (!this.options.zombie) this.cancel(CancelMode.CANCEL_MODE_FENCED);
    }, Number(this.request.leaseTtlMs) * 0.7);
  }

  silence(): void {
    this.silent = true;
    this.working = false;
    this.stopBeats();
    clearTimeout(this.leaseEnd);
    this.watchers.clear();
  }

  private sendBeat(): void {
    this.beat += 1n;
    this.append({ $case: "beat", value: { beat: this.beat } });
  }

  private append(body: Body): void {
    if (this.silent) return;
    if (body.$case === "modelCalls") {
      this.calls = body.value;
      return;
    }
    const { runId, epoch } = this.request;
    if (body.$case === "progress" && body.value.stage === "training") this.lastStep = body.value.completed;
    const event = { runId, epoch, sequence: BigInt(this.events.length + 1), body };
    this.events.push(event);
    for (const watcher of this.watchers) watcher(event);
  }

  private async work(): Promise<void> {
    const { runId, epoch, spec, inputs, resumeFrom, microBatchDivisor } = this.request;
    const parsed: StubTask["spec"] = JSON.parse(spec.toString("utf8"));
    if (!(await this.isCheckpointWhole())) {
      const failure = { errorClass: ErrorClass.ERROR_CLASS_TRANSIENT, code: "CHECKPOINT_BROKEN", stage: "" };
      return this.done({ $case: "failed", value: { ...failure, message: "the checkpoint cannot be read" } });
    }
    const outcome = await this.options.work({
      runId,
      epoch,
      spec: parsed,
      inputs: new Map(inputs.map((input) => [input.name, input.sha256])),
      read: (name) => this.read(name),
      say: (body) => this.append(body),
      make: (name, kind, text) => this.make(name, kind, text),
      ask: async (file) => (await this.grant(file)).refusal,
      claim: (file) => this.files.push(file),
      cancelled: this.cancelled,
      resumedFrom: resumeFrom === undefined ? null : Number(resumeFrom.step),
      microBatchDivisor,
      checkpoint: (step) => this.checkpoint(step),
    });
    const { lastStep } = this;
    if (outcome === "CANCELLED") this.done({ $case: "cancelled", value: { lastStep } });
    else if (outcome === "RELEASED") this.done({ $case: "released", value: { lastStep } });
    else if ("metrics" in outcome) await this.succeed(outcome);
    else {
      const { errorClass, code } = outcome;
      this.done({
        $case: "failed",
        value: { errorClass, code, message: `wanted success, but got ${code}`, stage: "training" },
      });
    }
  }

  private async make(name: string, kind: string, content: string): Promise<void> {
    const bytes = Buffer.from(content);
    const file = { name, kind, sha256: sha256(bytes), sizeBytes: BigInt(bytes.length) };
    if (this.request.uploadsNeedGrants) await this.upload(file, bytes);
    else await this.options.artifacts.put(bytes, { maxBytes: 1_000_000 });
    this.files.push(file);
    this.append({ $case: "artifact", value: file });
  }

  private async isCheckpointWhole(): Promise<boolean> {
    const { resumeFrom, resumeUrl, specSha256 } = this.request;
    if (resumeFrom === undefined || resumeUrl === "") return true;
    const response = await fetch(resumeUrl, { redirect: "error" });
    const came = Buffer.from(await response.arrayBuffer());
    if (!response.ok || sha256(came) !== resumeFrom.sha256) return false;
    const held: { specSha256: string } = JSON.parse(came.toString());
    return held.specSha256 === specSha256;
  }

  private async read(name: string): Promise<string> {
    const input = this.request.inputs.find((each) => each.name === name);
    if (input === undefined) throw new RangeError(`no input ${name}`);
    if (input.url === "") return text(this.options.artifacts.open(input.sha256));
    const response = await fetch(input.url, { redirect: "error" });
    const came = Buffer.from(await response.arrayBuffer());
    if (!response.ok || sha256(came) !== input.sha256 || BigInt(came.length) !== input.sizeBytes) {
      throw new RangeError(`input ${name}: status ${response.status}, ${came.length} bytes`);
    }
    return came.toString();
  }

  private async upload({ name, sha256: digest, sizeBytes }: Artifact, bytes: Buffer): Promise<void> {
    const { url, headers, refusal } = await this.grant({ name, sha256: digest, sizeBytes });
    if (refusal !== "") throw new RangeError(refusal);
    const body = this.options.spoil?.(bytes) ?? bytes;
    const response = await fetch(url, { method: "PUT", headers, body: new Uint8Array(body), redirect: "error" });
    this.options.uploaded?.(response.status);
  }

  private async checkpoint(step: number): Promise<string> {
    const { runId, specSha256, uploadsNeedGrants } = this.request;
    const bytes = Buffer.from(canonicalJson({ runId, specSha256, step }));
    const file = { name: `step-${step}`, kind: "", sha256: sha256(bytes), sizeBytes: BigInt(bytes.length) };
    if (uploadsNeedGrants) await this.upload(file, bytes);
    else await this.options.artifacts.put(bytes, { maxBytes: 1_000_000 });
    this.lastStep = BigInt(step);
    const { sha256: digest, sizeBytes } = file;
    this.append({ $case: "checkpoint", value: { step: this.lastStep, sha256: digest, sizeBytes } });
    return digest;
  }

  private grant(file: Omit<Artifact, "kind">): Promise<GrantUploadRequest> {
    const { promise, resolve } = Promise.withResolvers<GrantUploadRequest>();
    this.waiting.set(file.sha256, resolve);
    this.append({ $case: "grantRequest", value: file });
    return promise;
  }

  private async succeed({ metrics, partial }: { metrics: Json; partial?: boolean }): Promise<void> {
    const document = canonicalJson(metrics);
    if (this.options.storesResult !== false) await this.make("result.json", "RESULT", document);
    const value = {
      metrics: Buffer.from(document),
      contentSha256: sha256(document),
      artifacts: this.files,
      partial: partial ?? false,
    };
    this.done({ $case: "succeeded", value });
  }

  private done(outcome: NonNullable<Done["outcome"]>): void {
    if (!this.working) return;
    this.working = false;
    this.stopBeats();
    clearTimeout(this.leaseEnd);
    const usage = { wallSeconds: 2, cpuSeconds: 1.5, gpuSeconds: 0, peakMemoryBytes: 1n, ...this.calls };
    this.append({ $case: "done", value: { outcome, usage } });
  }
}

function credentialsOf({ tls }: StubPodOptions): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  return ServerCredentials.createSsl(tls.ca, [{ cert_chain: tls.cert, private_key: tls.key }], true);
}

function refuse(done: sendUnaryData<never>, code: status, details: string): void {
  done({ code, details });
}
