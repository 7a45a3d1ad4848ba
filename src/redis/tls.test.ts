import { mkdtempSync, rmSync } from "node:fs";
import { connect as dial } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer, getCACertificates, setDefaultCACertificates } from "node:tls";
import type { Server, TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createSelfSigned } from "../tls/self-signed.ts";
import { connectRedis } from "./client.ts";
import type { RedisConnection } from "./client.ts";
import { startTestRedis } from "./test-server.ts";
import { freePort } from "../test-ports.ts";
import { eventually, until } from "../test-until.ts";

const trusted = getCACertificates("default");
const ending: (() => unknown)[] = [];
let certificate: { chain: string; key: string };
beforeAll(async () => {
  certificate = await createSelfSigned(["127.0.0.1"], Date.now());
  // What NODE_EXTRA_CA_CERTS does at the start of a process.
  setDefaultCACertificates([...trusted, certificate.chain]);
});
afterAll(() => setDefaultCACertificates(trusted));
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

/** Ends TLS, since the servers at hand are built without it. */
async function terminator(
  accept: (socket: TLSSocket) => void,
  shown: { chain: string; key: string } = certificate,
): Promise<number> {
  const server: Server = createServer({ cert: shown.chain, key: shown.key }, (socket) => {
    socket.on("error", () => undefined);
    accept(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ending.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

const leadsTo = (port: () => number) => (socket: TLSSocket) => {
  const onward = dial(port(), "127.0.0.1");
  onward.on("error", () => socket.destroy());
  socket.on("close", () => onward.destroy());
  socket.pipe(onward).pipe(socket);
};

async function redis(...args: string[]) {
  const server = await startTestRedis(args);
  ending.push(() => server.stop());
  return server;
}

function connect(target: string): RedisConnection {
  const connection = connectRedis(target);
  ending.push(() => connection.close());
  return connection;
}

test("a single server", async () => {
  const server = await redis("--requirepass", "word");
  const port = await terminator(leadsTo(() => server.port));
  const connection = connect(`rediss://:word@127.0.0.1:${port}/2`);
  await connection.check(5_000);
  expect(await connection.client.set("key", "value")).toBe("OK");
  expect(connection.localAddress()).toBe("127.0.0.1");
  expect(connection.remoteAddresses()).toEqual(["127.0.0.1"]);
});

test("a Sentinel and its master", async () => {
  const server = await redis("--requirepass", "word");
  const port = await terminator(leadsTo(() => server.port));
  const asked: string[] = [];
  const sentinel = await terminator((socket) => {
    socket.on("data", (data) => {
      for (const command of String(data).split(/(?=\*\d+\r\n)/)) {
        const words = command.split("\r\n").filter((_, at) => at > 0 && at % 2 === 0);
        asked.push(words.join(" "));
        if (/get-master/i.test(words[1] ?? "")) {
          const text = String(port);
          socket.write(`*2\r\n$9\r\n127.0.0.1\r\n$${text.length}\r\n${text}\r\n`);
        } else if (/^sentinels$/i.test(words[1] ?? "")) socket.write("*0\r\n");
        else socket.write("+OK\r\n");
      }
    });
  });
  const connection = connect(
    `rediss+sentinel://:word@127.0.0.1:${sentinel}/mymaster?sentinel_password=other`,
  );
  await connection.check(5_000);
  expect(await connection.client.set("key", "value")).toBe("OK");
  expect(asked.join("\n")).toMatch(/hello 3 AUTH default other/i);
  expect(asked.join("\n")).toMatch(/sentinel get-master-addr-by-name mymaster/i);
});

test("a Cluster", async () => {
  let behind = 0;
  const port = await terminator(leadsTo(() => behind));
  const directory = mkdtempSync(join(tmpdir(), "chatrandom-"));
  ending.push(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, "nodes.conf");
  const announced = ["--cluster-announce-ip", "127.0.0.1", "--cluster-announce-port", String(port)];
  // Else it listens 10,000 above its port as well, which may be nobody's to listen on.
  const bus = ["--cluster-port", String(await freePort())];
  const server = await redis("--cluster-enabled", "yes", "--cluster-config-file", file, ...bus, ...announced);
  behind = server.port;
  const operator = connect(server.url);
  await until(() => operator.ready, 20);
  await operator.client.call("CLUSTER", "ADDSLOTSRANGE", 0, 16_383);
  const connection = connect(`rediss+cluster://127.0.0.1:${port}`);
  await connection.check(10_000);
  expect(await connection.client.set("{pool}:key", "value")).toBe("OK");
});

test("a certificate that nobody trusts is refused, and so is one for another name", async () => {
  const other = await createSelfSigned(["127.0.0.1"], Date.now());
  const untrusted = await terminator(() => undefined, other);
  await expect(connect(`rediss://127.0.0.1:${untrusted}`).check(5_000)).rejects.toThrow(
    "its certificate is not trusted: name the file with that of its authority in NODE_EXTRA_CA_CERTS",
  );
  const named = await createSelfSigned(["redis.example"], Date.now());
  setDefaultCACertificates([...trusted, certificate.chain, named.chain]);
  const misnamed = await terminator(() => undefined, named);
  await expect(connect(`rediss://127.0.0.1:${misnamed}`).check(5_000)).rejects.toThrow(
    "its certificate is for another name",
  );
});

test("TLS on one side only is told", async () => {
  const port = await terminator(() => undefined);
  const plain = connect(`redis://127.0.0.1:${port}`);
  await eventually(() =>
    expect(plain.check(50)).rejects.toThrow(
      "it closes the connection, as one does that wants TLS (try rediss) or is no Redis",
    ),
  );
  const server = await redis();
  const secure = connect(`rediss://127.0.0.1:${server.port}`);
  await eventually(() =>
    expect(secure.check(50)).rejects.toThrow(
      /it does not answer, as one does that speaks no TLS|closes the connection/,
    ),
  );
});
