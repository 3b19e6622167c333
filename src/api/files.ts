import { pipeline } from "node:stream/promises";
import type { ArtifactStore } from "../artifacts/store.js";
import { AssayError, invalidInput, notFound } from "../errors.js";
import { receiveFile, uploadById } from "../store/datasets.js";
import type { Context } from "./context.js";
import { allow, type Exchange, send } from "./http.js";
import { keyIn } from "./ids.js";
import { demand } from "./present.js";

/** Takes uploads in and gives artifacts out: bytes, which have no place in GraphQL. */
export class FileEndpoint {
  readonly #artifacts: ArtifactStore;

  constructor(artifacts: ArtifactStore) {
    this.#artifacts = artifacts;
  }

  /** PUT of the one part of an upload. Sending the same bytes again is the same as sending them once. */
  async receive({ request, response }: Exchange, uploadId: string, context: Context): Promise<void> {
    allow({ request, response }, ["PUT"]);
    demand(context, "DATASET_WRITE");
    const { caller, reads } = context;
    const key = keyIn(uploadId, "Upload");
    const upload = key === null ? null : await reads.within((tx) => uploadById(tx, caller.tenantId, key));
    if (upload === null || upload.projectId !== caller.projectId) throw notFound(["uploadId"], "upload", uploadId);
    const { sizeBytes, digest: sha256 } = upload;
    const declared = request.headers["content-length"];
    if (declared !== undefined && Number(declared) > sizeBytes) {
      throw new AssayError("PAYLOAD_TOO_LARGE", `wanted ${sizeBytes} bytes, but got ${declared}`);
    }
    await this.#store(request.iterator({ destroyOnReturn: false }), { maxBytes: sizeBytes, sha256 });
    await reads.within((tx) => receiveFile(tx, { tenantId: caller.tenantId, sha256, sizeBytes }));
    response.setHeader("etag", `"${sha256}"`);
    send(response, 200, { contentType: "application/json; charset=utf-8", body: "{}" });
  }

  /** GET of an artifact. */
  async give(
    { request, response }: Exchange,
    artifactId: string,
    { reads, caller, ...context }: Context,
  ): Promise<void> {
    allow({ request, response }, ["GET", "HEAD"]);
    demand({ reads, caller, ...context }, "READ");
    const key = keyIn(artifactId, "Artifact");
    const file = key === null ? null : await reads.artifact(key);
    if (file === null) throw notFound(["artifactId"], "artifact", artifactId);
    const etag = `"${file.sha256}"`;
    if (request.headers["if-none-match"] === etag) {
      response.writeHead(304, { etag }).end();
      return;
    }
    response.writeHead(200, {
      "content-type": contentTypeOf(file.name),
      "content-length": file.sizeBytes,
      "content-disposition": `attachment; filename="${file.name.replace(/[^A-Za-z0-9._-]/g, "_")}"`,
      // What a run made is never a page of ours.
      "content-security-policy": "sandbox; default-src 'none'",
      "cache-control": "private, no-cache",
      etag,
    });
    if (request.method === "HEAD") response.end();
    else await pipeline(this.#artifacts.open(file.sha256), response);
  }

  async #store(bytes: AsyncIterable<Uint8Array>, limits: { maxBytes: number; sha256: string }): Promise<void> {
    try {
      const { sizeBytes } = await this.#artifacts.put(bytes, limits);
      if (sizeBytes !== limits.maxBytes)
        throw invalidInput(["bytes"], `the ${sizeBytes} bytes that came`, limits.maxBytes);
    } catch (cause) {
      if (!(cause instanceof AssayError) || cause.code !== "ARTIFACT_CORRUPT") throw cause;
      throw new AssayError("INVALID_INPUT", cause.message, {
        path: ["digest"],
        detail: { constraint: limits.sha256 },
        cause,
      });
    }
  }
}

/** An HTML page is always saved, never shown under our address: attachment, sandbox and nosniff stand beside its type. */
const contentTypes: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  md: "text/markdown; charset=utf-8",
  json: "application/json",
  jsonl: "application/x-ndjson",
  txt: "text/plain; charset=utf-8",
};

function contentTypeOf(name: string): string {
  return contentTypes[name.slice(name.lastIndexOf(".") + 1)] ?? "application/octet-stream";
}
