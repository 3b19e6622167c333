import { Arg, Ctx, FieldResolver, ID, Mutation, Resolver, Root } from "type-graphql";
import type { ArtifactStore } from "../../artifacts/store.js";
import type { Dataset, DatasetFindings, DatasetUpload, DatasetVersion } from "../../domain/dataset.js";
import { newId } from "../../domain/digest.js";
import { AssayError, invalidInput, notFound } from "../../errors.js";
import { beginUpload, completeUpload, hasFile, uploadById, versionOf } from "../../store/datasets.js";
import type { Context } from "../context.js";
import { globalId, idWords, inputArgument, keyIn } from "../ids.js";
import { type Answer, answered, demand, Faults } from "../present.js";
import { checkUpload } from "./check.js";
import {
  BeginDatasetUploadInput,
  BeginDatasetUploadPayload,
  CompleteDatasetUploadInput,
  CompleteDatasetUploadPayload,
  type UploadPart,
} from "./dataset.input.js";
import { DatasetType, DatasetVersionType } from "./dataset.type.js";
import type { DatasetValidationType } from "./validation.type.js";

/** Larger files are refused. */
export const UPLOAD_BYTES_MAX = 256 * 2 ** 20;
const NAME_LENGTH_MAX = 200;

interface Begun {
  readonly uploadId: string | null;
  readonly parts: readonly UploadPart[];
  readonly existing: DatasetVersion | null;
}

interface Completed {
  readonly version: DatasetVersion | null;
}

@Resolver(() => DatasetVersionType)
export class DatasetVersionResolver {
  readonly #artifacts: ArtifactStore;
  readonly #publicUrl: () => string;

  constructor(artifacts: ArtifactStore, publicUrl: () => string) {
    this.#artifacts = artifacts;
    this.#publicUrl = publicUrl;
  }

  @Mutation(() => BeginDatasetUploadPayload, { description: "Begins an upload. Needs the scope DATASET_WRITE." })
  beginDatasetUpload(
    @Arg("input", () => BeginDatasetUploadInput, inputArgument) input: BeginDatasetUploadInput,
    @Ctx() context: Context,
  ): Promise<Begun & Answer> {
    return answered<Begun>(input, { uploadId: null, parts: [], existing: null }, async () => {
      demand(context, "DATASET_WRITE");
      return this.#begin(input, context);
    });
  }

  @Mutation(() => CompleteDatasetUploadPayload, {
    description:
      "Checks the rows of an upload and makes its version; asking again answers the same version. Needs the scope DATASET_WRITE.",
  })
  completeDatasetUpload(
    @Arg("input", () => CompleteDatasetUploadInput, inputArgument) input: CompleteDatasetUploadInput,
    @Ctx() context: Context,
  ): Promise<Completed & Answer> {
    return answered<Completed>(input, { version: null }, async () => {
      demand(context, "DATASET_WRITE");
      return { version: await this.#complete(input, context) };
    });
  }

  @FieldResolver(() => ID, idWords)
  id(@Root() version: DatasetVersion): string {
    return globalId("DatasetVersion", version.id);
  }

  @FieldResolver()
  dataset(@Root() version: DatasetVersion, @Ctx() { reads }: Context): Promise<Dataset | null> {
    return reads.dataset(version.datasetId);
  }

  @FieldResolver()
  bytes(@Root() version: DatasetVersion): number {
    return version.sizeBytes;
  }

  /** A file with problems never becomes a version. */
  @FieldResolver()
  validation(@Root() version: DatasetVersion): DatasetValidationType {
    const none: DatasetFindings = { leftOut: [], leftOutCount: 0, leakage: null };
    const { leftOut, leftOutCount, leakage, notes = [] } = version.findings ?? none;
    return { ok: true, rows: version.rows, problemCount: 0, problems: [], leftOut, leftOutCount, notes, leakage };
  }

  async #begin(input: BeginDatasetUploadInput, { caller, reads }: Context): Promise<Begun> {
    const { tenantId, projectId } = caller;
    const { name, kind, digest, bytes: sizeBytes } = input;
    const faults = uploadFaults(input);
    if (keyIn(input.projectId, "Project") !== projectId)
      faults.push(notFound(["input", "projectId"], "project", input.projectId));
    if (faults.length > 0) throw new Faults(faults);
    const upload = { tenantId, id: newId(), projectId, name, kind, sizeBytes, digest };
    const existing = await reads.within(async (tx) => {
      const found = await versionOf(tx, upload);
      if (found === null) await beginUpload(tx, upload);
      return found;
    });
    if (existing !== null) return { uploadId: null, parts: [], existing };
    const uploadId = globalId("Upload", upload.id);
    return { uploadId, parts: [{ number: 1, url: `${this.#publicUrl()}/uploads/${uploadId}/1` }], existing: null };
  }

  async #complete(input: CompleteDatasetUploadInput, { caller, reads }: Context): Promise<DatasetVersion> {
    const key = keyIn(input.uploadId, "Upload");
    const upload = key === null ? null : await reads.within((tx) => uploadById(tx, caller.tenantId, key));
    if (upload === null || upload.projectId !== caller.projectId) {
      throw notFound(["input", "uploadId"], "upload", input.uploadId);
    }
    checkPartTags(input.partTags ?? null, upload);
    // The digest alone proves nothing: the file may be another tenant's.
    const received = await reads.within((tx) => hasFile(tx, upload));
    if (!received) {
      throw new AssayError(
        "STATE_CONFLICT",
        "input.uploadId: wanted an upload whose bytes were sent, but none have come",
        {
          path: ["input", "uploadId"],
          detail: { currentState: "BEGUN", allowedFrom: ["RECEIVED"] },
        },
      );
    }
    const report = await checkUpload(upload.kind, this.#artifacts.open(upload.digest));
    if (report.problemCount > 0) {
      throw new AssayError(
        "DATASET_INVALID",
        `input.uploadId: wanted rows in order, but found ${report.problemCount} problems`,
        {
          path: ["input", "uploadId"],
          detail: { validation: { ok: false, ...report } },
        },
      );
    }
    return reads.within((tx) => completeUpload(tx, upload, report));
  }
}

@Resolver(() => DatasetType)
export class DatasetResolver {
  @FieldResolver(() => ID, idWords)
  id(@Root() dataset: Dataset): string {
    return globalId("Dataset", dataset.id);
  }
}

function uploadFaults({ name, bytes, digest }: BeginDatasetUploadInput): AssayError[] {
  const faults: AssayError[] = [];
  if (name.trim() === "" || name.length > NAME_LENGTH_MAX) {
    faults.push(invalidInput(["input", "name"], `1 to ${NAME_LENGTH_MAX} characters`, name));
  }
  if (!Number.isInteger(bytes) || bytes < 1 || bytes > UPLOAD_BYTES_MAX) {
    faults.push(invalidInput(["input", "bytes"], `an integer from 1 to ${UPLOAD_BYTES_MAX}`, bytes));
  }
  if (!/^[0-9a-f]{64}$/.test(digest)) {
    faults.push(invalidInput(["input", "digest"], "a SHA-256 of 64 lower-case hex digits", digest));
  }
  return faults;
}

/** There is one part, and its tag is the digest; a client that kept no tags leaves them out. */
function checkPartTags(tags: readonly string[] | null, upload: DatasetUpload): void {
  if (tags === null || (tags.length === 1 && tags[0]?.replaceAll('"', "") === upload.digest)) return;
  throw invalidInput(["input", "partTags"], "the ETag of part 1, or nothing", tags);
}
