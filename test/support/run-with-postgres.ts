import { spawn } from "node:child_process";
import { sharedServerVariable, temporaryServer } from "./database.js";

/** Runs the command given as arguments with a PostgreSQL server for all its test files, and ends with the command's exit code. */
async function main(): Promise<number> {
  const [command = "", ...args] = process.argv.slice(2);
  const { dataDir, end } = await temporaryServer();
  try {
    return await run(command, args, { ...process.env, [sharedServerVariable]: dataDir });
  } finally {
    await end();
  }
}

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(command, args, { stdio: "inherit", env });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
}

process.exitCode = await main();
