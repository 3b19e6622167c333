import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { rename, rm, stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import * as documents from "./documents.js";
import { AssayRequestError } from "./errors.js";
import { type FollowOptions, followEvents } from "./events.js";
import { allItems, given, type Page, type Payload, unknownExperiment } from "./payload.js";
import { RetrievalResults } from "./retrieval.js";
import type { RetrievalSpec } from "./retrieval.types.js";
import { execute, getFile, putFile } from "./transport.js";
import type {
  Artifact,
  DatasetKind,
  DatasetVersion,
  Experiment,
  ExperimentEvent,
  Model,
  ModelSource,
  RobustnessSpec,
  Run,
} from "./types.js";

/** A client of one Assay service, for one API key. Every method throws AssayRequestError for what the service refuses. */
export class AssayClient extends RetrievalResults {
  /** The project that the key belongs to. */
  async project(): Promise<{ readonly id: string; readonly name: string }> {
    type Data = { viewer: { project: { id: string; name: string } } };
    return (await execute<Data>(this.endpoint, documents.viewerDocument, {})).viewer.project;
  }

  /** Submits an experiment and gives its id. The same idempotency key and spec always give the same experiment. */
  async submitRobustnessExperiment(
    spec: RobustnessSpec,
    idempotencyKey: string,
  ): Promise<{ id: string; replayed: boolean }> {
    type Data = { submitRobustnessExperiment: Payload & { experiment: { id: string } | null; replayed: boolean } };
    const { submitRobustnessExperiment: payload } = await execute<Data>(this.endpoint, documents.submitDocument, {
      input: { spec, idempotencyKey },
    });
    return { id: given(payload, payload.experiment).id, replayed: payload.replayed };
  }

  /** Submits a retrieval experiment and gives its id. The same idempotency key and spec always give the same experiment. */
  async submitRetrievalExperiment(
    spec: RetrievalSpec,
    idempotencyKey: string,
  ): Promise<{ id: string; replayed: boolean }> {
    type Data = { submitRetrievalExperiment: Payload & { experiment: { id: string } | null; replayed: boolean } };
    const { submitRetrievalExperiment: payload } = await execute<Data>(
      this.endpoint,
      documents.submitRetrievalDocument,
      { input: { spec, idempotencyKey } },
    );
    return { id: given(payload, payload.experiment).id, replayed: payload.replayed };
  }

  /** The experiment with its files and all its runs. */
  async experiment(id: string): Promise<Experiment> {
    type Data = { experiment: Omit<Experiment, "artifacts" | "runs"> | null };
    const { experiment } = await execute<Data>(this.endpoint, documents.experimentDocument, { id });
    if (experiment === null) throw unknownExperiment(id);
    const artifacts = await this.all<Artifact>(documents.artifactsDocument, id);
    return { ...experiment, artifacts, runs: await this.all<Run>(documents.runsDocument, id) };
  }

  /** Every item of one of an experiment's connections. */
  private all<Item>(document: string, id: string): Promise<Item[]> {
    type Data = { experiment: { page: Page<Item> } | null };
    return allItems(this.endpoint, { document, variables: { id } }, ({ experiment }: Data) => {
      if (experiment === null) throw unknownExperiment(id);
      return experiment.page;
    });
  }

  /** Registers a model, or finds the one with the same digest. */
  async registerModel(projectId: string, name: string, source: ModelSource): Promise<Model> {
    type Data = { registerModel: Payload & { model: Model | null } };
    const input = { projectId, name, ...source };
    const { registerModel: payload } = await execute<Data>(this.endpoint, documents.registerModelDocument, { input });
    return given(payload, payload.model);
  }

  /** Uploads a file of rows, unless the service has these very bytes, and gives the version that stands for them. */
  async uploadDataset(
    projectId: string,
    name: string,
    file: string,
    kind: DatasetKind = "PREFERENCE",
  ): Promise<DatasetVersion> {
    type Begun = {
      beginDatasetUpload: Payload & {
        uploadId: string | null;
        parts: { number: number; url: string }[];
        existing: DatasetVersion | null;
      };
    };
    const input = {
      projectId,
      name,
      kind,
      bytes: (await stat(file)).size,
      digest: await fileDigest(file),
    };
    const { beginDatasetUpload: begun } = await execute<Begun>(this.endpoint, documents.beginUploadDocument, { input });
    if (begun.existing !== null) return begun.existing;
    const uploadId = given(begun, begun.uploadId);
    for (const { url } of begun.parts) await putFile(this.endpoint, url, file);
    type Completed = { completeDatasetUpload: Payload & { version: DatasetVersion | null } };
    const completion = { input: { uploadId, partTags: [input.digest] } };
    const { completeDatasetUpload: completed } = await execute<Completed>(
      this.endpoint,
      documents.completeUploadDocument,
      completion,
    );
    return given(completed, completed.version);
  }

  /** The experiment's events in commit order, each once, across lost connections. */
  experimentEvents(experimentId: string, options: FollowOptions = {}): AsyncGenerator<ExperimentEvent> {
    return followEvents(this.endpoint, experimentId, options);
  }

  /** The text of a file, checked against its digest. */
  async artifactText(artifact: Artifact): Promise<string> {
    const bytes = Buffer.from(await (await getFile(this.endpoint, artifact.downloadUrl)).arrayBuffer());
    checkDigest(artifact, createHash("sha256").update(bytes).digest("hex"));
    return bytes.toString("utf8");
  }

  /** Writes a file to a path, which appears only once its bytes match the digest. */
  async downloadArtifact(artifact: Artifact, to: string): Promise<void> {
    const draft = `${to}.part`;
    const hash = createHash("sha256");
    const { body } = await getFile(this.endpoint, artifact.downloadUrl);
    try {
      const chunks = Readable.from(body ?? []).on("data", (chunk: Uint8Array) => hash.update(chunk));
      await pipeline(chunks, createWriteStream(draft));
      checkDigest(artifact, hash.digest("hex"));
      await rename(draft, to);
    } finally {
      await rm(draft, { force: true });
    }
  }
}

function checkDigest({ name, digest }: Artifact, found: string): void {
  if (found === digest) return;
  const message = `${name}: wanted bytes with SHA-256 ${digest}, but got ${found}`;
  throw new AssayRequestError([{ code: "ARTIFACT_CORRUPT", message, path: [] }]);
}

async function fileDigest(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}
