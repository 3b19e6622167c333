import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { printedSchema } from "./printed-schema.js";

// Writes schema.graphql into the folder that it is started in, or to the file that is named.
writeFileSync(resolve(process.argv[2] ?? "schema.graphql"), await printedSchema());
