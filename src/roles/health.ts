import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import type { HealthConfig } from "../config/roles.js";
import { AssayError } from "../errors.js";
import type { Life } from "./life.js";

/** One thing that must be so for a role to do its work. It may throw, which is a no, and is given two seconds. */
export type Probe = () => boolean | Promise<boolean>;

/** What is looked at, by name. */
export type Probes = Readonly<Record<string, Probe>>;

const PROBE_MS = 2_000;

/** The health of a role that has no API: /healthz says that the process lives, /readyz that it can do its work. */
export class Health {
  private probes: Probes | undefined;

  private constructor(
    private readonly life: Life,
    server: Server,
    /** Where it answers. */
    readonly address: { readonly url: string; readonly port: number },
  ) {
    server.on("request", (request, response) => void this.answer(request, response));
  }

  /** Answers from now on, not ready until `watch` says what makes it so; it answers until everything started later has ended. */
  static async open(life: Life, { host, port }: HealthConfig): Promise<Health> {
    const server = createServer({ requestTimeout: 5_000, keepAliveTimeout: 1_000 });
    const bound = await new Promise<number>((resolve, reject) => {
      server.once("error", (cause) =>
        reject(new AssayError("SETUP_FAILED", `cannot listen on ${host}:${port}: ${cause.message}`, { cause })),
      );
      server.listen(port, host, () => {
        const address = server.address();
        resolve(typeof address === "object" && address !== null ? address.port : port);
      });
    });
    life.onEnd(() => {
      server.closeAllConnections();
      server.close();
    });
    return new Health(life, server, { url: `http://${host.includes(":") ? `[${host}]` : host}:${bound}`, port: bound });
  }

  /** From now on the role is ready whenever these are so. */
  watch(probes: Probes): void {
    this.probes = probes;
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.split("?")[0];
    if (path !== "/healthz" && path !== "/readyz") {
      response.writeHead(404).end();
      return;
    }
    const { ready, checks } = path === "/healthz" ? { ready: true, checks: {} } : await this.look();
    response.writeHead(ready ? 200 : 503, { "content-type": "application/json", "cache-control": "no-store" });
    response.end(JSON.stringify({ status: ready ? "ok" : "not ready", checks }));
  }

  private async look(): Promise<{ ready: boolean; checks: Record<string, boolean> }> {
    if (this.probes === undefined) return { ready: false, checks: { started: false } };
    const checks = await probed(this.probes);
    if (this.life.isEnding) checks["staying"] = false;
    return { ready: Object.values(checks).every(Boolean), checks };
  }
}

/** Looks at everything at once. */
export async function probed(probes: Probes): Promise<Record<string, boolean>> {
  const answers = Object.entries(probes).map(async ([name, probe]) => [name, await answerOf(probe)] as const);
  return Object.fromEntries(await Promise.all(answers));
}

async function answerOf(probe: Probe): Promise<boolean> {
  const late = new AbortController();
  try {
    return await Promise.race([probe(), pause(PROBE_MS, false, { signal: late.signal })]);
  } catch {
    return false; // what is not there is exactly what the question is about
  } finally {
    late.abort();
  }
}
