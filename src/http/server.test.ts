import { spawn } from "node:child_process";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { createConnection, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { createInterface } from "node:readline";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { clientOf } from "./client.ts";
import { startHttp } from "./server.ts";
import type { HttpParts, HttpServer } from "./server.ts";
import { until } from "../test-until.ts";

const error = vi.fn();
const parts: HttpParts = {
  health: { notReady: () => [], metrics: async () => ({ contentType: "text/plain", text: "" }) },
  client: clientOf([], []),
  upgrade: (_request, socket) => socket.destroy(),
  pageFiles: [],
  log: { error },
};

async function serve(times?: Parameters<typeof startHttp>[3]): Promise<HttpServer> {
  const server = await startHttp(parts, "127.0.0.1", 0, times);
  onTestFinished(() => server.close());
  return server;
}

/** A client that says `text` and then what it is told to; resolves with all that came, once the server has closed. */
function say(port: number, text: string | Uint8Array): { socket: Socket; answer: Promise<string> } {
  const socket = createConnection(port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => {});
  socket.write(text);
  const answer = new Promise<string>((resolve) => {
    let came = "";
    socket.on("data", (data) => (came += String(data)));
    socket.on("close", () => resolve(came));
  });
  return { socket, answer };
}

test("a port in use is one clear line", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  onTestFinished(() => void other.close());
  const { port } = other.address() as AddressInfo;
  await expect(startHttp(parts, "127.0.0.1", port)).rejects.toMatchObject({
    name: "Failure",
    exitCode: 1,
    message: expect.stringMatching(new RegExp(`^Port ${port} is in use already\\..*--port`)),
  });
});

test("an address of another machine is one clear line", async () => {
  await expect(startHttp(parts, "192.0.2.1", 0)).rejects.toMatchObject({
    name: "Failure",
    exitCode: 1,
    message: expect.stringMatching(/^192\.0\.2\.1 is no address of this machine\..*--host/),
  });
});

