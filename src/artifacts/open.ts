import type { BucketPlace } from "./bucket-client.js";
import { ArtifactFolder } from "./folder.js";
import type { ArtifactStore, Grantor } from "./store.js";

/** Where artifacts are kept. */
export type ArtifactsPlace =
  | { readonly kind: "FOLDER"; readonly path: string }
  | (BucketPlace & { readonly kind: "BUCKET" });

/** The store, and what lets pods reach it where they share no folder with the service. */
export interface OpenArtifacts {
  readonly store: ArtifactStore;
  readonly grantor: Grantor | undefined;
  readonly close: () => void;
}

/** Opens the store. A bucket must answer: throws ARTIFACTS_UNAVAILABLE. */
export async function openArtifacts(place: ArtifactsPlace): Promise<OpenArtifacts> {
  if (place.kind === "FOLDER") {
    return { store: new ArtifactFolder(place.path), grantor: undefined, close: () => undefined };
  }
  // Its library is large; who keeps artifacts in a folder need not load it.
  const { ArtifactBucket } = await import("./bucket.js");
  const bucket = new ArtifactBucket(place);
  try {
    await bucket.check();
  } catch (cause) {
    bucket.close();
    throw cause;
  }
  return { store: bucket, grantor: bucket, close: () => bucket.close() };
}
