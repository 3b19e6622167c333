import type { DatasetKind } from "../../domain/dataset.js";
import { newId } from "../../domain/digest.js";
import type { Model } from "../../domain/model.js";
import type { PlanContext } from "../../domain/robustness-specs.js";
import { type AssayError, invalidInput, notFound } from "../../errors.js";
import type { Context } from "../context.js";
import { keyIn } from "../ids.js";
import type { RobustnessInput } from "./robustness.input.js";

const MODELS_MAX = 1_000;
/** What a robustness experiment can be made over. */
const robustnessKinds: readonly DatasetKind[] = ["PREFERENCE", "GSM8K", "IFEVAL", "SQUAD"];

/** What a request names by id, and what is wrong with that. */
export interface Parts {
  readonly faults: AssayError[];
  /** Null unless all of it is there. */
  readonly found: PlanContext | null;
  readonly datasetKind: string | null;
}

type Asked = Pick<Context, "caller" | "reads">;

/** Looks up what requests name by id. */
export class PartsFinder {
  /** Models by project and id: a registered model never changes. */
  readonly #models = new Map<string, Model>();
  readonly #codeDigest: string;

  constructor(codeDigest: string) {
    this.#codeDigest = codeDigest;
  }

  /** What the request names; `root` is its path in the input. */
  async find(spec: RobustnessInput, { caller, reads }: Asked, root: readonly string[]): Promise<Parts> {
    const faults: AssayError[] = [];
    if (keyIn(spec.projectId, "Project") !== caller.projectId) {
      faults.push(notFound([...root, "projectId"], "project", spec.projectId));
    }
    const modelKey = keyIn(spec.modelId, "Model");
    const model = modelKey === null ? null : await this.#model(modelKey, { caller, reads });
    if (model === null) faults.push(notFound([...root, "modelId"], "model", spec.modelId));
    const versionId = spec.datasetVersionId ?? null;
    const versionKey = versionId === null ? null : keyIn(versionId, "DatasetVersion");
    const version = versionKey === null ? null : await reads.version(versionKey);
    if (versionId !== null && version === null) {
      faults.push(notFound([...root, "datasetVersionId"], "data set version", versionId));
    }
    const dataset = version === null ? null : await reads.dataset(version.datasetId);
    const datasetKind = dataset?.kind ?? null;
    if (datasetKind !== null && !robustnessKinds.includes(datasetKind)) {
      const wanted = `a version of a data set of kind ${robustnessKinds.join(", ")}`;
      faults.push(invalidInput([...root, "datasetVersionId"], wanted, datasetKind));
    }
    if (faults.length > 0 || model === null) return { faults, found: null, datasetKind };
    const found = { model, datasetDigest: version?.digest ?? null, codeDigest: this.#codeDigest, newId };
    return { faults, found, datasetKind };
  }

  async #model(id: string, { caller, reads }: Asked): Promise<Model | null> {
    const name = `${caller.projectId}:${id}`;
    const known = this.#models.get(name) ?? (await reads.model(id));
    if (known === null) return null;
    const [oldest] = this.#models.keys();
    if (oldest !== undefined && this.#models.size >= MODELS_MAX) this.#models.delete(oldest);
    this.#models.set(name, known);
    return known;
  }
}
