import { once } from "node:events";
import { createServer, connect, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { anything, offersAcme, peek, speechOf, wholeRecord } from "./first-bytes.ts";

const close: (() => void)[] = [];
afterEach(() => {
  for (const end of close.splice(0)) end();
});

/** Two ends of a connection. */
async function connection(): Promise<[client: Socket, server: Socket]> {
  const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect((server.address() as { port: number }).port, "127.0.0.1");
  const [socket] = (await once(server, "connection")) as [Socket];
  close.push(() => (client.destroy(), socket.destroy(), server.close()));
  return [client, socket];
}

test.each([
  ["a handshake of TLS", 0x16, "tls"],
  ["GET", 0x47, "http"],
  ["a method in small letters, which HTTP itself refuses", 0x67, "http"],
  ["an empty line before the request", 0x0d, "http"],
  ["a STUN binding", 0x00, "stun"],
  ["a STUN response", 0x01, "stun"],
  ["an alert of TLS", 0x15, "unknown"],
  ["a channel of TURN, which never comes first", 0x40, "unknown"],
  ["SSH's neighbour", 0x7f, "unknown"],
  ["SSLv2", 0x80, "unknown"],
  ["all ones", 0xff, "unknown"],
])("%s is told by its first byte", (_, byte, speech) => expect(speechOf(byte)).toBe(speech));

test("what was peeked at is read again, and nothing is lost", async () => {
  const [client, server] = await connection();
  const peeked = new Promise<string>((resolve) =>
    peek(
      server,
      (bytes) => bytes.length >= 5,
      (bytes) => resolve(String(bytes)),
    ),
  );
  client.write("hel");
  await once(server, "data");
  client.write("lo, ");
  expect(await peeked).toBe("hello, ");
  expect(server.isPaused()).toBe(true);
  client.end("world");
  const read: Buffer[] = [];
  server.on("data", (chunk: Buffer) => read.push(chunk)).resume();
  await once(server, "end");
  expect(Buffer.concat(read).toString()).toBe("hello, world");
});

test("who ends before saying anything is gone", async () => {
  const [client, server] = await connection();
  let called = false;
  peek(server, anything, () => void (called = true));
  client.end();
  await once(server, "close");
  expect(called).toBe(false);
});

test("a record of TLS is whole once its length is there", () => {
  const record = Buffer.from([22, 3, 1, 0, 3, 1, 2, 3]);
  const whole = [1, 4, 5, 7, 8].map((length) => wholeRecord(record.subarray(0, length)));
  expect(whole).toEqual([false, false, false, false, true]);
});

test("a record that claims more than TLS allows is not waited for, nor is what is none", () => {
  const endless = Buffer.concat([Buffer.from([22, 3, 1, 0xff, 0xff]), Buffer.alloc(16_384)]);
  expect(wholeRecord(endless)).toBe(true);
  expect(wholeRecord(Buffer.from("G"))).toBe(true);
});

test("an authority's check is told from a browser by the protocol that it offers", () => {
  expect(offersAcme(Buffer.from("\u0016…\u0000\u000b\u000aacme-tls/1…"))).toBe(true);
  expect(offersAcme(Buffer.from("\u0016…\u0000\u000c\u0002h2\u0008http/1.1…acme-tls/1.example"))).toBe(false);
});
