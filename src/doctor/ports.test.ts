import { createSocket } from "node:dgram";
import { createServer as createHttp, type RequestListener } from "node:http";
import { createServer as createHttps } from "node:https";
import { createServer, type AddressInfo, type Server } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { loadConfig } from "../config/load.ts";
import { hasIpv6Loopback } from "../test-ipv6.ts";
import { createSelfSigned } from "../tls/self-signed.ts";
import { isChatRandom, judgePort, tryPort, type WantedPort, wantedPorts } from "./ports.ts";

const page = (port: number): WantedPort => ({
  option: "port",
  host: "127.0.0.1",
  hostOption: "host",
  port,
  protocol: "tcp",
  what: "page",
});

async function listening(server: Server, host = "127.0.0.1"): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return (server.address() as AddressInfo).port;
}

test("a configuration wants the ports that its server would listen on", () => {
  const wanted = (flags: Record<string, string[]>, kind: "serve" | "join" = "serve") =>
    wantedPorts(loadConfig({ flags: { "turn-enabled": ["false"], ...flags } }).config, kind).map(
      ({ option, port, protocol }) => `${option} ${port}${protocol === "udp" ? " udp" : ""}`,
    );
  expect(wanted({})).toEqual(["port 8080"]);
  const acme = { tls: ["acme"], domain: ["chat.example.org"] };
  expect(wanted(acme)).toEqual(["port 8080", "acme.http_port 80"]);
  expect(wanted({ ...acme, port: ["80"] })).toEqual(["port 80"]);
  expect(wanted({ ...acme, "acme-challenge": ["tls-alpn-01"] })).toEqual(["port 8080"]);
  expect(wanted({ "turn-enabled": ["true"] })).toEqual(["port 8080", "turn.port 3478", "turn.port 3478 udp"]);
  expect(wanted({}, "join")).toEqual(["port 8080", "link.port 7400"]);
});

test("a port that is free, and free it stays", async () => {
  const server = createServer();
  const port = await listening(server);
  await new Promise((resolve) => server.close(resolve));
  expect(await tryPort(page(port))).toEqual({ is: "free" });
  expect(await tryPort(page(port))).toEqual({ is: "free" });
  expect(judgePort(page(port), { is: "free" }, false)).toMatchObject({ level: "fine" });
});

test("a port that something else uses, TCP and UDP", async () => {
  const mail = createServer((socket) =>
    socket
      .on("error", () => {})
      .resume()
      .end("220 mail\r\n"),
  );
  const port = await listening(mail);
  const state = await tryPort(page(port));
  expect(state).toEqual({ is: "in use" });
  expect(await isChatRandom(page(port))).toBe(false);
  expect(judgePort(page(port), state, false)).toEqual({
    check: `port ${port} tcp`,
    level: "wrong",
    text: "something else uses it",
    advice: "stop what uses it (ss -tlpn shows it), or change port (--port, CHATRANDOM_PORT)",
  });
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  onTestFinished(() => new Promise<void>((resolve) => socket.close(resolve)));
  expect(await tryPort({ ...page(socket.address().port), protocol: "udp" })).toEqual({ is: "in use" });
});

const readyz: RequestListener = ({ url }, response) => {
  response.statusCode = url === "/readyz" ? 503 : 404;
  response.end(JSON.stringify({ ready: false, reasons: ["redis"] }));
};

test("a ChatRandom is known by its answer, also one that is not ready, over HTTP and over HTTPS", async () => {
  const port = await listening(createHttp(readyz));
  expect(await isChatRandom(page(port))).toBe(true);
  const { chain, key } = await createSelfSigned(["localhost"], Date.now());
  const host = hasIpv6Loopback() ? "::1" : "127.0.0.1";
  const secure = await listening(createHttps({ cert: chain, key }, readyz), host);
  expect(await isChatRandom({ host, port: secure })).toBe(true);
  expect(judgePort(page(port), { is: "in use" }, true)).toMatchObject({
    level: "fine",
    text: "ChatRandom runs here",
  });
});

test("another web server is none", async () => {
  const port = await listening(createHttp((_, response) => response.end("<!doctype html>")));
  expect(await isChatRandom(page(port))).toBe(false);
});

test("a port that needs rights, and an address of another machine", async () => {
  expect(judgePort(page(80), { is: "refused", code: "EACCES" }, false)).toMatchObject({
    level: "wrong",
    advice: expect.stringContaining("CAP_NET_BIND_SERVICE"),
  });
  const foreign = { ...page(8080), host: "192.0.2.1" };
  expect(judgePort(foreign, await tryPort(foreign), false)).toMatchObject({
    level: "wrong",
    text: "192.0.2.1 is no address of this machine (EADDRNOTAVAIL)",
    advice: expect.stringContaining("--host"),
  });
  const relayed = (flags: Record<string, string[]>) =>
    wantedPorts(loadConfig({ flags }).config, "serve").at(-1)!;
  const refused = { is: "refused", code: "EADDRNOTAVAIL" } as const;
  for (const [option, spelled] of [
    ["host", "--host"],
    ["turn-host", "--turn-host"],
  ] as const) {
    const { advice } = judgePort(relayed({ [option]: ["192.0.2.1"] }), refused, false);
    expect(advice).toContain(`(${spelled},`);
  }
});

test("any free port will do", () => {
  expect(judgePort(page(0), { is: "free" }, false)).toMatchObject({ level: "fine", check: "port" });
});
