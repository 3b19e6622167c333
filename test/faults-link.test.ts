import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { after, describe, it } from "node:test";
import { TcpProxy } from "./faults/tcp-proxy.js";
import { eventually } from "./support/eventually.js";

// The fault suite tears links; here the tool itself is held to what it says it does.

const server = createServer((socket) => {
  socket.on("error", () => undefined);
  socket.pipe(socket); // echoes
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const address = server.address();
const port = typeof address === "object" && address !== null ? address.port : 0;
after(() => server.close());

async function link(): Promise<TcpProxy> {
  const proxy = await TcpProxy.start({ host: "127.0.0.1", port });
  after(() => proxy.close());
  return proxy;
}

/** A client that remembers what it heard. */
async function client(proxy: TcpProxy): Promise<{ socket: Socket; heard: () => string; ended: Promise<unknown> }> {
  const socket = connect(proxy.port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk) => {
    text += String(chunk);
  });
  socket.on("error", () => undefined);
  const ended = new Promise((resolve) => socket.once("close", resolve));
  await once(socket, "connect");
  return { socket, heard: () => text, ended };
}

describe("a link that can be torn", () => {
  it("passes bytes both ways while it is open", async () => {
    const one = await client(await link());
    one.socket.write("ping");
    await eventually("the echo", () => one.heard() === "ping");
    one.socket.end();
    await one.ended;
  });

  it("cuts what is open and takes nothing new while it is down, and comes back on the same port", async () => {
    const proxy = await link();
    const one = await client(proxy);
    await proxy.set("DOWN");
    await one.ended;
    await assert.rejects(client(proxy), { code: "ECONNREFUSED" });
    await proxy.set("OPEN");
    const two = await client(proxy);
    two.socket.write("again");
    await eventually("the echo", () => two.heard() === "again");
    two.socket.destroy();
  });

  it("holds bytes back while it is stalled and delivers them afterwards, also of connections made meanwhile", async () => {
    const proxy = await link();
    const one = await client(proxy);
    await proxy.set("STALLED");
    const two = await client(proxy);
    one.socket.write("one");
    two.socket.write("two");
    const open = await client(await link());
    open.socket.write("other");
    await eventually("another link's echo, which shows that time enough has passed", () => open.heard() === "other");
    assert.equal(one.heard() + two.heard(), "");
    await proxy.set("OPEN");
    await eventually("what was held back", () => one.heard() === "one" && two.heard() === "two");
    for (const each of [one, two, open]) each.socket.destroy();
  });

  it("lets bytes through to the server and no answer back while it is mute, and the reverse while it is deaf", async () => {
    const proxy = await link();
    const one = await client(proxy);
    one.socket.write("a");
    await eventually("the first echo", () => one.heard() === "a");
    let arrived = "";
    for (const state of ["MUTE", "DEAF"] as const) {
      await proxy.set(state);
      one.socket.write("b");
      const open = await client(await link());
      open.socket.write("other");
      await eventually("another link's echo", () => open.heard() === "other");
      open.socket.destroy();
      assert.equal(one.heard().length, 1 + arrived.length, state);
      await proxy.set("OPEN");
      arrived += "b";
      await eventually(`what ${state} held back`, () => one.heard() === `a${arrived}`);
    }
    one.socket.destroy();
  });

  it("resets connections at once", async () => {
    const proxy = await link();
    const one = await client(proxy);
    const failed = once(one.socket, "error");
    one.socket.write("x");
    await eventually("the echo", () => one.heard() === "x");
    proxy.reset();
    const [error] = await failed;
    assert.match(String(error), /ECONNRESET/);
  });

  it("half open: the server's side is gone and the client never hears of it, while new connections are served", async () => {
    const proxy = await link();
    const one = await client(proxy);
    one.socket.write("x");
    await eventually("the echo", () => one.heard() === "x");
    proxy.halfOpen();
    one.socket.write("y");
    const two = await client(proxy);
    two.socket.write("z");
    await eventually("the echo of the new one", () => two.heard() === "z");
    assert.equal(one.heard(), "x");
    assert.equal(one.socket.destroyed, false);
    for (const each of [one, two]) each.socket.destroy();
  });
});
