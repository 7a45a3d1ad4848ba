import { createHash } from "node:crypto";
import { once } from "node:events";
import { request as requestPlain } from "node:http";
import type { IncomingHttpHeaders, RequestOptions } from "node:http";
import { request as requestSecure } from "node:https";
import { connect as connectPlain } from "node:net";
import type { Socket } from "node:net";
import { connect as connectSecure } from "node:tls";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { StillClock } from "../still-clock.ts";
import type { Certificate } from "../tls/certificate.ts";
import { createSelfSigned } from "../tls/self-signed.ts";
import { clientOf } from "./client.ts";
import { startHttp } from "./server.ts";
import type { HttpServer, HttpsParts } from "./server.ts";

let certificate: Certificate;
beforeAll(async () => {
  certificate = await createSelfSigned(["localhost", "127.0.0.1"], Date.now());
});

/** A certificate that an authority stands behind, as far as the server can see. */
const real = (): Certificate => ({ ...certificate, selfSigned: false });

interface Options extends Partial<HttpsParts> {
  /** Whether what the test sends counts as coming from this machine. */
  here?: boolean;
  trusted?: string[];
  current?: Certificate;
  off?: boolean;
}

interface Started extends HttpServer {
  clock: StillClock;
  dropped: string[];
  /** What new connections are shown. */
  source: { current: Certificate; stop(): void };
}

const open: HttpServer[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of open.splice(0)) await server.close();
});

async function start({
  here = true,
  trusted = [],
  current = certificate,
  off,
  ...https
}: Options = {}): Promise<Started> {
  const clock = new StillClock();
  const dropped: string[] = [];
  const source = { current, stop() {} };
  const echo = new WebSocketServer({ noServer: true });
  const server = await startHttp(
    {
      health: { notReady: () => [], metrics: async () => ({ contentType: "text/plain", text: "" }) },
      client: { ...clientOf(trusted, []), isHere: () => here },
      upgrade: (request, socket, head) =>
        echo.handleUpgrade(request, socket, head, (socket) =>
          socket.on("message", (data) => socket.send(data)),
        ),
      pageFiles: [],
      log: { error() {} },
      https: off
        ? undefined
        : {
            certificates: source,
            clock,
            dropped: (reason) => void dropped.push(reason),
            name: "Here",
            ...https,
          },
    },
    "127.0.0.1",
    0,
  );
  open.push(server);
  return Object.assign(server, { clock, dropped, source });
}

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

function ask(
  scheme: "http" | "https",
  { port }: HttpServer,
  path: string,
  options: RequestOptions = {},
): Promise<Answer> {
  const request = scheme === "http" ? requestPlain : requestSecure;
  return new Promise((resolve, reject) => {
    const asked = request({
      port,
      host: "127.0.0.1",
      path,
      agent: false,
      rejectUnauthorized: false,
      ...options,
    } as RequestOptions);
    asked.on("error", reject).on("response", (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => void (body += text));
      response.on("end", () => resolve({ status: response.statusCode!, headers: response.headers, body }));
    });
    asked.end();
  });
}

function plain({ port }: HttpServer): Socket {
  const socket = connectPlain(port, "127.0.0.1").on("error", () => {});
  sockets.push(socket);
  return socket;
}

async function secure({ port }: HttpServer, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connectSecure({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
  sockets.push(socket);
  await once(socket, "secureConnect");
  return socket.on("error", () => {});
}

/** Everything that comes until the other side closes. */
async function rest(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk) => void (text += String(chunk)));
  if (!socket.closed) await once(socket, "close");
  return text;
}

