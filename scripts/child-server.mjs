// What the servers that tests start have in common: free ports, an end that comes whatever happens, and a program around it.
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { SetupError } from "./toolbox.mjs";

/** Ports that are free now. */
export async function freePorts(count) {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer();
      return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
    }),
  );
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** However this process ends: the watcher's input ends with it, and then the server and its folder go. */
export function endWithThisProcess({ pid }, data) {
  const script = 'cat > /dev/null; kill -9 "$0"; rm -rf "$1"';
  return spawn("sh", ["-c", script, String(pid), data], { stdio: ["pipe", "ignore", "ignore"], detached: true });
}

/**
 * Runs a server as a program: prints what `start` gives as one line of JSON, and stops it when told to or when the input ends.
 * A line of input that names one of its commands does that and is answered with {"done":"<the name>"}.
 */
export async function serve(start) {
  try {
    const { stop, ended, commands = {}, ...told } = await start();
    process.stdout.write(`${JSON.stringify(told)}\n`);
    const asked = new Promise((resolve, reject) => {
      for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, resolve);
      process.stdin.once("end", resolve);
      createInterface(process.stdin).on("line", async (name) => {
        try {
          await commands[name]?.();
          process.stdout.write(`${JSON.stringify({ done: name })}\n`);
        } catch (error) {
          reject(error);
        }
      });
    });
    try {
      await Promise.race([asked, ended]);
    } finally {
      await stop();
    }
    process.exit();
  } catch (error) {
    process.stderr.write(`${error instanceof SetupError ? error.message : error.stack}\n`);
    process.exit(error instanceof SetupError ? 69 : 70);
  }
}