test("close ends what is open, at once", async () => {
  const server = await startHttp(parts, "127.0.0.1", 0);
  const { answer, socket } = say(server.port, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
  await once(socket, "data");
  await server.close();
  expect(await answer).toContain("200 OK");
  await expect(fetch(`http://127.0.0.1:${server.port}/healthz`)).rejects.toThrow();
});

describe("a request that never comes to its end", () => {
  // Long enough for what comes to its end, also on a busy machine.
  const times = { head: 2_000, request: 3_000, check: 50, keepAlive: 1_000, stalled: 10_000 };

  test("is closed, whatever is missing, and others are served meanwhile", async () => {
    const { port } = await serve(times);
    const slow = [
      ["says nothing", "", /^$|^HTTP\/1.1 408 /],
      ["begins a line", "GET /heal", /^HTTP\/1.1 408 /],
      ["begins a header", "GET /healthz HTTP/1.1\r\nHost: h\r\nX-Slow: ", /^HTTP\/1.1 408 /],
      ["never ends its headers", "GET /healthz HTTP/1.1\r\nHost: h\r\n", /^HTTP\/1.1 408 /],
      [
        "promises a body",
        "POST /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nx",
        /^HTTP\/1.1 404 /,
      ],
      ["asks for nothing more", "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n", /^HTTP\/1.1 200 /],
      [
        "offers an upgrade and stops",
        "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n",
        /^HTTP\/1.1 408 /,
      ],
    ] as const;
    const answers = slow.flatMap(([who, text, answer]) =>
      Array.from({ length: 40 }, async () => expect(await say(port, text).answer, who).toMatch(answer)),
    );
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
    await Promise.all(answers);
  });

  test("is closed also when a byte of it comes now and then", async () => {
    const { port } = await serve({ ...times, head: 300 });
    const { socket, answer } = say(port, "GET /healthz HTTP/1.1\r\nHost: h\r\n");
    const dripping = setInterval(() => socket.write("X: y\r\n"), 20);
    onTestFinished(() => clearInterval(dripping));
    expect(await answer).toMatch(/^HTTP\/1.1 408 /);
  });
});

test("an answer that nobody takes does not hold its connection for ever", async () => {
  const text = "x".repeat(32 * 1024 ** 2);
  const health = { ...parts.health, metrics: async () => ({ contentType: "text/plain", text }) };
  const times = { head: 10_000, request: 15_000, check: 50, keepAlive: 5_000, stalled: 200 };
  const server = await startHttp({ ...parts, health }, "127.0.0.1", 0, times);
  onTestFinished(() => server.close());
  const closed = Promise.withResolvers<void>();
  const see = (message: unknown) => void (message as { socket: Socket }).socket.once("close", closed.resolve);
  subscribe("net.server.socket", see);
  onTestFinished(() => void unsubscribe("net.server.socket", see));
  const { socket } = say(server.port, "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n");
  await once(socket, "data");
  socket.pause();
  await closed.promise;
});

test.each([
  ["no HTTP", "hello there\r\n\r\n"],
  ["no HTTP at all", Uint8Array.from({ length: 500 }, (_, n) => (n * 7) % 256)],
  ["headers without end", `GET / HTTP/1.1\r\nHost: h\r\nX: ${"x".repeat(20_000)}\r\n\r\n`],
  ["two lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx"],
  [
    "a length and chunks",
    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  ],
  ["no host", "GET / HTTP/1.1\r\n\r\n"],
  ["a line in a header", "GET / HTTP/1.1\r\nHost: h\r\nX: a\nSet-Cookie: b\u0000\r\n\r\n"],
])("%s is refused", async (_what, text) => {
  const { port } = await serve();
  const { answer } = say(port, text);
  expect(await answer).toMatch(/^HTTP\/1.1 4\d\d /);
  expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
});

test("a target that is no path of ours is not found, and no fault", async () => {
  const { port } = await serve();
  for (const target of [
    "*",
    "http://evil.example/",
    "//evil.example/%2e",
    "/%ff%00",
    "/?%",
    "/healthz%00",
    "/\\..\\x",
  ]) {
    const method = target === "*" ? "OPTIONS" : "GET";
    const { answer } = say(port, `${method} ${target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`);
    expect(await answer).toMatch(/^HTTP\/1.1 40[0-9] /);
  }
  expect(error).not.toHaveBeenCalled();
});

test("a connection more than there is room for is closed at once, and told", async () => {
  let [most, told] = [2, 0];
  const room = { most: () => most, full: () => void (told += 1) };
  const server = await startHttp({ ...parts, room }, "127.0.0.1", 0);
  onTestFinished(() => server.close());
  const healthy = () => fetch(`http://127.0.0.1:${server.port}/healthz`).then(({ status }) => status);
  const crowd = [say(server.port, ""), say(server.port, "")];
  expect(await say(server.port, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").answer).toBe("");
  expect(told).toBe(1);
  most = 3;
  expect(await healthy()).toBe(200);
  for (const { socket } of crowd) socket.destroy();
  most = 1;
  await until(() => healthy().then(Boolean, () => false), 20);
});

test("more connections than the process may have do not end it, and are served when there is room again", async () => {
  const url = (file: string) => JSON.stringify(new URL(file, import.meta.url).href);
  const source = `
    import { startHttp } from ${url("server.ts")};
    import { clientOf } from ${url("client.ts")};
    const health = { notReady: () => [], metrics: async () => ({ contentType: "text/plain", text: "" }) };
    const parts = { health, client: clientOf([], []), upgrade: () => {}, pageFiles: [], log: console };
    const server = await startHttp(parts, "127.0.0.1", 0);
    void server.failed.then(() => console.log("failed"));
    console.log(server.port);`;
  const child = spawn(
    "/bin/sh",
    ["-c", 'ulimit -n 60; exec "$0" --input-type=module -e "$1"', process.execPath, source],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  onTestFinished(() => void child.kill("SIGKILL"));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const port = Number((await lines.next()).value);
  const crowd = Array.from({ length: 150 }, () => say(port, ""));
  let [open, closed] = [0, 0];
  for (const { socket, answer } of crowd) {
    socket.on("connect", () => (open += 1));
    void answer.then(() => (closed += 1));
  }
  await until(() => open === 150 && closed > 50);
  for (const { socket } of crowd) socket.destroy();
  await until(
    () =>
      fetch(`http://127.0.0.1:${port}/healthz`).then(
        ({ status }) => status === 200,
        () => false,
      ),
    20,
  );
  child.kill();
  expect((await lines.next()).value).toBeUndefined();
});
