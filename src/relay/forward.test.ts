import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { endianness } from "node:os";
import { PassThrough } from "node:stream";
import { afterEach, expect, test } from "vitest";
import { socketsIn } from "./allocations.ts";
import { type Forwarder, forwardTo, localHeader, proxyHeader } from "./forward.ts";
import { lengthOf, pipeMessages } from "./records.ts";
import { until } from "../test-until.ts";

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0).reverse()) each.close();
});
async function listening(onSocket: (socket: Socket) => void): Promise<Server & { port: number }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    open.push({ close: () => socket.destroy() });
    onSocket(socket);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push(server);
  return Object.assign(server, { port: (server.address() as AddressInfo).port });
}

/** A server that hands on what comes, to one that plays coturn. */
async function forwarding(
  onUpstream: (socket: Socket) => void,
  more: { max?: number; admits?: boolean } = {},
) {
  const upstream = await listening(onUpstream);
  const counted: string[] = [];
  const forwarder: Forwarder = forwardTo({
    port: upstream.port,
    max: more.max ?? 10,
    admits: () => more.admits ?? true,
    forwarded: () => counted.push("forwarded"),
    refused: (why) => counted.push(why),
  });
  const front = await listening((socket) => {
    socket.allowHalfOpen = false;
    socket.pause();
    forwarder.take(socket);
  });
  open.push(forwarder);
  const client = async () => {
    const socket = connect(front.port, "127.0.0.1");
    socket.on("error", () => {});
    open.push({ close: () => socket.destroy() });
    await once(socket, "connect");
    return socket;
  };
  return { upstream, forwarder, counted, client };
}

test("whose connection it is goes before all that is said on it, and answers come back", async () => {
  const heard: Buffer[] = [];
  const { client, forwarder, counted } = await forwarding((socket) =>
    socket.on("data", (bytes: Buffer) => {
      heard.push(bytes);
      socket.write("answer");
    }),
  );
  const socket = await client();
  const { localPort } = socket;
  socket.write("question");
  expect(String((await once(socket, "data"))[0])).toContain("answer");
  await until(() => Buffer.concat(heard).includes("question"));
  const all = Buffer.concat(heard);
  expect(all.subarray(0, 12)).toEqual(Buffer.from("0d0a0d0a000d0a515549540a", "hex"));
  expect([...all.subarray(12, 24)]).toEqual([0x21, 0x11, 0, 12, 127, 0, 0, 1, 127, 0, 0, 1]);
  expect(all.readUInt16BE(24)).toBe(localPort);
  expect(String(all.subarray(28))).toBe("question");
  expect([forwarder.streams, counted]).toEqual([1, ["forwarded"]]);
});

test("when one side closes the other does", async () => {
  const upstreams: Socket[] = [];
  const { client, forwarder } = await forwarding((socket) => {
    upstreams.push(socket);
    socket.resume();
  });
  const first = await client();
  await until(() => upstreams.length === 1);
  first.end();
  await once(upstreams[0]!, "end");
  upstreams[0]!.end();
  await until(() => forwarder.streams === 0);
  const second = await client();
  await until(() => upstreams.length === 2);
  second.resume();
  upstreams[1]!.destroy();
  await once(second, "close");
  await until(() => forwarder.streams === 0);
});

test("too many, too often, or without coturn: closed and counted", async () => {
  const crowded = await forwarding(() => {}, { max: 1 });
  const [kept, dropped] = [await crowded.client(), await crowded.client()];
  await once(dropped.resume(), "close");
  expect(crowded.counted).toContain("crowded");
  expect(kept.destroyed).toBe(false);

  const often = await forwarding(() => {}, { admits: false });
  await once((await often.client()).resume(), "close");
  expect(often.counted).toEqual(["rate_limited"]);

  const down = await forwarding(() => {});
  down.upstream.close();
  await once((await down.client()).resume(), "close");
  expect(down.counted).toEqual(["relay_down"]);
});

