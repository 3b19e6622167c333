import { connect, createServer, type Socket } from "node:net";

/** A relay between a client and a server whose connections can be cut. */
export interface BreakableProxy {
  readonly url: string;
  /** Connections that were made so far. */
  readonly count: () => number;
  /** Cuts every open connection, as a dropped network would. */
  cut(): void;
  close(): Promise<void>;
}

/** Listens on a free port of the loopback address and passes bytes to and from the server. */
export async function breakableProxy(to: string): Promise<BreakableProxy> {
  const { hostname, port } = new URL(to);
  const open = new Set<Socket>();
  let count = 0;
  const server = createServer((near) => {
    count += 1;
    const far = connect(Number(port), hostname);
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on("error", () => undefined); // the other side hears of it by the close below
      socket.once("close", () => open.delete(socket));
    }
    near.once("close", () => far.destroy());
    far.once("close", () => near.destroy());
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const own = typeof address === "object" && address !== null ? address.port : 0;
  const cut = (): void => {
    for (const socket of open) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${own}`,
    count: () => count,
    cut,
    close: () => {
      cut();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