describe("one port", () => {
  test("speaks HTTP and HTTPS", async () => {
    const server = await start();
    for (const scheme of ["http", "https"] as const) {
      expect(await ask(scheme, server, "/healthz")).toMatchObject({ status: 200, body: '{"alive":true}' });
    }
  });

  test("carries WebSockets both ways", async () => {
    const server = await start();
    for (const scheme of ["ws", "wss"]) {
      const socket = new WebSocket(`${scheme}://127.0.0.1:${server.port}/ws`, { rejectUnauthorized: false });
      socket.on("open", () => socket.send("x".repeat(100_000)));
      const [echoed] = (await once(socket, "message")) as [Buffer];
      expect(echoed.length).toBe(100_000);
      socket.terminate();
    }
  });

  test("takes a request that comes in pieces, the first byte alone", async () => {
    const server = await start();
    const request = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    for (const socket of [plain(server), await secure(server)]) {
      socket.setNoDelay(true);
      for (const letter of request)
        await new Promise<void>((resolve) => socket.write(letter, () => resolve()));
      expect(await rest(socket)).toContain('{"alive":true}');
    }
  });

  test("keeps a connection for several requests, and several requests in one piece", async () => {
    const server = await start();
    const two =
      "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    for (const socket of [plain(server), await secure(server)]) {
      socket.write(two);
      expect((await rest(socket)).match(/"alive":true/g)).toHaveLength(2);
    }
  });

  test("speaks TLS 1.2 and 1.3 and nothing older", async () => {
    const server = await start();
    for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
      const socket = await secure(server, { minVersion: version, maxVersion: version });
      expect(socket.getProtocol()).toBe(version);
      expect(socket.getPeerX509Certificate()?.fingerprint256).toBe(certificate.fingerprint);
    }
    const old = secure(server, { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" });
    await expect(old).rejects.toThrow();
    expect(server.dropped).toEqual(["handshake"]);
  });

  test("shows a new certificate to new connections and leaves the others alone", async () => {
    const server = await start();
    const before = await secure(server);
    server.source.current = await createSelfSigned(["localhost"], Date.now());
    const after = await secure(server);
    expect(after.getPeerX509Certificate()?.fingerprint256).toBe(server.source.current.fingerprint);
    before.write("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    expect(await rest(before)).toContain('{"alive":true}');
  });

  test("closes at once, with connections in every state", async () => {
    const server = await start();
    const silent = plain(server);
    await once(silent, "connect");
    const shaken = await secure(server);
    const idle = await secure(server);
    idle.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    await once(idle, "data");
    const closed = [silent, shaken, idle].map((socket) => once(socket, "close"));
    await server.close();
    await Promise.all(closed);
  });

  test("is plain for everybody without certificates", async () => {
    const server = await start({ off: true, here: false });
    expect((await ask("http", server, "/healthz")).status).toBe(200);
  });
});

describe("plain from elsewhere", () => {
  test.each([
    ["192.168.1.20:8080", "/", "https://192.168.1.20:8080/"],
    ["192.168.1.20:8080", "/x/y?z=1#w", "https://192.168.1.20:8080/x/y?z=1#w"],
    ["[2001:db8::20]:8080", "/", "https://[2001:db8::20]:8080/"],
    ["Chat.Example:443", "/", "https://chat.example/"],
    // The port that was left out is 80, and it speaks HTTPS as well.
    ["chat.example", "/", "https://chat.example:80/"],
    // What looks like another host behind our own is a path.
    ["chat.example:8080", "//evil.example/", "https://chat.example:8080//evil.example/"],
    ["chat.example:8080", "http://evil.example/", "https://chat.example:8080/"],
  ])("at %s, %s is sent to %s", async (host, path, location) => {
    const server = await start({ here: false });
    const { status, headers, body } = await ask("http", server, path, { headers: { host } });
    expect([status, headers.location]).toEqual([308, location]);
    expect(headers["cache-control"]).toBe("no-store");
    expect(body).toContain(`href="${location}"`);
    expect(headers["strict-transport-security"]).toBeUndefined();
  });

  test("is sent on whatever it wants, health and what is not there included", async () => {
    const server = await start({ here: false });
    for (const path of ["/healthz", "/readyz", "/metrics", "/nothing"]) {
      expect((await ask("http", server, path)).status).toBe(308);
      expect((await ask("https", server, path)).status).not.toBe(308);
    }
    expect((await ask("http", server, "/", { method: "POST" })).status).toBe(308);
  });

  test.each([
    "a b",
    "chat.example:80x",
    "me@chat.example",
    "chat.example/x",
    "<script>",
    "chat.example:99999",
  ])("with the host %j is refused", async (host) => {
    const server = await start({ here: false });
    const { status, headers } = await ask("http", server, "/", { headers: { host } });
    expect([status, headers.location]).toEqual([400, undefined]);
  });

  test("is sent to the address that it came to when it names no host", async () => {
    const server = await start({ here: false });
    const socket = plain(server);
    socket.write("GET / HTTP/1.0\r\n\r\n");
    expect(await rest(socket)).toContain(`Location: https://127.0.0.1:${server.port}/\r\n`);
  });

  test("a WebSocket is refused with the address that works, which then works", async () => {
    const server = await start({ here: false });
    const refused = new WebSocket(`ws://127.0.0.1:${server.port}/ws`).on("error", () => {});
    const [, response] = (await once(refused, "unexpected-response")) as [
      unknown,
      import("node:http").IncomingMessage,
    ];
    expect(response.statusCode).toBe(426);
    const [body] = (await once(response, "data")) as [Buffer];
    expect(String(body)).toBe(`Connect with TLS: wss://127.0.0.1:${server.port}/ws\n`);
    const socket = new WebSocket(`wss://127.0.0.1:${server.port}/ws`, { rejectUnauthorized: false });
    await once(socket, "open");
    socket.terminate();
  });
});

describe("behind a proxy", () => {
  const forwarded = (proto: string, more = {}) => ({
    headers: { host: "inner:1", "x-forwarded-host": "chat.example", "x-forwarded-proto": proto, ...more },
  });

  test("that is trusted, HTTPS in front of it is enough", async () => {
    const server = await start({ here: false, trusted: ["loopback"] });
    for (const proto of ["https", "HTTPS", "https, http"]) {
      expect((await ask("http", server, "/healthz", forwarded(proto))).status).toBe(200);
    }
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/ws`, forwarded("https"));
    await once(socket, "open");
    socket.terminate();
  });

  test("that is trusted and says nothing, HTTPS is the proxy's business", async () => {
    const server = await start({ here: false, trusted: ["loopback"] });
    expect((await ask("http", server, "/healthz")).status).toBe(200);
  });

  test("that is trusted, a visitor without HTTPS is sent to the proxy's", async () => {
    const server = await start({ here: false, trusted: ["loopback"] });
    const { status, headers } = await ask("http", server, "/x", forwarded("http"));
    expect([status, headers.location]).toEqual([308, "https://chat.example/x"]);
    const other = await ask(
      "http",
      server,
      "/x",
      forwarded("http", { "x-forwarded-host": "chat.example:8000" }),
    );
    expect(other.headers.location).toBe("https://chat.example/x");
  });

  test("that is not trusted, it says so instead of going round in circles", async () => {
    const server = await start({ here: false });
    const { status, body } = await ask("http", server, "/", forwarded("https"));
    expect([status, body]).toEqual([403, expect.stringContaining("http.trusted_proxies")]);
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/ws`, forwarded("https")).on(
      "error",
      () => {},
    );
    const [, response] = (await once(socket, "unexpected-response")) as [unknown, { statusCode: number }];
    expect(response.statusCode).toBe(403);
  });

  test("what a proxy that is not trusted says of the host does not count", async () => {
    const server = await start({ here: false });
    const { headers } = await ask("http", server, "/", forwarded("http"));
    expect(headers.location).toBe("https://inner:1/");
  });

  test("on this machine, nothing changes", async () => {
    const server = await start();
    for (const proto of ["http", "https"]) {
      expect((await ask("http", server, "/healthz", forwarded(proto))).status).toBe(200);
    }
  });
});

