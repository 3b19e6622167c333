import { posix } from "node:path";
import { importsOf, type SourceFile } from "./source-tree.js";

/** Which folders of src a folder may import, beside itself, errors and log. The programs at the top of src may import everything. */
export const importTable: Readonly<Record<string, readonly string[]>> = {
  domain: [],
  store: ["domain"],
  bus: ["domain", "gen"],
  artifacts: ["domain"],
  relay: ["domain", "store", "bus", "artifacts"],
  dispatch: ["domain", "store", "bus", "artifacts", "gen"],
  api: ["domain", "store", "bus", "artifacts"],
  embedded: [],
  cli: ["clients"],
  config: [],
  roles: ["config", "domain", "store", "bus", "relay", "dispatch", "api", "artifacts", "embedded"],
  gen: [],
};

/** Where a library may be used: paths that the file's own path begins with. */
export const libraryTable: Readonly<Record<string, readonly string[]>> = {
  typeorm: ["src/store/"],
  pg: ["src/store/", "src/embedded/postgres-cluster.ts"],
  graphql: ["src/api/"],
  "type-graphql": ["src/api/"],
  "@apollo/server": ["src/api/"],
  "graphql-scalars": ["src/api/"],
  "graphql-ws": ["src/api/"],
  dataloader: ["src/api/"],
  graphiql: ["src/api/"],
  kafkajs: ["src/bus/"],
  "@aws-sdk/client-s3": ["src/artifacts/"],
  "@aws-sdk/lib-storage": ["src/artifacts/"],
  "@aws-sdk/s3-request-presigner": ["src/artifacts/"],
  ws: ["src/api/"],
  "@grpc/grpc-js": ["src/dispatch/pod.ts", "src/gen/"],
  "@bufbuild/protobuf": ["src/gen/", "src/bus/", "src/dispatch/pod.ts"],
  "reflect-metadata": ["src/api/"],
};

/** Programs, which nobody imports. */
const programs = ["src/main.ts", "src/assay.ts", "src/topics.ts"];

/** One sentence for each import of the files that the two tables do not allow. */
export function breachesOf(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) =>
    importsOf(file.text).flatMap((specifier) => {
      const reason = specifier.startsWith(".")
        ? folderBreach(file.path, specifier)
        : libraryBreach(file.path, specifier);
      return reason === undefined ? [] : [`${file.path} imports ${specifier}: ${reason}`];
    }),
  );
}

function folderBreach(path: string, specifier: string): string | undefined {
  if (programs.includes(path)) return undefined;
  const target = posix.join(posix.dirname(path), specifier);
  const [from, to] = [partOf(path), partOf(target)];
  if (from === to || to === "errors" || to === "log") return undefined;
  if (importTable[from] === undefined) {
    return ["errors", "log"].includes(from)
      ? "a file at the top of src imports only errors"
      : `${from} is not in the import table`;
  }
  return importTable[from].includes(to) ? undefined : `${from} may not import ${to}`;
}

/** The folder below src, the name of a file at its top, or the first folder of anything else. */
function partOf(path: string): string {
  const [top = "", second = ""] = path.split("/");
  return top === "src" ? second.replace(/\.[jt]s$/, "") : top;
}

function libraryBreach(path: string, specifier: string): string | undefined {
  if (specifier.startsWith("node:")) return undefined;
  const library = specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
  const places = libraryTable[library];
  if (places === undefined) return `${library} is not in the library table`;
  return places.some((place) => path.startsWith(place)) ? undefined : `${library} is used only in ${places.join(", ")}`;
}