test("a client that does not read is not read for: nothing piles up here", async () => {
  let written = 0;
  const { client } = await forwarding((socket) => {
    const fill = (): void => {
      while (written < 256 * 1024 ** 2) {
        written += 65_536;
        if (!socket.write(Buffer.alloc(65_536))) return void socket.once("drain", fill);
      }
    };
    fill();
  });
  (await client()).pause();
  let before = -1;
  // The buffers of the system are full at some time, and ours are small.
  await until(() => {
    const still = written === before && written > 0;
    before = written;
    return still;
  }, 100);
  expect(written).toBeLessThan(64 * 1024 ** 2);
});

test("over TLS each message goes in a write of its own, however they come", async () => {
  const stun = (length: number) => {
    const bytes = Buffer.alloc(20 + length, 1);
    bytes.writeUInt16BE(0x0101);
    bytes.writeUInt16BE(length, 2);
    return bytes;
  };
  const channel = (length: number) => {
    const bytes = Buffer.alloc(4 + Math.ceil(length / 4) * 4, 2);
    bytes.writeUInt16BE(0x4000);
    bytes.writeUInt16BE(length, 2);
    return bytes;
  };
  const messages = [stun(0), channel(1), channel(1_200), stun(44), channel(0), channel(7)];
  const all = Buffer.concat([...messages, ...messages]);
  const writes: Buffer[] = [];
  const to = {
    write(bytes: Buffer, done: () => void) {
      writes.push(Buffer.from(bytes));
      setImmediate(done);
    },
    end() {},
  };
  const server = await listening((socket) => {
    void (async () => {
      // In pieces that fit no message.
      for (let at = 0; at < all.length; at += 33)
        await new Promise<void>((resolve) => void socket.write(all.subarray(at, at + 33), () => resolve()));
    })();
  });
  const from = connect(server.port, "127.0.0.1");
  open.push({ close: () => from.destroy() });
  pipeMessages(from, to as unknown as Socket);
  await until(() => writes.length === 2 * messages.length);
  expect(writes).toEqual([...messages, ...messages]);
  expect([Buffer.alloc(0), Buffer.alloc(3), stun(8), channel(5)].map(lengthOf)).toEqual([0, 4, 28, 12]);
});

test("the longest message there is gets through, in whatever pieces", async () => {
  const message = Buffer.alloc(20 + 65_532);
  message.writeUInt16BE(65_532, 2);
  const from = new PassThrough();
  const written = new Promise((resolve) => {
    const to = { write: resolve };
    pipeMessages(from as unknown as Socket, to as unknown as Socket);
  });
  from.write(message.subarray(0, 65_540));
  await new Promise(setImmediate);
  from.write(message.subarray(65_540));
  expect(await written).toEqual(message);
});

test("addresses of both families go before a connection", () => {
  const header = proxyHeader({ address: "2001:db8::7", port: 1 }, { address: "::ffff:10.1.2.3", port: 2 });
  expect([header[13], header.readUInt16BE(14), header.length]).toEqual([0x21, 36, 52]);
  expect(header.toString("hex", 32, 48)).toBe("00000000000000000000ffff0a010203");
  expect(localHeader().toString("hex", 12)).toBe("20000000");
});

test.skipIf(endianness() === "BE")("allocations are the UDP sockets of the relay's address and ports", () => {
  const rest = "07 00000000:00000000 00:00000000 00000000     0        0";
  const table = [
    "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref",
    `  100: 050000C0:C350 00000000:0000 ${rest} 11 2`,
    `  101: 050000C0:0D96 00000000:0000 ${rest} 12 2`,
    `  102: 00000000:C351 00000000:0000 ${rest} 13 2`,
    `  103: 050000C0:EA60 0100007F:C350 ${rest} 14 2`,
    ` 1104: 050000C0`,
  ].join("\n");
  expect(socketsIn(table, "192.0.0.5", 50_000, 60_000)).toEqual(["11", "14"]);
  expect(socketsIn(table, "192.0.0.5", 50_001, 60_000)).toEqual(["14"]);
  const six = ` 1: B80D0120000000000000000005000000:C350 00000000000000000000000000000000:0000 ${rest} 15 2`;
  expect(socketsIn(six, "2001:db8::5", 50_000, 60_000)).toEqual(["15"]);
  expect(socketsIn(six, "2001:db8::6", 50_000, 60_000)).toEqual([]);
});