describe("Strict-Transport-Security", () => {
  const header = async (server: HttpServer, scheme: "http" | "https", host: string) =>
    (await ask(scheme, server, "/healthz", { headers: { host } })).headers["strict-transport-security"];

  test("is said with a certificate that browsers take, at the name's own port", async () => {
    const server = await start({ current: real() });
    expect(await header(server, "https", "chat.example")).toMatch(/^max-age=\d{7,}$/);
    expect(await header(server, "https", "chat.example:8443")).toBeUndefined();
    expect(await header(server, "http", "chat.example")).toBeUndefined();
  });

  test("is not said with one that is self-signed", async () => {
    expect(await header(await start(), "https", "chat.example")).toBeUndefined();
  });
});

describe("the page about the certificate", () => {
  test("can be read before the browser warns, and says the fingerprint", async () => {
    const server = await start({ here: false, name: 'A & <b>"B"' });
    const { status, headers, body } = await ask("http", server, "/certificate");
    expect(status).toBe(200);
    expect(body).toContain(certificate.fingerprint);
    expect(body).toContain("A &amp; &lt;b&gt;&quot;B&quot;");
    expect(body).not.toContain("<b>&quot;");
    const style = /<style>([^]*?)<\/style>/.exec(body)![1]!;
    const hash = createHash("sha256").update(style).digest("base64");
    expect(headers["content-security-policy"]).toContain(`style-src 'sha256-${hash}'`);
    expect(headers["content-security-policy"]).toContain("default-src 'none'");
  });

  test("is linked from where a visitor without HTTPS is sent on", async () => {
    const server = await start({ here: false });
    const { body } = await ask("http", server, "/", { headers: { host: "192.168.1.20:8080" } });
    expect(body).toContain('href="http://192.168.1.20:8080/certificate"');
  });

  test("offers the certificate itself, without its key", async () => {
    const { body } = await ask("https", await start(), "/certificate.pem");
    expect(body).toBe(certificate.chain);
    expect(body).not.toContain("KEY");
  });

  test("is not there when there is nothing to explain", async () => {
    const server = await start({ current: real() });
    expect((await ask("https", server, "/certificate")).status).toBe(404);
    expect((await ask("https", server, "/certificate.pem")).status).toBe(404);
  });
});

