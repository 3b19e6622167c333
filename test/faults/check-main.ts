import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { check, sentenceOf } from "./checker.js";
import { factNames, missingFacts } from "./facts.js";
import { folderLook } from "./files.js";

const usage = `Wanted: check-main.js --database URL [--at-rest] [--stub-answers] [--artifacts FOLDER] [--client-log FILE]...
  [--log FILE_OR_FOLDER]... [--observations FILE]... [--canaries FILE] [--sometimes NAME,...]
URL logs in as a role that sees every tenant. --canaries names a file with a secret on each line.
Ends with 0 when every invariant holds and every named fact happened, with 1 otherwise.`;

async function main(): Promise<number> {
  const list = { type: "string", multiple: true } as const;
  const { values } = parseArgs({
    options: {
      database: { type: "string" },
      "at-rest": { type: "boolean", default: false },
      "stub-answers": { type: "boolean", default: false },
      artifacts: { type: "string" },
      "client-log": list,
      log: list,
      observations: list,
      canaries: { type: "string" },
      sometimes: { type: "string" },
    },
  });
  if (values.database === undefined) {
    process.stderr.write(`${usage}\n`);
    return 64;
  }
  const canaries =
    values.canaries === undefined ? [] : readFileSync(values.canaries, "utf8").split("\n").filter(Boolean);
  const { breaches, facts } = await check({
    login: { connectionString: values.database },
    atRest: values["at-rest"],
    stubAnswers: values["stub-answers"],
    clientLogs: values["client-log"] ?? [],
    logs: values.log ?? [],
    observations: values.observations ?? [],
    canaries,
    ...(values.artifacts === undefined ? {} : { look: folderLook(values.artifacts) }),
  });
  const names = factNames(facts);
  const wanted = values.sometimes?.split(",") ?? [];
  const unknown = wanted.filter((name) => names.every((known) => known !== name));
  const missing = missingFacts(
    facts,
    names.filter((name) => wanted.includes(name)),
  );
  for (const name of names) process.stdout.write(`${name.padEnd(20)} ${facts[name]}\n`);
  for (const breach of breaches) process.stdout.write(`${sentenceOf(breach)}\n`);
  for (const name of missing)
    process.stdout.write(`${name} never happened, so this run has not shown that it is survived\n`);
  for (const name of unknown) process.stdout.write(`${name} is no fact that is counted\n`);
  if (breaches.length + missing.length + unknown.length > 0) return 1;
  process.stdout.write("I1-I18 hold\n");
  return 0;
}

process.exitCode = await main();
