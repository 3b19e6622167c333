import { once } from "node:events";
import { constants } from "node:os";
import { createInterface } from "node:readline";
import { podTimeArguments } from "../config/pods.js";
import { type PodConfig, readPodConfig } from "../config/roles.js";
import { addressIn } from "../embedded/pod-lines.js";
import { spawnPod } from "../embedded/pod-process.js";
import { Health } from "./health.js";
import type { Life } from "./life.js";

/** Runs a Python pod in the foreground: hands the signal on, waits for as long as it takes, and ends with its exit code. */
export async function podRole(life: Life): Promise<number> {
  const config = readPodConfig(process.env);
  const health = await Health.open(life, config.health);
  const pod = spawnPod(argumentsOf(config), { artifactsDir: config.artifactsDir, cacheDir: config.modelCache });
  pod.stdin.on("error", () => undefined); // it breaks when the pod dies, which `exit` tells
  pod.stderr.pipe(process.stderr);
  let listens = false;
  createInterface({ input: pod.stdout }).on("line", (line) => {
    const address = addressIn(line);
    if (address === undefined) return;
    listens = true;
    life.log("main").info("listening", { address, url: health.address.url, port: health.address.port, pid: pod.pid });
  });
  health.watch({ listens: () => listens });
  void life.asked.then((signal) => pod.kill(signal));
  const [code, signal]: unknown[] = await once(pod, "exit");
  return typeof code === "number" ? code : 128 + signalNumber(signal);
}

function argumentsOf({ listen, slots, device, tls, ...times }: PodConfig): string[] {
  const args = ["--listen", listen, "--slots", String(slots), "--device", device, ...podTimeArguments(times)];
  if (tls === undefined) return args;
  args.push("--tls-cert", tls.cert, "--tls-key", tls.key, "--tls-client-ca", tls.ca);
  return tls.clientName === undefined ? args : [...args, "--tls-client-name", tls.clientName];
}

function signalNumber(name: unknown): number {
  return Object.entries(constants.signals).find(([signal]) => signal === name)?.[1] ?? 0;
}
