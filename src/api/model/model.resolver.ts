import { Arg, Ctx, FieldResolver, ID, Mutation, Resolver, Root } from "type-graphql";
import { readModelFolder } from "../../artifacts/model-folder.js";
import { newId } from "../../domain/digest.js";
import { hubDigest, type Model, type ModelSource, packageDigest } from "../../domain/model.js";
import { AssayError, invalidInput, notFound } from "../../errors.js";
import { registerModel } from "../../store/models.js";
import type { Context } from "../context.js";
import { globalId, idWords, inputArgument, keyIn } from "../ids.js";
import { type Answer, answered, demand } from "../present.js";
import { RegisterModelInput, RegisterModelPayload } from "./model.input.js";
import { ModelType } from "./model.type.js";

const NAME_LENGTH_MAX = 200;

interface Registered {
  readonly model: Model | null;
}

type Identity = Pick<Model, "source" | "digest" | "revision">;

@Resolver(() => ModelType)
export class ModelResolver {
  readonly #allowLocalModels: boolean;

  constructor(allowLocalModels: boolean) {
    this.#allowLocalModels = allowLocalModels;
  }

  @Mutation(() => RegisterModelPayload, {
    description: "Registers a model and gives it its digest. Needs the scope SUBMIT.",
  })
  registerModel(
    @Arg("input", () => RegisterModelInput, inputArgument) input: RegisterModelInput,
    @Ctx() context: Context,
  ): Promise<Registered & Answer> {
    return answered<Registered>(input, { model: null }, async () => {
      const { caller, reads } = context;
      demand(context, "SUBMIT");
      if (keyIn(input.projectId, "Project") !== caller.projectId) {
        throw notFound(["input", "projectId"], "project", input.projectId);
      }
      if (input.name.trim() === "" || input.name.length > NAME_LENGTH_MAX) {
        throw invalidInput(["input", "name"], `1 to ${NAME_LENGTH_MAX} characters`, input.name);
      }
      const identity = await this.#identify(input);
      const { tenantId, projectId } = caller;
      const model = { tenantId, id: newId(), projectId, name: input.name, ...identity };
      return { model: await reads.within((tx) => registerModel(tx, model)) };
    });
  }

  @FieldResolver(() => ID, idWords)
  id(@Root() model: Model): string {
    return globalId("Model", model.id);
  }

  @FieldResolver()
  sourceKind(@Root() model: Model): ModelSource["kind"] {
    return model.source.kind;
  }

  async #identify(input: RegisterModelInput): Promise<Identity> {
    const given = (["package", "path", "hub"] as const).filter((name) => input[name] != null);
    if (given.length !== 1) throw invalidInput(["input"], "exactly one of package, path and hub", given);
    if (input.package != null) {
      const { name, version } = input.package;
      const digest = packageDigest(name, version, ["input", "package"]);
      return { source: { kind: "PACKAGE", name, version }, digest, revision: version };
    }
    if (input.hub != null) {
      const { id, revision } = input.hub;
      return { source: { kind: "HUB", id, revision }, digest: hubDigest(id, revision, ["input", "hub"]), revision };
    }
    return this.#identifyFolder(input.path ?? "");
  }

  async #identifyFolder(path: string): Promise<Identity> {
    const at = ["input", "path"];
    if (!this.#allowLocalModels) {
      throw new AssayError(
        "UNSUPPORTED_COMBINATION",
        "input.path: wanted a package or a hub repository, because this service takes no folders",
        {
          path: at,
          detail: { supported: ["package", "hub"] },
        },
      );
    }
    const folder = await readModelFolder(path, at);
    return { source: { kind: "PATH", path: folder.path }, digest: folder.digest, revision: folder.digest.slice(0, 12) };
  }
}
