import { Agent, request } from "node:http";
import { AssayError } from "../src/errors.js";

/** What one connection sends, over and over. */
export interface Load {
  readonly url: string;
  readonly key?: string;
  /** The body of the next request. */
  readonly body: () => string;
  /** Throws unless the answer says that the request was done. */
  readonly check: (answer: string) => void;
}

/** How long and how wide. */
export interface Shape {
  readonly connections: number;
  readonly seconds: number;
}

/** What was seen from outside. */
export interface Measured {
  readonly requests: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/**
 * Closed loop: each connection sends its next request when the answer to the last has come. Latency is from the first byte
 * sent to the last byte received, as the client sees it.
 */
export async function measure(load: Load, { connections, seconds }: Shape): Promise<Measured> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const started = performance.now();
  const end = started + seconds * 1000;
  const latencies: number[] = [];
  const connection = async (): Promise<void> => {
    while (performance.now() < end) {
      const body = load.body();
      const at = performance.now();
      load.check(await post(load, body, agent));
      latencies.push(performance.now() - at);
    }
  };
  await Promise.all(Array.from({ length: connections }, connection));
  const elapsed = (performance.now() - started) / 1000;
  agent.destroy();
  latencies.sort((a, b) => a - b);
  const quantile = (q: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(q * latencies.length))] ?? Number.NaN;
  return {
    requests: latencies.length,
    perSecond: latencies.length / elapsed,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
  };
}

function post({ url, key }: Load, body: string, agent: Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    };
    const sent = request(url, { method: "POST", agent, headers }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.once("error", reject);
      answer.once("end", () => {
        const text = Buffer.concat(chunks).toString("utf8");
        if (answer.statusCode === 200) resolve(text);
        else reject(new AssayError("INTERNAL", `wanted HTTP 200, but got ${answer.statusCode}: ${text.slice(0, 300)}`));
      });
    });
    sent.once("error", reject);
    sent.end(body);
  });
}

/** The middle value; of two middles their mean. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low = Number.NaN, high = Number.NaN] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return (low + high) / 2;
}
