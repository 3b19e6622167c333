import { connect, createServer, type Server, type Socket } from "node:net";

/**
 * OPEN: bytes pass. DOWN: nobody listens and every connection is cut, as when the server is gone. STALLED: connections stay
 * and nothing passes, in either direction, until it is open again, as in a network that is torn apart. DEAF: nothing passes
 * from clients to the server; MUTE: nothing from the server to clients.
 */
export type LinkState = "OPEN" | "DOWN" | "STALLED" | "DEAF" | "MUTE";

interface Pair {
  readonly near: Socket;
  far: Socket | undefined;
}

/** A link to a TCP server that can be torn and mended while it is used. It keeps its port for its whole life. */
export class TcpProxy {
  private readonly pairs = new Set<Pair>();
  private server: Server | undefined;
  private state: LinkState = "OPEN";
  private closed = false;
  /** The loopback port that clients use. */
  port = 0;

  private constructor(private target: { readonly host: string; readonly port: number }) {}

  /** Listens on a free port of the loopback address. */
  static async start(target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    await proxy.listen();
    return proxy;
  }

  /** `host:port` for clients. */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Open connections of clients. */
  get connections(): number {
    return this.pairs.size;
  }

  /** Sends new connections elsewhere: the server came back on another port. */
  retarget(port: number): void {
    this.target = { ...this.target, port };
  }

  /** Tears or mends the link. What was held back while it was stalled passes when it opens again. */
  async set(state: LinkState): Promise<void> {
    if (this.closed || state === this.state) return;
    this.state = state;
    if (state === "DOWN") {
      await this.stopListening();
      return;
    }
    for (const pair of this.pairs) {
      if (state === "OPEN") this.reach(pair);
      this.throttle(pair);
    }
    if (this.server === undefined) await this.listen();
  }

  /** Cuts every connection with a reset, as a firewall does that forgot them. */
  reset(): void {
    for (const { near, far } of this.pairs) {
      near.resetAndDestroy();
      far?.resetAndDestroy();
    }
  }

  /** The server's side of every connection ends and clients never hear of it. New connections are as usual. */
  halfOpen(): void {
    for (const pair of this.pairs) {
      pair.near.unpipe();
      pair.far?.removeAllListeners("close");
      pair.far?.destroy();
      pair.far = undefined;
      pair.near.resume(); // takes what clients send, and answers nothing
    }
  }

  /** Ends it for good. */
  async close(): Promise<void> {
    this.closed = true;
    this.state = "DOWN";
    await this.stopListening();
  }

  private listen(): Promise<void> {
    const server = createServer((near) => this.accept(near));
    this.server = server;
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.port, "127.0.0.1", () => {
        const address = server.address();
        if (typeof address === "object" && address !== null) this.port = address.port;
        resolve();
      });
    });
  }

  private async stopListening(): Promise<void> {
    const server = this.server;
    this.server = undefined;
    this.reset();
    if (server !== undefined) await new Promise((resolve) => server.close(resolve));
  }

  private accept(near: Socket): void {
    const pair: Pair = { near, far: undefined };
    this.pairs.add(pair);
    near.on("error", () => undefined); // its close tells
    near.once("close", () => {
      this.pairs.delete(pair);
      pair.far?.destroy();
    });
    near.pause();
    if (this.state !== "STALLED") this.reach(pair);
    this.throttle(pair);
  }

  /** Opens the server's side of a connection that has none yet. */
  private reach(pair: Pair): void {
    if (pair.far !== undefined || pair.near.destroyed || pair.near.isPaused() === false) return;
    const far = connect(this.target.port, this.target.host);
    pair.far = far;
    far.on("error", () => undefined); // its close tells
    far.once("close", () => pair.near.destroy());
    pair.near.on("data", (chunk) => void far.write(chunk));
    far.on("data", (chunk) => void pair.near.write(chunk));
    pair.near.once("end", () => far.end());
    far.once("end", () => pair.near.end());
  }

  private throttle({ near, far }: Pair): void {
    if (far === undefined) return;
    const [toServer, toClient] = [
      this.state === "OPEN" || this.state === "MUTE",
      this.state === "OPEN" || this.state === "DEAF",
    ];
    if (toServer) near.resume();
    else near.pause();
    if (toClient) far.resume();
    else far.pause();
  }
}
