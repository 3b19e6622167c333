import "reflect-metadata";
import { lexicographicSortSchema, printSchema } from "graphql";
import { ArtifactFolder } from "../artifacts/folder.js";
import { AssayError } from "../errors.js";
import { makeSchema, type SchemaParts } from "./schema.js";

/** The published schema as `schema.graphql` holds it. No resolver runs. */
export async function printedSchema(): Promise<string> {
  const parts: SchemaParts = {
    submitter: { submit: () => Promise.reject(new AssayError("INTERNAL", "wanted to print the schema only")) },
    artifacts: new ArtifactFolder("."),
    publicUrl: () => "",
    codeDigests: { robustness: "", retrieval: "" },
    allowLocalModels: false,
  };
  return `${printSchema(lexicographicSortSchema(await makeSchema(parts)))}\n`;
}
