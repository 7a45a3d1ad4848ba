import { once } from "node:events";
import type { Socket } from "node:net";
import { duplexPair } from "node:stream";
import { connect } from "node:tls";
import { describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { createSelfSigned } from "../tls/self-signed.ts";
import type { HttpServer } from "./server.ts";
import { ask, certificate, plain, rest, secure, start } from "./test-https.ts";
import { until } from "../test-until.ts";

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

  test("is told who says how many may be open: each may yet take more than itself", async () => {
    let told = 0;
    const room = { most: (arrivals: number) => 4 - arrivals, full: () => void (told += 1) };
    const server = await start({ room });
    const silent = [plain(server), plain(server), plain(server)];
    await once(silent[2]!.resume(), "close");
    expect([told, server.arrivals]).toEqual([1, 2]);
  });

  test("is bounded in number: the oldest makes room, and visitors get through", async () => {
    const server = await start({ rules: { timeout: 10_000, max: 10 } });
    const silent = Array.from({ length: 30 }, () => plain(server));
    await until(() => silent.filter((socket) => socket.closed).length === 20);
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
    await until(() => server.dropped.length > 0);
    expect(server.dropped).toEqual([reason]);
  });

  test("in the middle of TLS is closed and counted, also when it asks for a handshake again and again", async () => {
    const server = await start();
    const raw = plain(server);
    await once(raw, "connect");
    // TLS over a stream of our own, so that the connection can be written to below it.
    const [below, above] = duplexPair();
    above.pipe(raw).pipe(above);
    const visitor = connect({ socket: below, rejectUnauthorized: false }).on("error", () => {});
    await once(visitor, "secureConnect");
    visitor.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    await once(visitor, "data");
    raw.write(Buffer.alloc(100, "A"));
    await rest(raw);
    expect(server.dropped).toEqual(["handshake"]);

    const restless = await secure(server, { maxVersion: "TLSv1.2" });
    const again = () => restless.renegotiate({ rejectUnauthorized: false }, (error) => error ?? again());
    again();
    await rest(restless);
    expect(server.dropped).toEqual(["handshake", "handshake"]);
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
    await until(() => server.arrivals === 0);
    expect((await ask("https", server, "/healthz")).status).toBe(200);
  });

  test("in HTTP behind TLS is answered as without TLS", async () => {
    const server = await start();
    const socket = await secure(server);
    socket.write("HELLO\r\n\r\n");
    expect(await rest(socket)).toContain("400 Bad Request");
  });
});
