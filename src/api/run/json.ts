import type { Json } from "../../domain/digest.js";
import { retrievalSystems } from "../../domain/retrieval-systems.js";
import { robustnessTasks, spuriousArtifacts, tuningMethods } from "../../domain/robustness.js";
import type { Run } from "../../domain/run.js";
import type { MetricEstimateType, ProvenanceType, RetrievalCellType, RobustnessCellType } from "./run.type.js";

// Columns of JSON are read with care: what a pod wrote there is not ours.

/** The value of a field, or undefined where there is none. */
export function fieldOf(value: Json | undefined, name: string): Json | undefined {
  return value !== null && typeof value === "object" && !isList(value) && Object.hasOwn(value, name)
    ? value[name]
    : undefined;
}

/** The entries of an object; none for anything else. */
export function entriesOf(value: Json | undefined): [string, Json | undefined][] {
  return value !== null && typeof value === "object" && !isList(value) ? Object.entries(value) : [];
}

/** The items of a list; none for anything else. */
export function itemsOf(value: Json | undefined): readonly Json[] {
  return value !== null && typeof value === "object" && isList(value) ? value : [];
}

function isList(value: object): value is readonly Json[] {
  return Array.isArray(value);
}

/** A finite number, or null. */
export function numberOf(value: Json | undefined): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** A text, or null. */
export function textOf(value: Json | undefined): string | null {
  return typeof value === "string" ? value : null;
}

/** The value if it is one of the list. */
export function oneOf<T extends Json>(value: Json | undefined, allowed: readonly T[]): T | null {
  return allowed.find((known) => known === value) ?? null;
}

/** A run's cell without its model, or null for steps that are no cell. */
export function cellOf(cell: Json): Omit<RobustnessCellType, "model"> | null {
  const method = oneOf(fieldOf(cell, "method"), tuningMethods);
  if (method === null) return null;
  return {
    method,
    task: oneOf(fieldOf(cell, "task"), robustnessTasks),
    artifact: oneOf(fieldOf(cell, "artifact"), spuriousArtifacts),
    spuriousness: numberOf(fieldOf(cell, "spuriousness")),
    variant: textOf(fieldOf(fieldOf(cell, "variant"), "kind")),
    learningRate: numberOf(fieldOf(cell, "learningRate")),
  };
}

/** A retrieval run's cell without its encoder, or null for steps that are no training. */
export function studentOf(cell: Json): Omit<RetrievalCellType, "encoder"> | null {
  const system = oneOf(fieldOf(cell, "system"), retrievalSystems);
  if (system === null) return null;
  return { system, alpha: numberOf(fieldOf(cell, "alpha")), fold: numberOf(fieldOf(cell, "fold")) ?? 0 };
}

/** The estimates of a train run's result; what is not whole is left out. */
export function estimatesOf(metrics: Json): MetricEstimateType[] {
  return entriesOf(fieldOf(metrics, "estimates")).flatMap(([name, estimate]) => {
    const value = numberOf(fieldOf(estimate, "value"));
    const low = numberOf(fieldOf(estimate, "low"));
    const high = numberOf(fieldOf(estimate, "high"));
    const items = numberOf(fieldOf(estimate, "n"));
    if (value === null || low === null || high === null || items === null) return [];
    return [{ name, value, items, seeds: 1, interval: { level: 0.95, low, high, method: "WILSON" } }];
  });
}

/** What a run's spec says that its result depends on. */
export function provenanceOf(run: Pick<Run, "spec" | "specSha256" | "seed" | "inputs">): ProvenanceType {
  const spec: Json = JSON.parse(run.spec);
  const uploaded = textOf(fieldOf(fieldOf(spec, "data"), "digest"));
  const model = textOf(fieldOf(fieldOf(spec, "model") ?? fieldOf(spec, "encoder"), "digest"));
  return {
    specDigest: run.specSha256,
    datasetDigests: [...(uploaded === null ? [] : [uploaded]), ...filesOf(run)],
    modelDigests: model === null ? [] : [model],
    codeDigest: textOf(fieldOf(spec, "codeDigest")) ?? "",
    seeds: run.seed === null ? [] : [run.seed],
    precision: textOf(fieldOf(spec, "precision")) ?? "",
    threads: numberOf(fieldOf(spec, "threads")) ?? 1,
  };
}

/** Uploaded files of a collection that a run reads itself; those of data that specs name are named there. */
function filesOf({ spec, inputs }: Pick<Run, "spec" | "inputs">): string[] {
  if (fieldOf(JSON.parse(spec), "capability") !== "retrieval") return [];
  return inputs.flatMap(({ from }) => (from.kind === "ARTIFACT" ? [from.sha256] : []));
}