describe("STUN on the same port", () => {
  const binding = Buffer.from("000100002112a442000102030405060708090a0b", "hex");
  const echoStun = (socket: Socket) => socket.on("data", (chunk) => socket.write(chunk)).resume();

  test("is told from HTTP after the handshake, with every byte and the visitor's address", async () => {
    let seen: string | undefined;
    const server = await start({
      onStun: (socket) => ((seen = socket.remoteAddress), void echoStun(socket)),
    });
    for (const connection of [
      await secure(server),
      await secure(server, { ALPNProtocols: ["stun.turn"] }),
      plain(server),
    ]) {
      connection.write(binding);
      const [echoed] = (await once(connection, "data")) as [Buffer];
      expect(echoed.equals(binding)).toBe(true);
      expect(seen).toBe("127.0.0.1");
    }
    expect((await ask("https", server, "/healthz")).status).toBe(200);
    expect(server.dropped).toEqual([]);
  });

  test("belongs to who took it: no deadline ends it", async () => {
    const server = await start({ onStun: (socket) => void echoStun(socket) });
    const connection = await secure(server);
    connection.write(binding);
    await once(connection, "data");
    server.clock.move(60_000);
    connection.write("again");
    expect(String((await once(connection, "data"))[0])).toBe("again");
  });

  test("is closed where nobody takes it", async () => {
    const server = await start();
    const connection = await secure(server);
    connection.write(binding);
    expect(await rest(connection)).toBe("");
    expect(server.dropped).toEqual(["unknown"]);
  });
});

describe("what says nothing sensible", () => {
  /** Waits until the server has taken a connection, which it has when a later one is answered. */
  const taken = (server: HttpServer) => ask("http", server, "/healthz");

  test("in time is closed: silent, half a handshake, a whole handshake and then silence", async () => {
    const server = await start();
    const silent = plain(server);
    const half = plain(server);
    half.write(Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]));
    const whole = await secure(server);
    await taken(server);
    server.clock.move(9_000);
    await taken(server);
    expect([silent, half, whole].map((socket) => socket.closed)).toEqual([false, false, false]);
    server.clock.move(1_000);
    await Promise.all([silent, half, whole].map(rest));
    expect(server.dropped).toEqual(["slow", "slow", "slow"]);
  });

  test("is bounded in number: the oldest makes room, and visitors get through", async () => {
    const server = await start({ rules: { timeout: 10_000, max: 10 } });
    const silent = Array.from({ length: 30 }, () => plain(server));
    await vi.waitUntil(() => silent.filter((socket) => socket.closed).length === 20, { interval: 1 });
    expect((await ask("https", server, "/healthz")).status).toBe(200);
    expect(server.dropped.every((reason) => reason === "crowded")).toBe(true);
  });

  test.each([
    ["no protocol's first byte", Buffer.from([0x80, 1, 2]), "unknown"],
    ["a handshake that is none", Buffer.from("\u0016\u0003\u0001\u0000\u0005hello"), "handshake"],
    ["a record longer than TLS allows", Buffer.from([22, 3, 1, 255, 255, 1, 2, 3]), "handshake"],
  ])("such as %s is closed at once and counted", async (_, bytes, reason) => {
    const server = await start();
    const socket = plain(server);
    socket.write(bytes);
    await rest(socket);
    await vi.waitUntil(() => server.dropped.length > 0, { interval: 1 });
    expect(server.dropped).toEqual([reason]);
  });

  test("or goes away in the middle leaves nothing behind", async () => {
    const server = await start({ rules: { timeout: 10_000, max: 1_000 } });
    const seeds = [[], [22], [22, 3, 1, 0, 100, 1], [0x47], [0x00], [0xff]];
    const gone = Array.from({ length: 300 }, (_, n) => {
      const socket = plain(server);
      socket.on("connect", () => {
        socket.write(Buffer.from(seeds[n % seeds.length]!));
        if (n % 3 === 0) socket.resetAndDestroy();
        else if (n % 3 === 1) socket.destroy();
        else socket.end();
      });
      return rest(socket);
    });
    await Promise.all(gone);
    await vi.waitUntil(() => server.arrivals === 0, { interval: 1 });
    expect((await ask("https", server, "/healthz")).status).toBe(200);
  });

  test("in HTTP behind TLS is answered as without TLS", async () => {
    const server = await start();
    const socket = await secure(server);
    socket.write("HELLO\r\n\r\n");
    expect(await rest(socket)).toContain("400 Bad Request");
  });
});
