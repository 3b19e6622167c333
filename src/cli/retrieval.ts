import { randomUUID } from "node:crypto";
import { basename } from "node:path";
import { AssayClient, type DatasetKind, type RetrievalSpec } from "../../clients/typescript/index.js";
import { detached, toTheEnd } from "./ending.js";
import { withService } from "./interruptible.js";
import { registered } from "./models.js";
import type { CollectionFiles, ExpansionChoice, RetrievalOptions } from "./retrieval-arguments.js";
import type { Screen } from "./screen.js";

const firstSeed = 101;

/** Submits and, unless it is to go on by itself, follows to the report. Gives the exit code: 0 for a detached or complete one. */
export function retrieval(options: RetrievalOptions): Promise<number> {
  return withService(options, async ({ service, screen, signal }) => {
    const client = new AssayClient(service);
    const spec = await retrievalSpec(client, options, screen);
    const { id } = await client.submitRetrievalExperiment(spec, randomUUID());
    if (options.detach) {
      detached(id, service, { dataDir: options.dataDir, screen });
      return 0;
    }
    screen.say(`Submitted experiment ${id}; GraphiQL: ${service.url}/`);
    return await toTheEnd(client, id, { screen, signal, ...options });
  });
}

/** What the options ask, with their files uploaded and their encoder registered. */
export async function retrievalSpec(
  client: AssayClient,
  options: RetrievalOptions,
  screen: Screen,
): Promise<RetrievalSpec> {
  const { collection, encoder, fresh, seeds, split, gains, gate, index } = options;
  const project = await client.project();
  const model = await registered(client, project.id, encoder);
  screen.say(`Encoder: ${model.name}, SHA-256 ${model.digest.slice(0, 12)}…`);
  const uploads = new Uploads(client, project.id, screen);
  const files = typeof collection === "string" ? null : collection;
  const chosen = split ?? (files?.qrelsTrain === undefined ? undefined : "GIVEN");
  return {
    projectId: project.id,
    encoderId: model.id,
    name: options.name ?? nameOf(collection),
    collection: files === null ? { kind: collectionKind(collection) } : await uploads.collection(files),
    expansion: await uploads.expansion(options.expansions),
    options: { reuse: fresh ? "NEVER" : "EXACT_MATCH" },
    ...(chosen === undefined ? {} : { split: { kind: chosen } }),
    ...(gains === undefined ? {} : { gains }),
    ...(gate === undefined ? {} : { gate }),
    ...(index === undefined ? {} : { approximate: index }),
    ...(seeds === undefined ? {} : { seeds: Array.from({ length: seeds }, (_, i) => firstSeed + i) }),
  };
}

function collectionKind(collection: RetrievalOptions["collection"]): "PLANTED" | "STDLIB" {
  return collection === "STDLIB" ? "STDLIB" : "PLANTED";
}

function nameOf(collection: RetrievalOptions["collection"]): string {
  return typeof collection === "string" ? collection.toLowerCase() : basename(collection.corpus);
}

/** Sends files and says what was found in them. */
class Uploads {
  readonly #client: AssayClient;
  readonly #projectId: string;
  readonly #screen: Screen;

  constructor(client: AssayClient, projectId: string, screen: Screen) {
    this.#client = client;
    this.#projectId = projectId;
    this.#screen = screen;
  }

  async collection(files: CollectionFiles): Promise<RetrievalSpec["collection"]> {
    const { qrelsTrain, qrelsDev } = files;
    return {
      kind: "UPLOADED",
      corpusVersionId: await this.#send("CORPUS", files.corpus),
      queriesVersionId: await this.#send("QUERIES", files.queries),
      qrelsVersionId: await this.#send("QRELS", files.qrels),
      ...(qrelsTrain === undefined ? {} : { qrelsTrainVersionId: await this.#send("QRELS", qrelsTrain) }),
      ...(qrelsDev === undefined ? {} : { qrelsDevVersionId: await this.#send("QRELS", qrelsDev) }),
    };
  }

  async expansion(choice: ExpansionChoice): Promise<NonNullable<RetrievalSpec["expansion"]>> {
    if (choice.kind === "FILE") return { kind: "UPLOADED", versionId: await this.#send("EXPANSIONS", choice.file) };
    if (choice.kind === "LOCAL") {
      return { kind: "LOCAL", modelId: (await registered(this.#client, this.#projectId, choice.model)).id };
    }
    if (choice.kind !== "ENDPOINT") return { kind: choice.kind };
    const { url, model, secretEnv } = choice;
    return { kind: "ENDPOINT", url, model, ...(secretEnv === undefined ? {} : { secretEnv }) };
  }

  /** Data sets are named by kind and file, because a data set has one kind. */
  async #send(kind: DatasetKind, file: string): Promise<string> {
    const name = `${kind.toLowerCase()} ${basename(file)}`;
    const { id, rows, digest, validation } = await this.#client.uploadDataset(this.#projectId, name, file, kind);
    this.#screen.say(`${name}: ${rows} rows, SHA-256 ${digest.slice(0, 12)}…`);
    for (const { row, message } of validation.notes)
      this.#screen.say(`  ${row === 0 ? "" : `line ${row}: `}${message}`);
    if (validation.leftOutCount > 0) this.#screen.say(`  documents without text: ${validation.leftOutCount}`);
    return id;
  }
}
