import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "../../src/embedded/project.js";
import type { ScenarioName } from "./scenarios.js";

interface Patch {
  /** A built file. */
  readonly file: string;
  /** What stands there exactly once. */
  readonly find: string;
  readonly put: string;
}

/** The service without one of the rules that its delivery rests on. */
export interface Mutant {
  readonly drops: string;
  readonly scenario: ScenarioName;
  /** What the checker must then say. */
  readonly red: RegExp;
  readonly patches: readonly Patch[];
}

/** The five mutations. */
export const mutants: readonly Mutant[] = [
  {
    drops: "the test of the epoch in completion and renewal",
    scenario: "zombie",
    red: /^I16 every result is the one of its own spec and attempt$/m,
    patches: [
      {
        file: "src/store/endings.js",
        find: "where tenant_id = $1 and id = $2 and epoch = $3\n       and (state in ('LEASED', 'RUNNING') or",
        put: "where tenant_id = $1 and id = $2 and $3::int is not null\n       and (state in ('LEASED', 'RUNNING') or",
      },
      {
        file: "src/store/leases.js",
        find: "where tenant_id = $1 and id = $2 and epoch = $3 and lease_owner = $4",
        put: "where tenant_id = $1 and id = $2 and $3::int is not null and lease_owner = $4",
      },
    ],
  },
  {
    drops: "the commit before a message is published",
    scenario: "rollback",
    red: /^I9 nothing was published that was not committed$/m,
    patches: [
      {
        file: "src/store/outbox.js",
        find: "await tx.run(write, [JSON.stringify(messageRows(messages))]);",
        put: "const rows = messageRows(messages); await globalThis.publishNow?.(rows); await tx.run(write, [JSON.stringify(rows)]);",
      },
    ],
  },
  {
    drops: "the note in the inbox before the bus may forget a message",
    scenario: "consumer",
    red: /^I2 every run has ended$/m,
    patches: [
      {
        file: "src/dispatch/dispatcher.js",
        find: "await this.inbox.note(message);",
        put: "void this.inbox.note(message).catch(() => undefined);",
      },
    ],
  },
  {
    drops: "the mark of each published message, for a cursor over the outbox",
    scenario: "straggler",
    red: /^I9 every message is published$/m,
    patches: [
      {
        file: "src/store/outbox.js",
        find: "where published_at is null order by event_id limit $1 for update skip locked",
        put: `where event_id > coalesce((select event_id from outbox where published_at is not null order by event_id desc limit 1),
                '00000000-0000-0000-0000-000000000000') order by event_id limit $1 for update skip locked`,
      },
    ],
  },
  {
    drops: "the temporary file and its renaming",
    scenario: "writer",
    red: /^I11 every registered file is there, whole and of its digest$/m,
    patches: [
      {
        file: "src/artifacts/folder.js",
        find: 'const temporary = join(this.#root, "tmp", randomUUID());',
        put: 'const temporary = limits.sha256 === undefined ? join(this.#root, "tmp", randomUUID()) : this.#path(limits.sha256);',
      },
      { file: "src/artifacts/folder.js", find: 'open(temporary, "wx", 0o640)', put: 'open(temporary, "w", 0o640)' },
    ],
  },
];

/** Makes a copy of the built project with these patches and gives its `dist` folder; each patch must fit exactly once. */
export function mutated(patches: readonly Patch[]): { readonly dist: string; readonly remove: () => void } {
  const home = join(projectFolder(), ".cache", "mutants");
  mkdirSync(home, { recursive: true });
  // Below the project, so that libraries are found.
  const folder = mkdtempSync(join(home, "mutant-"));
  const dist = join(folder, "dist");
  cpSync(join(projectFolder(), "dist"), dist, { recursive: true });
  for (const name of ["migrations", "package.json"]) symlinkSync(join(projectFolder(), name), join(folder, name));
  for (const { file, find, put } of patches) {
    const path = join(dist, file);
    const parts = readFileSync(path, "utf8").split(find);
    if (parts.length !== 2)
      throw new RangeError(`wanted ${file} to hold once, but it does so ${parts.length - 1} times: ${find}`);
    writeFileSync(path, parts.join(put));
  }
  return { dist, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
