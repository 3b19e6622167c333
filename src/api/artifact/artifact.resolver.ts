import { FieldResolver, ID, Resolver, Root } from "type-graphql";
import type { RunFile } from "../../store/runs.js";
import { type ArtifactKind, artifactKinds } from "../enums.js";
import { globalId, idWords } from "../ids.js";
import { ArtifactType } from "./artifact.type.js";

@Resolver(() => ArtifactType)
export class ArtifactResolver {
  readonly #publicUrl: () => string;

  constructor(publicUrl: () => string) {
    this.#publicUrl = publicUrl;
  }

  @FieldResolver(() => ID, idWords)
  id(@Root() file: RunFile): string {
    return globalId("Artifact", file.id);
  }

  @FieldResolver()
  kind(@Root() file: RunFile): ArtifactKind {
    return artifactKinds.find((known) => known === file.kind) ?? "OTHER";
  }

  @FieldResolver()
  bytes(@Root() file: RunFile): number {
    return file.sizeBytes;
  }

  @FieldResolver()
  digest(@Root() file: RunFile): string {
    return file.sha256;
  }

  @FieldResolver()
  downloadUrl(@Root() file: RunFile): string {
    return `${this.#publicUrl()}/artifacts/${globalId("Artifact", file.id)}`;
  }
}
